from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import load_config
from promptmigrate.errors import ConfigError, StorageError
from promptmigrate.files import parse_yaml
from promptmigrate.gateway.route import load_route
from promptmigrate.mlflow_store import client
from promptmigrate.pipeline import Run, migrate
from promptmigrate.pipeline.program import components
from promptmigrate.pipeline.program_publish import move_alias
from promptmigrate.pipeline.rundir import RunDir
from promptmigrate.pipeline.steps import evaluate_only, load_variant
from promptmigrate.types import Prompt
from tests.e2e import foreign
from tests.e2e.foreign import KEY, Foreign, note
from tests.e2e.harness import Project
from tests.pipeline.program_project import PROMPTS, module, project, two_steps


@pytest.fixture(scope="module")
def patched() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOREIGN_KEY", KEY)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setattr(foreign, "answer", two_steps)
        yield


@pytest.fixture
def server(patched: None) -> Iterator[Foreign]:
    with Foreign() as running:
        yield running


@dataclass(frozen=True)
class Finished:
    work: Project
    run: Run
    calls: int
    repeated: int


def migrated(work: Project, **changes: Any) -> Run:
    config = load_config(work.write(mlflow={"tracking_uri": f"sqlite:///{work.folder}/m.db"}, **changes))
    with contextlib.chdir(work.folder):
        return migrate(config, folder=work.folder, runs=work.folder / "runs")


@pytest.fixture
def work(server: Foreign, tmp_path: Path) -> Project:
    return project(tmp_path, server)


