from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from promptmigrate.config import Config, json_schema, load_config, naming_lines, parse_config
from promptmigrate.errors import ConfigError, EndpointError
from promptmigrate.lm import Door

GOOD = """\
name: triage
prompt: {text: "Classify {{ticket}}"}
source: {model: openai/large}
targets: [{model: openai/small, params: {temperature: 0}}]
endpoints: {openai: {base_url: "https://llm.example.com/v1", api_key_env: KEY}}
data:
  traces: {file: calls.jsonl}
scorers:
  - {use: label_match, labels: [a, b]}
  - {use: correctness, judge: openai/judge, weight: 2}
gate: {margin: 0.05}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(text)
    return path


def test_a_full_file_is_read(tmp_path: Path):
    config = load_config(write(tmp_path, GOOD))
    assert config.models == ("openai/small", "openai/large", "openai/judge")
    assert config.reflection_model == "openai/large"
    assert config.scorers[0].spec == {"use": "label_match", "labels": ["a", "b"]}
    assert config.scorers[1].spec == {"use": "correctness", "model": "openai/judge"}
    assert config.gate.confidence == 0.95


def test_defaults_need_only_five_keys():
    config = parse_config(
        {
            "name": "x",
            "prompt": {"text": "{{a}}"},
            "targets": [{"model": "a/b"}],
            "data": {"traces": {"experiment": "prod"}},
            "gate": {"margin": 0.02},
        }
    )
    assert config.reflection_model == "a/b"
    assert config.data.redact == ("email", "phone", "card", "secret")
    assert config.publish.stages == (1, 5, 25, 100)


CASES = [
    ("gate: {margin: 0.05}", "gate: {margn: 0.05}", 11, r"unknown key 'gate.margn'; did you mean 'margin'\?"),
    ("gate: {margin: 0.05}", "gate: {}", 11, "'gate.margin' is missing"),
    ("gate: {margin: 0.05}", "", None, "'gate' is missing"),
    ("gate: {margin: 0.05}", "gate: {margin: 5}", 11, "'gate.margin': input should be less than 1, got 5"),
    ("gate: {margin: 0.05}", "gate: {margin: 0.05}\nbudgets: {calls: 3}", 12, "did you mean 'budget'"),
    ("gate: {margin: 0.05}", "gate: {margin: 0.05}\nbudget: {calls: 0}", 12, "'budget.calls'"),
    ("gate: {margin: 0.05}", "gate: {margin: 0.05}\nbudget: {usd: 1e300}", 12, "'budget.usd'"),
    ("gate: {margin: 0.05}", "gate: {margin: 0.05}\nbudget: {minutes: 1e308}", 12, "'budget.minutes'"),
    ("gate: {margin: 0.05}", f"gate: {{margin: 0.05}}\nbudget: {{tokens: {10**400}}}", 12, "'budget.tokens'"),
    ("gate: {margin: 0.05}", "gate: {margin: 0.05}\nbudget: {calls: true}", 12, "number belongs here"),
    (
        "gate: {margin: 0.05}",
        "gate: {margin: 0.05}\npublish: {stages: [true, 100]}",
        12,
        "number belongs here",
    ),
    (
        "gate: {margin: 0.05}",
        "gate: {margin: 0.05, guardrails: {scores: {a: true}}}",
        11,
        "'gate.guardrails.scores': a number belongs here",
    ),
    ("weight: 2", "weight: yes", 10, "'scorers.1.weight'"),
    ("gate: {margin: 0.05}", "gate: {margin: 0.05}\nname: again", 12, "appears twice"),
    ("{{ticket}}", "ticket", 2, "no placeholders"),
    ("{{ticket}}", "{% if x %}", 2, "Jinja"),
    ('{text: "Classify {{ticket}}"}', "triage", 2, "must be prompts:/name@alias"),
    ('{text: "Classify {{ticket}}"}', "{txt: hello}", 2, "unknown key 'prompt.txt'; did you mean 'text'"),
    ('{text: "Classify {{ticket}}"}', "{file: nowhere.txt}", 2, "cannot be read"),
    ("model: openai/small", "model: small", 4, "'targets.0.model': 'small' must be provider/model"),
    ("[{model: openai/small, params: {temperature: 0}}]", "[]", 4, "'targets'"),
    ("file: calls.jsonl", "file: calls.jsonl, experiment: x", 7, "give exactly one of"),
    ("file: calls.jsonl", "experiment: x, since: yesterday", 7, "since must be an age"),
    ("api_key_env: KEY", "api_key_env: sk-123", 5, "name of an environment variable"),
    ("api_key_env: KEY", "api_key: sk-123", 5, "did you mean 'api_key_env'"),
    ("name: triage", "name: ../triage", 1, "not a valid name"),
    ("  - {use: label_match, labels: [a, b]}", "  - {labels: [a]}", 9, "'scorers.0.use' is missing"),
    ("name: triage", "name: &a triage", 1, "anchors"),
]


@pytest.mark.parametrize(("old", "new", "line", "message"), CASES, ids=[case[3][:40] for case in CASES])
def test_errors_name_file_line_key_and_remedy(
    tmp_path: Path, old: str, new: str, line: int | None, message: str
):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert "sk-123" not in text
    if line is not None and "'scorers" not in message:
        assert caught.value.line == line


def test_files_that_are_no_experiment(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="mapping"):
        load_config(write(tmp_path, "- a\n"))
    with pytest.raises(ConfigError, match="mapping"):
        load_config(write(tmp_path, ""))


def test_a_name_that_is_no_placeholder_is_shown(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"\{\{問い合わせ\}\} is not one"):
        load_config(write(tmp_path, GOOD.replace("{{ticket}}", "{{問い合わせ}}")))


def test_prompt_file_is_relative_to_the_experiment(tmp_path: Path):
    (tmp_path / "p.txt").write_text("Hello {{name}}")
    load_config(write(tmp_path, GOOD.replace('{text: "Classify {{ticket}}"}', "{file: p.txt}")))


def test_digest_sees_what_can_change_a_result(tmp_path: Path):
    one = load_config(write(tmp_path, GOOD))
    assert load_config(write(tmp_path, GOOD + "# a comment\n")).digest == one.digest
    assert load_config(write(tmp_path, GOOD.replace("0.05", "0.04"))).digest != one.digest


def test_schema_describes_every_section():
    schema = json_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == set(Config.model_fields)
    assert schema["additionalProperties"] is False


def test_the_expectations_that_scorers_read(tmp_path: Path):
    def read(*scorers: str) -> tuple[str, ...] | None:
        listed = "".join(f"  - {scorer}\n" for scorer in scorers)
        start, _, rest = GOOD.partition("  - {use: label_match")
        return load_config(write(tmp_path, start + listed + rest[rest.index("gate:") :])).expectations_read

    queue = "{use: exact_match, expected_key: queue}"
    assert read(queue, "{use: label_match, labels: [a, b], expected_key: tone}", queue) == ("queue", "tone")
    assert read(queue, "{use: correctness, judge: openai/judge}") is None


@pytest.mark.parametrize(
    ("base_url", "key", "line"),
    [
        ("http://10.1.2.3/v1", "", 7),  # plain http to another machine
        ("http://127.0.0.1:9/v1", "", 7),  # nobody listens
        ("https://example.org/v1", "", 8),  # the key's variable is not set
        ("https://example.org/v1", "sk-ключ", 8),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_url: str, key: str, line: int
) -> None:
    monkeypatch.setenv("ACME_KEY", key)
    if line == 7:
        monkeypatch.setenv("ACME_KEY", "sk-1")
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\nprompt: {text: 'Say {{a}}'}\ntargets: [{model: acme/m}]\ngate: {margin: 0.1}\nendpoints:\n"
        f"  acme:\n    base_url: {base_url}\n    api_key_env: ACME_KEY\ndata: {{traces: {{file: a.jsonl}}}}\n"
    )
    with (
        pytest.raises(EndpointError, match=re.escape(f"{path}:{line}: ")),
        naming_lines(path),
        Door.open(endpoints=load_config(path).endpoints) as door,
    ):
        door.preflight(["acme/m"])


def test_an_endpoint_that_is_not_in_the_file_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\nprompt: {text: 'Say {{a}}'}\ntargets: [{model: acme/m}]\ngate: {margin: 0.1}\n"
        "data: {traces: {file: a.jsonl}}\n"
    )
    with (
        pytest.raises(EndpointError, match=re.escape(f"{path}: no endpoint for model 'acme/m'")),
        naming_lines(path),
        Door.open() as door,
    ):
        door.preflight(["acme/m"])
