"""The route file: what is accepted, what is refused and with which words."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.errors import RouteError
from promptmigrate.files import dump_yaml
from promptmigrate.gateway import Route, dump_route, load_route, parse_route
from promptmigrate.gateway.route import PromptSnapshot, check_route
from promptmigrate.types import Prompt
from tests.gateway.conftest import PRODUCTION, route_data, snapshot

FULL: dict[str, Any] = {
    "fallbacks": {"default": ["production"], "context_length": ["production"], "auth": []},
    "shadow": {"variant": "candidate", "share": 500, "max_usd_per_day": 5},
    "rollout": {
        "stages": [
            {"share": 100, "min_hours": 1, "min_labels": 100}, {"share": 500}, {"share": 2500},
            {"share": 10000},
        ],
        "guardrails": [
            {"name": "quality", "scorer": "equivalence", "design": "paired_shadow", "margin": 0.02,
             "alpha": 0.05, "on_harm": "rollback"},
            {"name": "latency_p95", "max_ratio": 1.25, "on_harm": "pause"},
        ],
        "inconclusive": {"after_hours": 168, "then": "pause"},
    },
    "timeouts": {"connect_s": 2, "first_token_s": 10, "idle_s": 15, "attempt_s": 30, "total_s": 60},
    "retry": {
        "max_attempts": 3, "backoff": {"base_s": 0.5, "max_s": 8}, "retry_after_max_s": 20, "budget": 0.1
    },
    "breaker": {"failures": 5, "window_s": 30, "open_s": 15},
    "concurrency": {"max": 64, "queue": 128, "queue_timeout_s": 2},
    "trace": {"sink": "mlflow", "experiment": "support-prod", "content": "redacted", "sample": 1.0},
    "evidence": {"verdict": "PROMOTE", "bundle": "sha256:x", "run_id": "r", "dataset": "sha256:y"},
}  # fmt: skip


def test_the_whole_example_of_the_design_is_read_and_read_back() -> None:
    route = parse_route(dump_yaml(route_data(**FULL)))
    assert route.rollout is not None
    assert [stage.share for stage in route.rollout.stages] == [100, 500, 2500, 10000]
    assert route.variants["production"].prompt.prompt == PRODUCTION
    assert route.variants["production"].prompt.version == ("support", "3")
    assert route.variables == ("text",)
    assert route.not_acted_on[:3] == ("shadow", "rollout", "timeouts.connect_s")
    assert check_route(route_data()).not_acted_on == ()
    text = dump_route(route)
    assert parse_route(text) == route
    assert dump_route(parse_route(text)) == text


def test_a_small_route_gets_the_defaults_and_is_written_as_small() -> None:
    data = route_data(timeouts=None, retry=None, trace=None, unit=None)
    route = check_route(data)
    assert (route.timeouts.total_s, route.retry.max_attempts, route.trace.sink) == (60, 3, "none")
    assert route.salt == "support"
    assert "timeouts" not in dump_route(route)


def test_a_file_is_loaded_and_its_name_is_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(dump_yaml(route_data()))
    assert load_route(path).route == "support"
    path.write_text(dump_yaml(route_data()) + "traffc: {}\n")
    with pytest.raises(RouteError, match=r"r\.yaml:\d+: unknown key 'traffc'; did you mean 'traffic'\?"):
        load_route(path)
    with pytest.raises(RouteError, match="cannot be read: No such file"):
        load_route(tmp_path / "none.yaml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RouteError, match="not UTF-8"):
        load_route(path)


def edit(path: str, value: Any) -> dict[str, Any]:
    data = deepcopy(route_data(**FULL))
    *parents, last = path.split(".")
    place: Any = data
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", "promptmigrate.route/2", "'schema': input should be 'promptmigrate.route/1'"),
        ("route", "a/b", "'a/b' is not a valid name"),
        ("revision", 0, "'revision': input should be greater than 0"),
        ("revision", "4", "'revision': input should be a valid integer"),
        ("revision", True, "'revision': input should be a valid integer"),
        ("revision", ..., "'revision' is missing"),
        ("state", "dead", "'state': input should be 'active', 'paused' or 'killed'"),
        ("control", "prod", "'control': variant 'prod' is not defined; did you mean 'production'?"),
        ("traffic", {"production": 9500, "candidate": 499}, "add up to 9999 basis points"),
        ("traffic", {"production": 0.95, "candidate": 0.05}, "'traffic.production': input should be a valid"),
        ("traffic", {"production": 10500, "candidate": -500}, "less than or equal to 10000"),
        ("traffic", {"production": 9500, "canary": 500}, "'traffic.canary': variant 'canary' is not defined"),
        ("fallbacks.default", ["nobody"], "variant 'nobody' is not defined; variants: "),
        ("fallbacks.defualt", [], "unknown key 'fallbacks.defualt'; did you mean 'default'?"),
        ("shadow.variant", "candidat", "did you mean 'candidate'?"),
        ("variants", {}, "'variants'"),
        ("variants.bad name", route_data()["variants"]["candidate"], "'bad name' is not a valid name"),
        ("variants.candidate.model", "mini", "must be provider/model"),
        ("variants.candidate.params", {"api_key": "sk-1"}, "'api_key' cannot be set here"),
        ("variants.candidate.params", {"temperature": float("inf")}, "must be plain JSON values"),
        ("variants.candidate.prompt.digest", "sha256:" + "0" * 64, "not match its digest (the text has sha"),
        ("variants.candidate.prompt.text", "Other: {{text}}", "does not match its digest"),
        ("variants.candidate.prompt.uri", "prompts:/support@production", "aliases may move"),
        ("variants.candidate.prompt.messages", [{"role": "user", "content": "x"}], "one of text, messages"),
        ("variants.candidate.prompt", snapshot(Prompt.of("{{other}}")), "differing: other, text"),
        ("variants.candidate.endpoint.base_url", "http://u:pw@h/v1", "without login"),
        ("variants.candidate.endpoint.base_url", "file:///etc/passwd", "must be http(s)"),
        ("variants.candidate.context_window", 0, "greater than 0"),
        ("timeouts.total_s", float("nan"), "should be a finite number"),
        ("timeouts.total_s", "60", "should be a valid number"),
        ("retry.max_attempts", 99, "less than or equal to 10"),
        ("retry.budget", 2, "less than or equal to 1"),
        ("rollout.stages", [{"share": 500}, {"share": 100}], "must rise from stage to stage"),
        ("rollout.guardrails.0.nme", "x", "did you mean 'name'?"),
        ("trace.content", "raw", "'redacted', 'full' or 'none'"),
        ("trace.tracking_uri", "./mlruns", "must be http(s)://host or a database"),
        ("trace.tracking_uri", "postgresql://u:pw@h/db", "must not hold a password"),
        ("trace.sample", 1.5, "less than or equal to 1"),
        ("unit.from", [], "'unit.from'"),
        ("unit.from", ["account"], "'unit.from.0': input should be 'user' or 'session'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(path: str, value: Any, message: str) -> None:
    with pytest.raises(RouteError) as caught:
        parse_route(dump_yaml(edit(path, value)), file=Path("r.yaml"))
    text = str(caught.value)
    assert message in text
    assert text.startswith("r.yaml:")
    assert text.removeprefix("r.yaml:")[0].isdigit()
    assert "\n" not in text


def test_a_context_length_fallback_needs_a_known_window() -> None:
    data = edit("variants.production.context_window", ...)
    with pytest.raises(RouteError, match="'production' must state its context_window"):
        check_route(data)


def test_a_key_in_the_place_of_its_name_is_not_repeated() -> None:
    with pytest.raises(RouteError, match="not the key itself") as caught:
        parse_route(dump_yaml(edit("variants.candidate.endpoint.api_key_env", "sk-secret-123")))
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping"),
        ("- 1", "must be a mapping"),
        ("a: &x 1\nb: *x", "anchors and aliases"),
        ("route: a\nroute: b", "line 2: key 'route' appears twice"),
        ("route: !!python/object:os.system x", "tags are not allowed"),
        ("route: [", "not valid YAML"),
        ("x: {y: .inf}", "unknown key 'x'"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(text: str, message: str) -> None:
    with pytest.raises(RouteError, match=message):
        parse_route(text)


@given(st.text(max_size=200))
def test_any_text_is_a_route_or_a_route_error(text: str) -> None:
    with pytest.raises(RouteError):
        parse_route(text)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="{}"), min_size=1, max_size=80))
def test_prompt_texts_survive_the_file(text: str) -> None:
    try:
        prompt = Prompt.of(f"{text} {{{{text}}}}")
    except Exception:
        return
    data = route_data()
    data["variants"]["production"]["prompt"] = snapshot(prompt)
    route = check_route(data)
    try:
        written = dump_route(route)
    except RouteError:
        return  # said, not written wrong
    assert parse_route(written).variants["production"].prompt.prompt == prompt


def test_a_snapshot_is_made_from_a_prompt() -> None:
    for source in ("Say {{x}}", [{"role": "user", "content": "Say {{x}}"}]):
        prompt = Prompt.of(source)
        made = PromptSnapshot.of(prompt, "prompts:/say/2")
        assert made.prompt == prompt
        assert made.version == ("say", "2")
    assert PromptSnapshot.of(prompt).version is None


def test_a_route_is_immutable() -> None:
    route = check_route(route_data())
    assert isinstance(route, Route)
    with pytest.raises(Exception, match="frozen"):
        route.revision = 5  # type: ignore[misc]


def test_importing_the_gateway_brings_in_nothing_heavy() -> None:
    heavy = [
        "mlflow",
        "dspy",
        "litellm",
        "optuna",
        "pandas",
        "sklearn",
        "scipy",
        "datasets",
        "numpy",
        "aiohttp",
    ]
    code = (
        "import sys, threading, promptmigrate.gateway; "
        f"print([m for m in {heavy} if m in sys.modules], threading.active_count())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split("\n")[0] == "[] 1"


def test_the_public_names_are_what_is_exported() -> None:
    import promptmigrate.gateway as gateway

    assert gateway.__all__ == sorted(gateway.__all__)
    assert all(hasattr(gateway, name) for name in gateway.__all__)
