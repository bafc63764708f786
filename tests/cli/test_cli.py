from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from promptmigrate.cli import app
from promptmigrate.config import load_config
from promptmigrate.errors import UsageError
from promptmigrate.gateway.route import PromptSnapshot
from promptmigrate.types import Prompt


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "OPENAI_"))}
    return subprocess.run(
        [sys.executable, "-m", "promptmigrate", *arguments],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_lists_every_command(tmp_path: Path):
    result = run(tmp_path, "--help")
    assert result.returncode == 0
    for command in ("demo", "init", "config", "harvest", "evaluate", "migrate", "report", "route", "doctor"):
        assert command in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [["migrate"], ["migrate", "a", "b"], ["migrat"], ["evaluate", "x.yaml", "--limit", "0"], ["--nope"]],
)
def test_usage_errors_exit_with_2(tmp_path: Path, arguments: list[str]):
    assert run(tmp_path, *arguments).returncode == 2


def test_init_writes_a_valid_commented_file_and_never_overwrites(tmp_path: Path):
    assert run(tmp_path, "init", "x.yaml").returncode == 0
    text = (tmp_path / "x.yaml").read_text()
    assert "promptmigrate migrate x.yaml" in text
    load_config(tmp_path / "x.yaml")
    again = run(tmp_path, "init", "x.yaml")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert run(tmp_path, "init", "x.yaml", "--force").returncode == 0


def test_schema_is_json_on_stdout(tmp_path: Path):
    result = run(tmp_path, "config", "schema")
    assert json.loads(result.stdout)["properties"]["gate"]
    assert result.stderr == ""


def test_check_names_what_is_wrong(tmp_path: Path):
    (tmp_path / "x.yaml").write_text("nam: x\n")
    result = run(tmp_path, "config", "check", "x.yaml")
    assert result.returncode == 2
    assert result.stderr == "promptmigrate: x.yaml:1: unknown key 'nam'; did you mean 'name'?\n"


FINE = """name: x
prompt: {text: 'Say {{a}}'}
source: {model: sim/triage-large}
targets: [{model: mine/small, params: {temperature: 0, guided_choice: [a]}}]
endpoints: {mine: {base_url: 'https://example.org/v1'}}
data: {traces: {file: a.jsonl}}
scorers: [{use: exact_match}]
search: {strategy: reflective}
gate: {margin: 0.1, guardrails: {scores: {}}, baseline: rerun}
"""


def test_check_takes_what_migrate_would_take(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("")
    for text in (FINE, FINE.replace("exact_match", "auto"), FINE.replace("exact_match", "format_contract")):
        (tmp_path / "x.yaml").write_text(text)
        result = run(tmp_path, "config", "check", "x.yaml")
        assert result.returncode == 0, result.stderr
        assert "note: targets.0.params.guided_choice is not widely known" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("use: exact_match", "use: exact_mach", "exact_match"),
        ("use: exact_match", "use: exact_match, ignore_cas: true", "ignore_cas"),
        ("use: exact_match", "use: correctness", "asks a model"),
        ("source: {model: sim/triage-large}\n", "", "no source.model says what it runs"),
        ("scores: {}", "scores: {safety: 0.01}", "'safety', which is no scorer"),
        ("reflective", "gepaa", "did you mean 'gepa'"),
        ("strategy: reflective", "may_change: []", "x.yaml:8: search.may_change is []"),
        ("a.jsonl", "nope.jsonl", "there is no file nope.jsonl"),
        ("mine/small", "mone/small", "no endpoint for model 'mone/small'"),
        ("https://example.org", "example.org", "must start with https://"),
        ("https://example.org", "http://10.1.2.3", "plain http to another machine"),
        ("https://example.org", "https://me:pw@example.org", "must not contain a user or password"),
        ("temperature: 0", "temprature: 0", "did you mean 'temperature'"),
        ("temperature: 0", "temperature: nine", "must be a number, got 'nine'"),
    ],
)
def test_check_and_doctor_refuse_what_migrate_refuses(tmp_path: Path, old: str, new: str, said: str):
    assert old in FINE
    (tmp_path / "a.jsonl").write_text("")
    (tmp_path / "x.yaml").write_text(FINE.replace(old, new))
    for command in (["config", "check", "x.yaml"], ["doctor", "x.yaml"]):
        result = run(tmp_path, *command)
        assert result.returncode == 2
        assert said in result.stderr
        assert "x.yaml:" in result.stderr, "the line is named"
    assert "pw@" not in result.stderr


