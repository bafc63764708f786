from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from promptmigrate.config import EndpointConfig
from promptmigrate.errors import RouteError, StorageError
from promptmigrate.gateway.route import load_route
from promptmigrate.publish import current, told, write_route
from promptmigrate.types import Prompt, Variant

OLD = Prompt.of([{"role": "system", "content": "Sort."}, {"role": "user", "content": "{{ticket}}"}])
NEW = Prompt.text("Sort this ticket. One word: yes\n\nTicket: {{ticket}}\n")
PRODUCTION = Variant(prompt=OLD, model="openai/gpt-4.1", params={"temperature": 0})
CANDIDATE = Variant(prompt=NEW, model="mine/small", params={"temperature": 0, "max_tokens": 9})


def write(path: Path, **options: Any) -> Path:
    settings: dict[str, Any] = {
        "name": "support",
        "production": PRODUCTION,
        "candidate": CANDIDATE,
        "production_uri": "prompts:/support/3",
        "candidate_uri": "prompts:/support/4",
        "stages": [0.5, 5, 25, 100],
        "evidence": {
            "verdict": "PROMOTE",
            "run_id": "r1",
            "dataset": "sha256:1",
            "delta": 0.1,
            "bundle": None,
        },
        "prices": {
            "openai/gpt-4.1": SimpleNamespace(input_per_mtok=2.0, output_per_mtok=8.0, source="list"),
            "mine/small": None,
        },
        "endpoints": {
            "mine": EndpointConfig(base_url="http://127.0.0.1:8000/v1", api_key_env="KEY", allow_local=True)
        },
        "experiment": "support-prod",
        **options,
    }
    return write_route(path, **settings)


def test_the_route_serves_production_and_the_candidate_at_its_first_stage(tmp_path: Path) -> None:
    route = load_route(write(tmp_path / "routes" / "support.yaml"))
    assert (route.revision, route.control, route.state) == (1, "production", "active")
    assert route.traffic == {"production": 9950, "candidate": 50}
    assert route.variants["production"].variant == PRODUCTION
    assert route.variants["candidate"].variant == CANDIDATE
    assert route.variants["candidate"].prompt.uri == "prompts:/support/4"
    assert route.variants["production"].price is not None
    assert route.variants["production"].price.output_per_mtok == 8
    assert route.variants["candidate"].price is None
    endpoint = route.variants["candidate"].endpoint
    assert endpoint is not None and endpoint.base_url == "http://127.0.0.1:8000/v1" and endpoint.allow_local
    assert route.variants["production"].endpoint is None
    assert route.fallbacks.default == ["production"]
    assert route.rollout is not None
    assert [stage.share for stage in route.rollout.stages] == [50, 500, 2500, 10000]
    assert route.evidence is not None
    assert (route.evidence.verdict, route.evidence.run_id) == ("PROMOTE", "r1")
    assert route.trace.experiment == "support-prod"


def test_a_change_is_a_new_revision_and_the_old_one_stays_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "support.yaml")
    first = path.read_bytes()
    write(path)
    assert path.read_bytes() == first  # the same again: nothing happens
    path.write_text(
        path.read_text().replace("salt: support", "salt: drawn.anew") + "timeouts: {total_s: 7}\n"
    )
    edited = path.read_bytes()
    write(path, candidate_uri="prompts:/support/5")
    route = load_route(path)
    assert route.revision == 2
    assert route.variants["candidate"].prompt.uri == "prompts:/support/5"
    assert (route.unit.salt, route.timeouts.total_s) == ("drawn.anew", 7)
    assert (tmp_path / "support.r1.yaml").read_bytes() == edited
    assert sorted(item.name for item in tmp_path.iterdir()) == ["support.r1.yaml", "support.yaml"]


@pytest.mark.parametrize("state", ["paused", "killed"])
def test_a_new_verdict_does_not_start_a_held_route(tmp_path: Path, state: str) -> None:
    path = write(tmp_path / "support.yaml")
    path.write_text(path.read_text().replace("state: active", f"state: {state}"))
    before = current(path)
    write(path, evidence={"verdict": "PROMOTE", "run_id": "r2", "dataset": "sha256:1"})
    route = load_route(path)
    assert (route.revision, route.state) == (2, state)
    assert f"it stays {state}" in told(path, before)


@pytest.mark.parametrize("state", ["active", "paused", "killed"])
def test_the_same_verdict_again_leaves_an_edited_rollout_alone(tmp_path: Path, state: str) -> None:
    path = write(tmp_path / "support.yaml")
    assert told(path, None) == f"wrote {path} (revision 1)"
    text = path.read_text().replace("state: active", f"state: {state}")
    path.write_text(text.replace("production: 9950", "production: 7500").replace("date: 50", "date: 2500"))
    edited, before = path.read_bytes(), current(path)
    assert before is not None and before.traffic == {"production": 7500, "candidate": 2500}
    write(path, stages=[2, 100])
    assert path.read_bytes() == edited
    assert [item.name for item in tmp_path.iterdir()] == ["support.yaml"]
    assert told(path, before) == (
        f"left {path} as it is: revision 1, {state}, production 75 %, candidate 25 %; "
        "it was written for this verdict already"
    )


def test_what_is_there_is_not_overwritten_blindly(tmp_path: Path) -> None:
    path = tmp_path / "support.yaml"
    assert current(path) is None
    path.write_text("variants: [")
    for act in (lambda: current(path, name="support"), lambda: write(path)):
        with pytest.raises(RouteError, match=r"support\.yaml"):
            act()
    assert path.read_text() == "variants: ["
    path.unlink()
    write(path)
    with pytest.raises(RouteError, match="holds the route 'support', not 'sales'"):
        write(path, name="sales")


def test_variants_that_do_not_take_the_same_variables(tmp_path: Path) -> None:
    other = Variant(prompt=Prompt.text("{{ticket}} {{tier}}"), model="mine/small")
    with pytest.raises(RouteError, match="same variables"):
        write(tmp_path / "support.yaml", candidate=other)
    assert list(tmp_path.iterdir()) == []


def test_passwords_stay_out(tmp_path: Path) -> None:
    path = write(tmp_path / "support.yaml", tracking_uri="postgresql://me:hunter2@db/mlflow")
    assert "hunter2" not in path.read_text()
    path = write(tmp_path / "other.yaml", tracking_uri="sqlite:///mlflow.db")
    assert load_route(path).trace.tracking_uri == "sqlite:///mlflow.db"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "file" / "support.yaml")