@pytest.fixture(scope="module")
def promoted(patched: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    with Foreign() as running:
        work = project(tmp_path_factory.mktemp("promoted"), running)
        run = migrated(work)
        yield Finished(work=work, run=run, calls=running.calls, repeated=running.repeated)


LOOPING = """
def answer(ask, note):
    feeling = ask("extract", note=note)
    while True:
        try:
            said = ask("label", feeling=feeling)
            if said == "MERRY":
                return said
        except Exception:
            pass
"""


def test_a_program_that_loops_is_told_of_before_it_has_spent_the_budget(work: Project):
    (work.folder / f"{module(work.folder)}.py").write_text(LOOPING)
    with pytest.raises(ConfigError) as refused:
        migrated(work, budget={"calls": 800})
    said = str(refused.value)
    assert f"program: {module(work.folder)}:answer asked " in said and "times on one row (id " in said
    assert "let it give up after a few answers that do not suit it" in said
    assert refused.value.key == "program"
    assert 0 < work.server.calls <= 200


@pytest.mark.slow
def test_both_prompts_are_changed_together_and_promoted(promoted: Finished):
    run, summary = promoted.run, promoted.run.summary
    assert run.verdict == "PROMOTE", summary["reasons"]
    assert summary["before"]["score"] < 0.5
    assert summary["candidate"]["score"] > 0.95
    assert sum(summary["spend"]["calls"].values()) == promoted.calls <= 1600
    assert promoted.repeated == 0
    assert summary["test_openings"] == 1
    parts = summary["prompts"]["components"]
    for name, given in PROMPTS.items():
        assert parts[name]["original"] == given["text"]
        assert parts[name]["candidate"] != given["text"]
    # the first step's right answer is not known, so it has no demos
    assert isinstance(parts["extract"]["candidate"], str)
    best, _ = parse_yaml((run.dir / "best.yaml").read_text())
    assert {name: part.get("text", part.get("messages")) for name, part in best["prompts"].items()} == {
        name: part["candidate"] for name, part in parts.items()
    }
    assert "=== label ===" in summary["prompts"]["candidate"]
    assert "Stay with the words that the customer used" in run.report.read_text()


@pytest.mark.slow
def test_every_component_is_registered_and_has_a_route_of_the_same_users(promoted: Finished):
    folder, summary = promoted.work.folder, promoted.run.summary
    store = client(f"sqlite:///{folder}/m.db")
    for name in PROMPTS:
        version = store.get_prompt_version_by_alias(f"moods.{name}", "candidate")
        assert summary["prompt_versions"][name] == f"prompts:/moods.{name}/{version.version}"
        assert version.template == summary["prompts"]["components"][name]["candidate"]
        assert version.tags["promptmigrate.component"] == name
        route = load_route(folder / summary["routes"][name])
        assert route.route == f"moods.{name}"
        assert route.unit.salt == "moods"
        assert route.variants["candidate"].prompt.uri == summary["prompt_versions"][name]
        assert (promoted.run.dir / f"route.{name}.yaml").is_file()


@pytest.mark.slow
def test_the_same_command_again_pays_nothing_and_says_the_same(promoted: Finished):
    again, server = migrated(promoted.work), promoted.work.server
    assert server.calls == promoted.calls
    for key in ("verdict", "delta", "interval", "prompts", "prompt_versions", "routes", "test_openings"):
        assert again.summary[key] == promoted.run.summary[key]


@pytest.mark.slow
def test_the_best_prompts_can_be_evaluated_again(promoted: Finished):
    work = promoted.work
    config = load_config(work.folder / "experiment.yaml")
    found = evaluate_only(
        config,
        folder=work.folder,
        runs=work.folder / "runs",
        variant_files=[promoted.run.dir / "best.yaml"],
        limit=10,
    )
    scores = {variant["name"]: variant["score"] for variant in found["variants"]}
    assert scores["best"] > scores["original"]
    (work.folder / "other.yaml").write_text("model: acme/petite\nprompts: {extract: {text: '{{note}}'}}\n")
    with pytest.raises(ConfigError, match="its prompts are not extract, label"):
        load_variant(
            work.folder / "other.yaml",
            Prompt.text("{{note}}"),
            components(config, work.folder),
        )


@pytest.mark.slow
def test_prompts_of_the_registry_keep_their_names_and_an_unchanged_one_its_version(
    work: Project, server: Foreign
):
    store = client(f"sqlite:///{work.folder}/m.db", create=True)
    for name, given in PROMPTS.items():
        made = store.register_prompt(name=f"app_{name}", template=given["text"])
        store.set_prompt_alias(f"app_{name}", "production", made.version)
    prompts = {name: f"prompts:/app_{name}@production" for name in PROMPTS}
    # the target copies as well as the source: only the second prompt has to change
    work.config["targets"] = [{"model": "acme/petite"}]
    copied = "In the customer's own words: what do they say about their feelings?\n\n{{note}}"
    again = store.register_prompt(name="app_extract", template=copied)
    store.set_prompt_alias("app_extract", "production", again.version)
    run = migrated(work, prompts=prompts, publish={"alias": "next"})
    assert run.verdict == "PROMOTE", run.summary["reasons"]
    versions = run.summary["prompt_versions"]
    assert versions["extract"] == "prompts:/app_extract/2"
    assert versions["label"] == "prompts:/app_label/2"
    for name in PROMPTS:
        assert store.get_prompt_version_by_alias(f"app_{name}", "next").version == 2


@pytest.mark.slow
def test_kill_9_repeats_no_call_and_finds_the_same_prompts(promoted: Finished, tmp_path: Path):
    killed = tmp_path
    with Foreign(latency_s=0.02) as other:
        work = project(killed, other)
        path = work.write(mlflow={"tracking_uri": f"sqlite:///{killed}/m.db"})
        process = subprocess.Popen(
            work.command("migrate", str(path), "--json"),
            cwd=killed,
            env=work.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while other.calls < promoted.calls / 2 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        result = migrated(work)
        assert other.repeated <= 64  # answers that were on their way when it died
        assert other.calls <= 1600
    assert result.summary["prompts"] == promoted.run.summary["prompts"]
    assert result.summary["delta"] == promoted.run.summary["delta"]


@pytest.mark.slow
def test_of_two_targets_the_second_search_goes_on_from_the_first(work: Project, server: Foreign):
    targets = [{"model": "acme/petite", "params": {"temperature": 0}}, {"model": "acme/dull"}]
    options: dict[str, Any] = {"targets": targets, "budget": {"calls": 2400}}
    first = migrated(work, **options)
    calls = server.calls
    # as if the run had been killed in the search for the second target
    (first.dir / "searches" / "1.json").unlink()
    RunDir(first.dir).write_state(state="running")
    second = migrated(work, **options)
    assert server.calls == calls
    for key in ("verdict", "delta", "interval", "prompts", "search", "test_openings"):
        assert second.summary[key] == first.summary[key]
    assert [(one["delta"], one["search"]) for one in second.summary["targets"]] == [
        (one["delta"], one["search"]) for one in first.summary["targets"]
    ]


def test_an_alias_that_cannot_be_moved_moves_none(patched: None, tmp_path: Path):
    uri = f"sqlite:///{tmp_path}/m.db"
    store = client(uri, create=True)
    for name in ("a", "b", "c"):
        store.register_prompt(name=name, template="{{x}}")
        store.register_prompt(name=name, template="{{x}}!")
    store.set_prompt_alias("a", "next", 1)
    with pytest.raises(StorageError):
        move_alias({"a": "prompts:/a/2", "b": "prompts:/b/2", "c": "prompts:/c/7"}, "next", uri)
    assert store.get_prompt_version_by_alias("a", "next").version == 1
    for name in ("b", "c"):
        with pytest.raises(Exception, match="next"):
            store.get_prompt_version_by_alias(name, "next")
    move_alias({"a": "prompts:/a/2", "b": "prompts:/b/2"}, "next", uri)
    assert [store.get_prompt_version_by_alias(name, "next").version for name in ("a", "b")] == [2, 2]


def variants_of(work: Project) -> list[tuple[str, dict[str, Any], str]]:
    name = module(work.folder)
    (work.folder / f"{name}_odd.py").write_text(
        "def unknown(ask, note):\n    return ask('extrakt', note=note)\n"
        "def lacking(ask, note):\n    return ask('label', note=note)\n"
        "value = 3\n"
        "raise_on = {}\n"
    )
    (work.folder / f"{name}_broken.py").write_text("import no_such_module_anywhere\n")
    odd = f"{name}_odd"
    return [
        ("unknown prompt", {"program": f"{odd}:unknown"}, "asks for 'extrakt', which is not given"),
        ("missing variable", {"program": f"{odd}:lacking"}, "variable 'feeling'"),
        ("not callable", {"program": f"{odd}:value"}, "not something that can be called"),
        ("no such attribute", {"program": f"{odd}:nothing"}, "has no 'nothing'"),
        ("no such module", {"program": "no_such_flow:answer"}, "'no_such_flow' cannot be imported"),
        ("broken module", {"program": f"{name}_broken:x"}, "no_such_module_anywhere"),
        ("not module:attribute", {"program": "flow.answer"}, "write module:attribute"),
        ("both", {"prompt": {"text": "{{note}}"}}, "not both"),
        ("no program", {"program": None}, "'program' is missing"),
        ("no prompts", {"prompts": {}}, "'prompts' is missing"),
        ("no placeholder", {"prompts": {**PROMPTS, "label": {"text": "Hi"}}}, "prompts.label: the template"),
        ("seeds", {"search": {"prompts": [{"text": "{{note}}"}]}}, "search.prompts"),
        ("no such variable", {"data": {"traces": {"file": "other.jsonl"}}}, "'note'"),
    ]


def test_mistakes_are_found_before_anything_is_spent(work: Project, server: Foreign):
    rows = (work.folder / "calls.jsonl").read_text()
    (work.folder / "other.jsonl").write_text(rows.replace('"note"', '"letter"'))
    for name, changes, said in variants_of(work):
        with pytest.raises(Exception, match=said) as raised:
            migrated(work, **changes)
        assert getattr(raised.value, "exit_code", None) == 2, name
    assert server.calls == 0


def test_a_program_that_fails_as_production_runs_it_is_refused(work: Project, server: Foreign):
    (work.folder / f"{module(work.folder)}.py").write_text(
        "import json\n\n\ndef answer(ask, note):\n"
        "    return json.loads(ask('extract', note=note))['x'] + ask('label', feeling=note)\n"
    )
    with pytest.raises(ConfigError, match=r"fails on each of the first 8 rows: .*JSONDecodeError"):
        migrated(work)
    assert server.calls <= 10


def test_a_changed_program_is_not_gone_on_with(work: Project, server: Foreign):
    server.fault = lambda _number: 400
    with pytest.raises(Exception, match="none of the first 3 answers"):
        migrated(work)
    run = next((work.folder / "runs" / "moods").iterdir())
    path = work.folder / f"{module(work.folder)}.py"
    path.write_text(path.read_text() + "\n# changed\n")
    config = load_config(work.folder / "experiment.yaml")
    with pytest.raises(ConfigError, match=r"changed since: the content of program \(.*flow_"):
        migrate(config, folder=work.folder, runs=work.folder / "runs", run_dir=run)


def test_the_note_of_the_task_is_what_the_server_answers():
    text, mood = note(1)
    messages = [{"role": "user", "content": PROMPTS["extract"]["text"].replace("{{note}}", text)}]
    feeling = two_steps("grand", messages)
    labelled = PROMPTS["label"]["text"].replace("{{feeling}}", feeling)
    assert two_steps("grand", [{"role": "user", "content": labelled}]) == mood