def test_doctor_says_what_to_fix(tmp_path: Path):
    fine = run(tmp_path, "doctor", "--json")
    assert fine.returncode == 0, fine.stderr
    assert json.loads(fine.stdout)["ok"] is True
    (tmp_path / "x.yaml").write_text(
        "name: x\nprompt: {text: 'Say {{a}}'}\ntargets: [{model: openai/m}]\n"
        "data: {traces: {file: a.jsonl}}\ngate: {margin: 0.1}\n"
    )
    sick = run(tmp_path, "doctor", "x.yaml")
    assert sick.returncode == 2
    assert "OPENAI_API_KEY" in sick.stderr
    assert "fix" in sick.stderr


def test_route_show(tmp_path: Path):
    snapshot = PromptSnapshot.of(Prompt.of("Say {{x}}")).model_dump(mode="json", exclude_none=True)
    route = {
        "schema": "promptmigrate.route/1",
        "route": "r",
        "revision": 1,
        "control": "production",
        "variants": {"production": {"model": "openai/m", "prompt": snapshot}},
        "traffic": {"production": 10000},
    }
    (tmp_path / "r.yaml").write_text(json.dumps(route))
    shown = run(tmp_path, "route", "show", "r.yaml")
    assert shown.returncode == 0, shown.stderr
    assert "100 %" in shown.stderr
    assert json.loads(run(tmp_path, "route", "show", "r.yaml", "--json").stdout)["traffic"] == {
        "production": 10000
    }
    (tmp_path / "r.yaml").write_text(json.dumps({**route, "traffic": {"production": 9999}}))
    broken = run(tmp_path, "route", "show", "r.yaml")
    assert broken.returncode == 2
    assert "10000" in broken.stderr


def test_report_of_a_folder_that_is_no_run(tmp_path: Path):
    result = run(tmp_path, "report", "nowhere")
    assert result.returncode == 2
    assert "nowhere" in result.stderr


def test_simulate_serve_answers_and_counts(tmp_path: Path):
    command = [sys.executable, "-m", "promptmigrate", "simulate", "serve", "--port", "0", "--latency", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        base_url = json.loads(server.stdout.readline())["base_url"]
        body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
        request = urllib.request.Request(
            f"{base_url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"] == "hello"
        with urllib.request.urlopen(base_url.removesuffix("/v1") + "/stats", timeout=30) as answer:
            assert json.load(answer)["requests"] == 1
        server.terminate()


def test_simulate_serve_refuses_impossible_faults(tmp_path: Path):
    result = run(tmp_path, "simulate", "serve", "--rate-limited", "0.7", "--hang", "0.7")
    assert result.returncode == 2
    assert "at most 1" in result.stderr


def test_a_folder_of_the_users_that_shadows_scorers_is_named(tmp_path: Path):
    (tmp_path / "scorers").mkdir()
    (tmp_path / "scorers" / "__init__.py").touch()
    (tmp_path / "x.yaml").write_text("name: x\n")
    result = run(tmp_path, "config", "check", "x.yaml")
    assert result.returncode == 1
    assert str(tmp_path / "scorers") in result.stderr
    assert "rename" in result.stderr


@pytest.mark.parametrize("debug", ["", "1"])
def test_the_cause_of_an_error_is_shown_where_it_is_asked_for(
    debug: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def broken() -> None:
        try:
            raise ZeroDivisionError("in somebody's plug-in")
        except ZeroDivisionError as error:
            raise UsageError("the plug-in broke") from error

    monkeypatch.setattr(app, "app", broken)
    monkeypatch.setenv("PROMPTMIGRATE_DEBUG", debug)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.endswith("promptmigrate: the plug-in broke\n")
    assert ("ZeroDivisionError: in somebody's plug-in" in said) == bool(debug)
