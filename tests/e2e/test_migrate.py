"""The main job, through the command line, against a provider that the project has never seen."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.gateway import Gateway
from promptmigrate.gateway.route import load_route
from promptmigrate.mlflow_store import client
from tests.e2e import foreign
from tests.e2e.foreign import KEY, Foreign, note
from tests.e2e.harness import Project, project, shipping

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Foreign]:
    with Foreign() as running:
        yield running


def noted(folder: Path, **metadata: float) -> None:
    """Write ``metadata`` to each recorded call of a project."""
    path = folder / "calls.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(json.dumps({**row, "metadata": metadata}) for row in rows))


def artefacts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_prompt_that_can_be_rescued_is_promoted_registered_and_served(
    server: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    work = project(tmp_path, server)
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code == 0, result.err
    summary = result.json
    assert summary["verdict"] == "PROMOTE"
    assert summary["before"]["score"] < 0.2
    assert summary["candidate"]["score"] > 0.9
    assert summary["interval"][0] > -0.06
    assert sum(summary["spend"]["calls"].values()) == server.calls <= 700
    assert server.repeated == 0
    assert summary["test_openings"] == 1

    monkeypatch.chdir(tmp_path)
    store = client("sqlite:///mlflow.db")
    version = store.get_prompt_version_by_alias("moods", "candidate")
    assert summary["prompt_version"] == f"prompts:/moods/{version.version}"
    assert version.model_config["model_name"] == "petite"

    route = load_route(tmp_path / summary["route"])
    assert route.traffic == {"production": 9900, "candidate": 100}
    monkeypatch.setenv("FOREIGN_KEY", KEY)
    text, truth = note(9999)
    with Gateway(tmp_path / summary["route"]) as gateway:
        answers = [gateway.complete({"note": text}, user=f"u{n}") for n in range(3)]
    assert {answer.text for answer in answers} <= {truth, "UNSURE"}

    run_dir = tmp_path / summary["run_dir"]
    names = {path.name for path in run_dir.iterdir()}
    assert names >= {
        "config.yaml", "dataset.parquet", "outcomes.jsonl", "best.yaml", "verdict.json", "test_rows.jsonl",
        "report.html", "route.yaml",
    }  # fmt: skip
    for path in artefacts(tmp_path):
        assert KEY.encode() not in path.read_bytes(), path

    # the same command again pays nothing, registers nothing new and says the same
    calls = server.calls
    again = work.run("migrate", "experiment.yaml", "--json")
    assert again.code == 0
    assert server.calls == calls
    for key in ("verdict", "delta", "interval", "baseline", "candidate", "prompt_version", "test_openings"):
        assert again.json[key] == summary[key]
    assert load_route(tmp_path / summary["route"]).revision == 1


def test_json_extraction_is_rescued_too(server: Foreign, tmp_path: Path):
    work = shipping(tmp_path, server)
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code == 0, result.err
    assert result.json["candidate"]["score"] > 0.9
    assert server.calls <= 700


def test_gepa_improves_and_stays_inside_the_budget(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    path = work.write(search={"reflection_model": "acme/writer", "strategy": "gepa"})
    result = work.run("migrate", str(path), "--json")
    assert result.code == 0, result.err
    assert result.json["candidate"]["score"] > 0.9
    assert server.calls <= 700
    assert server.repeated == 0


@pytest.mark.parametrize(
    ("guardrails", "said"),
    [
        ({"cost_ratio": 0.001}, "no prompt can keep to gate.guardrails.cost_ratio"),
        ({"p95_latency_ratio": 0.01}, "no prompt makes this model so much faster"),
    ],
)
def test_limits_that_no_prompt_can_keep_end_the_search_after_the_seeds(
    tmp_path: Path, guardrails: dict[str, float], said: str
):
    with Foreign(latency_s=0.05) as slow:
        work = project(tmp_path, slow, rows=200)
        noted(tmp_path, latency_s=0.04)
        prices = {f"acme/{name}": {"input_per_mtok": 1, "output_per_mtok": 2} for name in ("grand", "petite")}
        gate = {"margin": 0.06, "guardrails": guardrails, "baseline": "recorded"}
        path = work.write(gate=gate, prices=prices)
        result = work.run("migrate", str(path), "--json")
    assert result.code in (100, 101), result.err
    run_dir = tmp_path / result.json["run_dir"]
    story = json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))["search"]
    assert said in story["stopped"]
    assert story["calls"] < 120


def test_production_that_thinks_before_it_answers_allows_what_its_counted_tokens_cost(
    server: Foreign, tmp_path: Path
):
    work = project(tmp_path, server, rows=200)
    noted(tmp_path, input_tokens=40, output_tokens=900)
    prices = {
        "acme/grand": {"input_per_mtok": 0.1, "output_per_mtok": 10},
        "acme/petite": {"input_per_mtok": 1, "output_per_mtok": 1},
    }
    gate = {"margin": 0.06, "guardrails": {"cost_ratio": 0.8}}
    result = work.run("migrate", str(work.write(gate=gate, prices=prices)), "--json")
    story = result.json["search"]
    assert "limits" not in story["stopped"], "an answer of one word is not what production paid for"
    assert story["calls"] > 120


def test_a_source_without_an_endpoint_is_refused_before_anything_is_spent(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    gate = {"margin": 0.06, "baseline": "recorded"}
    path = str(work.write(source={"model": "retired/old"}, gate=gate))
    for command in (("config", "check", path), ("migrate", path, "--json")):
        result = work.run(*command)
        assert result.code == 2 and "endpoints.retired.base_url" in result.err
    assert server.calls == 0


def test_calls_of_unknown_price_are_told_beside_what_the_others_cost(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    prices = {f"acme/{name}": {"input_per_mtok": 1, "output_per_mtok": 2} for name in ("grand", "petite")}
    result = work.run("migrate", str(work.write(prices=prices)))
    assert result.code == 0, result.err
    asked = sum(model == "writer" for model, _ in server.log)
    calls = "1 call" if asked == 1 else f"{asked} calls"
    assert f" and {calls} of unknown price\n" in result.err
    assert f" without {calls} of unknown price; " in result.err


def test_counted_tokens_of_recorded_answers_cost_what_the_source_costs(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, margin=0.1)
    noted(tmp_path, input_tokens=30, output_tokens=10)
    prices = {
        "acme/grand": {"input_per_mtok": 100, "output_per_mtok": 400},
        "acme/petite": {"input_per_mtok": 1, "output_per_mtok": 4},
    }
    gate = {"margin": 0.1, "baseline": "recorded", "guardrails": {"cost_ratio": 0.9}}
    result = work.run("migrate", str(work.write(gate=gate, prices=prices)), "--json")
    assert result.code == 0, result.err
    assert result.json["baseline"]["cost_per_call_usd"] == pytest.approx((30 * 100 + 10 * 400) / 1e6)
    assert result.json["cost_ratio"]["interval"][1] < 0.9
    checked = work.run("verify", result.json["bundle"]["path"])
    assert checked.code == 0, checked.out + checked.err


def test_models_that_end_in_the_middle_of_a_character_break_nothing(
    server: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    half = "\ud83d"

    def answer(model: str, messages: list[dict[str, str]]) -> str:
        text = answered(model, messages)
        if model == "writer":
            return text.replace("Reply", f"{half}Reply")
        return f"{text} {half}" if len(messages[-1]["content"]) % 8 == 0 else text

    answered = foreign.answer
    monkeypatch.setattr(foreign, "answer", answer)
    work = project(tmp_path, server, rows=300)
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code in (0, 100, 101), result.err
    assert "holds half a character" in (tmp_path / result.json["run_dir"] / "searches/0.json").read_text()
    checked = work.run("verify", result.json["bundle"]["path"])
    assert checked.code == 0, checked.out + checked.err


def test_nothing_is_registered_where_nothing_improves(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, target="dull")
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code in (100, 101), result.err
    assert result.json["verdict"] in ("REJECT", "INCONCLUSIVE")
    assert result.json["prompt_version"] is None
    assert not (tmp_path / "routes").exists()
    assert server.calls <= 700


def test_same_model_needs_a_better_prompt(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, target="grand")
    path = work.write(source={"model": "acme/grand", "params": {"temperature": 0}})
    result = work.run("migrate", str(path), "--json")
    assert result.code in (100, 101), result.err
    assert result.json["superiority"] is True
    assert result.json["prompt_version"] is None


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_repeats_no_call_and_reaches_the_same_verdict(server: Foreign, tmp_path: Path, seed: int):
    plain, killed = tmp_path / "plain", tmp_path / "killed"
    plain.mkdir()
    killed.mkdir()
    expected = project(plain, server).run("migrate", str(project(plain, server).write()), "--json")
    assert expected.code == 0, expected.err
    calls = server.calls

    with Foreign(latency_s=0.02) as other:
        work = project(killed, other)
        path = work.write()
        chance = random.Random(seed)
        most_in_flight = 35  # half of the spare calls, a tenth of the budget
        for share in sorted(chance.sample(range(10, 90), 2)):
            process = subprocess.Popen(
                work.command("migrate", str(path), "--json"),
                cwd=work.folder,
                env=work.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while other.calls < calls * share / 100 and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        result = work.run("migrate", str(path), "--json")
        assert result.code == 0, result.err
        assert other.repeated <= 2 * most_in_flight  # answers that were on their way when it died
        assert other.calls <= 700
    assert result.json["verdict"] == expected.json["verdict"]
    assert result.json["prompts"] == expected.json["prompts"]
    assert result.json["delta"] == expected.json["delta"]


def test_a_run_that_goes_on_from_another_runs_folder_pays_nothing_twice(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    first = work.run("migrate", str(work.write()), "--runs", "mine", "--json")
    assert first.code == 0, first.err
    calls = server.calls
    again = work.run("migrate", "experiment.yaml", "--run", first.json["run_dir"], "--json")
    assert again.code == 0, again.err
    assert server.calls == calls
    assert again.json["test_openings"] == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("tokens", [60_000, 150_000])
def test_a_budget_of_tokens_keeps_enough_for_a_verdict(server: Foreign, tmp_path: Path, tokens: int):
    work = project(tmp_path, server)
    result = work.run("migrate", str(work.write(budget={"tokens": tokens})), "--json")
    assert result.code in (0, 101), result.err
    assert result.json["rows"]["test"] >= 20


def test_outages_are_retried_and_counted(server: Foreign, tmp_path: Path):
    server.fault = lambda number: {0: 503, 5: 429}.get(number % 20)
    work = project(tmp_path, server)
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code == 0, result.err
    assert sum(result.json["spend"]["calls"].values()) == server.calls <= 700


def test_a_run_can_be_recorded_and_replayed_without_the_provider(server: Foreign, tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    work = project(first, server)
    recorded = work.run("migrate", str(work.write()), "--json", "--record", str(tmp_path / "tape.jsonl"))
    assert recorded.code == 0, recorded.err
    assert KEY not in (tmp_path / "tape.jsonl").read_text()
    calls = server.calls
    replayed_work = project(second, server)
    replayed = replayed_work.run(
        "migrate", str(replayed_work.write()), "--json", "--replay", str(tmp_path / "tape.jsonl")
    )
    assert replayed.code == 0, replayed.err
    assert server.calls == calls
    for key in ("verdict", "delta", "interval", "baseline", "candidate", "before", "prompts", "search"):
        assert replayed.json[key] == recorded.json[key]


def wrong_key(work: Project) -> dict[str, str]:
    return work.environment(FOREIGN_KEY="wrong-key-123456")


def without(work: Project, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in work.config.items() if key not in keys}


def test_wrong_inputs_end_with_one_sentence_and_code_2_before_any_call(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    acme = work.config["endpoints"]["acme"]
    rows = (tmp_path / "calls.jsonl").read_text().splitlines()
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "few.jsonl").write_text("\n".join(rows[:20]) + "\n")
    (tmp_path / "lacking.jsonl").write_text("\n".join([*rows[:50], json.dumps({"inputs": {"x": "y"}})]))
    (tmp_path / "corrupt.yaml").write_text("schema: promptmigrate.route/1\nroute: [")
    sealed = tmp_path / "file"
    sealed.write_text("not a folder")

    def file(name: str) -> dict[str, Any]:
        return {"data": {"traces": {"file": name}}}

    cases: list[tuple[str, dict[str, Any], str]] = [
        ("unknown key", {"gate": {"margn": 0.05}}, "did you mean 'margin'"),
        ("missing variable", file("lacking.jsonl"), "note"),
        ("no placeholders", {"prompt": {"text": "Hello"}}, "no placeholders"),
        ("empty dataset", file("empty.jsonl"), "empty"),
        ("no file", file("nowhere.jsonl"), "nowhere.jsonl"),
        ("few test rows", file("few.jsonl"), "test rows"),
        ("unreachable", {"endpoints": {"acme": {**acme, "base_url": "http://127.0.0.1:9"}}}, "127.0.0.1:9"),
        ("no such model", {"targets": [{"model": "acme/petit"}]}, "petit"),
        ("no such judge", {"scorers": [{"use": "label_match"}, {"use": "correctness"}]}, "judge"),
        ("no such scorer", {"scorers": [{"use": "label_mach"}]}, "label_match"),
        (
            "no such guardrail",
            {"gate": {"margin": 0.05, "guardrails": {"scores": {"label_mach": 0.1}}}},
            "label_match",
        ),
        ("no such slice", {"gate": {"margin": 0.05, "slices": {"by": ["tenant"]}}}, "tenant"),
        ("no such strategy", {"search": {"strategy": "reflectiv"}}, "reflective"),
        ("corrupt route", {"publish": {"route": "corrupt.yaml"}}, "corrupt.yaml"),
        ("route folder", {"publish": {"route": "file/route.yaml"}}, "file"),
        ("plain http", {"endpoints": {"acme": {**acme, "base_url": "http://10.0.0.1/v1"}}}, "allow_local"),
        ("no key variable", {"endpoints": {"acme": {**acme, "api_key_env": "NO_SUCH_KEY"}}}, "NO_SUCH_KEY"),
    ]
    for name, changes, expected in cases:
        result = work.run("migrate", str(work.write(**changes)))
        assert result.code == 2, (name, result.err)
        last = result.err.strip().splitlines()[-1]
        assert expected in last, (name, last)
        assert last.startswith("promptmigrate: "), (name, last)
    result = work.run("migrate", str(work.write()), environment=wrong_key(work))
    assert result.code == 2
    assert "FOREIGN_KEY" in result.err
    assert "wrong-key-123456" not in result.err
    result = work.run("migrate", str(work.write()), "--runs", "file/runs")
    assert result.code == 2, result.err
    assert server.calls == 0


def test_a_budget_that_cannot_reach_a_verdict_is_said_before_anything_is_spent(
    server: Foreign, tmp_path: Path
):
    work = project(tmp_path, server, calls=50)
    result = work.run("migrate", str(work.write()))
    assert result.code == 3
    assert "budget.calls" in result.err
    assert server.calls == 0


def test_mistakes_that_only_a_call_can_show_cost_three_calls_at_most(server: Foreign, tmp_path: Path):
    server.listing = False
    work = project(tmp_path, server)
    for changes, named in (
        ({"source": {"model": "acme/grandest"}}, "grandest"),
        ({"targets": [{"model": "acme/petit"}]}, "petit"),
        ({"search": {"reflection_model": "acme/riter"}}, "riter"),
    ):
        before = server.calls
        result = work.run("migrate", str(work.write(**changes)))
        assert result.code == 2, result.err
        assert named in result.err.splitlines()[-1]
        assert server.calls - before <= 3
    server.fault = lambda _number: 400
    before = server.calls
    result = work.run("migrate", str(work.write(name="refused")))
    assert result.code == 2
    assert "try later" in result.err.splitlines()[-1]
    assert server.calls - before <= 3


def test_a_judge_without_verdicts_ends_a_run_before_the_search(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, calls=1500)
    result = work.run("migrate", str(work.write(scorers=[{"use": "equivalence", "judge": "acme/critic"}])))
    assert result.code == 2, result.err
    last = result.err.strip().splitlines()[-1]
    assert "the answers of acme/critic cannot be used: equivalence has no score on 35 of 46 rows" in last
    assert server.calls < 100


def test_a_production_that_fails_its_own_measure_is_no_yardstick(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    rows = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    coded = [{**row, "expectations": {"expected_response": "code-7"}} for row in rows]
    (tmp_path / "calls.jsonl").write_text("\n".join(map(json.dumps, coded)))
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code == 101, result.err
    assert "Production itself scores only 0" in result.json["reasons"][0]
    assert result.json["prompt_version"] is None


def test_a_scorer_that_likes_every_answer_decides_nothing(server: Foreign, tmp_path: Path):
    (tmp_path / "kind_words.py").write_text("def generous(output, expected):\n    return 1.0\n")
    work = project(tmp_path, server)
    result = work.run("migrate", str(work.write(scorers=[{"use": "kind_words:generous"}])), "--json")
    assert result.code == 101, result.err
    assert "generous does not notice broken answers" in result.json["reasons"][0]
    assert result.json["route"] is None and result.json["prompt_version"] is None
    report = (tmp_path / result.json["run_dir"] / "report.html").read_text()
    assert "generous does not notice broken answers" in report
    bundle = result.json["bundle"]["path"]
    for options in ([], ["--rerun", "--own-scorers"]):
        checked = work.run("verify", bundle, *options)
        assert checked.code == 0, checked.err


def test_a_production_that_is_blocked_today_is_no_yardstick(server: Foreign, tmp_path: Path):
    server.blocked = lambda model, text: model == "grand" and sum(text.encode()) % 4 == 0
    work = project(tmp_path, server)
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code == 101, result.err
    reason = result.json["reasons"][0]
    assert "answers of production came back" in reason and "gate.baseline: recorded" in reason
    assert result.json["route"] is None and result.json["prompt_version"] is None
    assert "came back" in (tmp_path / result.json["run_dir"] / "report.html").read_text()
    bundle = result.json["bundle"]["path"]
    checked = work.run("verify", bundle)
    assert checked.code == 0, checked.err
    # What production once answered can be the yardstick.
    recorded = work.write(gate={"margin": 0.1, "baseline": "recorded"})
    result = work.run("migrate", str(recorded), "--json")
    assert result.code == 0, result.err


def test_without_a_source_the_recorded_answers_are_the_yardstick(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, margin=0.1)
    del work.config["source"]
    result = work.run("migrate", str(work.write()), "--json")
    assert result.code == 0, result.err
    assert result.json["superiority"] is False
    assert "as recorded" in result.json["baseline"]["model"]
    assert result.json["prompt_version"] is not None
    assert result.json["route"] is None
    assert server.calls <= 700


def test_a_price_given_later_settles_the_cost_without_a_call(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    gate = {"margin": 0.06, "guardrails": {"cost_ratio": 0.9}}
    first = work.run("migrate", str(work.write(gate=gate)), "--json")
    assert first.code == 101, first.err
    calls = server.calls
    prices = {
        "acme/grand": {"input_per_mtok": 10, "output_per_mtok": 40},
        "acme/petite": {"input_per_mtok": 1, "output_per_mtok": 4},
    }
    second = work.run("migrate", str(work.write(gate=gate, prices=prices)), "--json")
    assert second.json["cost_ratio"]["value"] < 0.9
    assert second.code == 0, second.err
    assert server.calls - calls <= 0.5 * calls  # a cost is one more thing to choose by


def test_a_strategy_without_reflection_needs_no_reflection_model(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    search = {"strategy": "random", "reflection_model": "openai/gpt-4.1"}  # there is no key for it
    path = str(work.write(search=search))
    assert work.run("config", "check", path).code == 0
    result = work.run("migrate", path, "--json")
    assert "verdict" in result.json, result.err
    assert result.json["spend"]["calls"]["reflection"] == 0


def test_a_strategy_with_nothing_to_change_is_refused(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    path = str(work.write(search={"strategy": "copro", "may_change": ["demos"]}))
    for command in ("migrate", "doctor"):
        result = work.run(command, path)
        assert result.code == 2
        assert "search.may_change is [demos], which leaves copro nothing to change" in result.err + result.out
    assert server.calls == 0


ROGUE = """
from dataclasses import replace
from promptmigrate.types import Prompt


class Rogue:
    name = "rogue"

    def search(self, problem):
        lost = replace(problem.original, prompt=Prompt.of("Which mood is this customer in?"))
        problem.evaluate([lost], problem.validation)
"""


def test_a_plug_in_cannot_spend_on_a_prompt_without_its_placeholder(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    info = tmp_path / "rogue-1.dist-info"
    info.mkdir()
    (tmp_path / "rogue.py").write_text(ROGUE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rogue\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[promptmigrate.strategies]\nrogue = rogue:Rogue\n")
    found = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    result = work.run(
        "migrate",
        str(work.write(search={"strategy": "rogue"})),
        environment=work.environment(PYTHONPATH=found),
    )
    assert result.code == 2
    assert "search strategy 'rogue' asks for a prompt that may not be tried" in result.err
    assert "it lost the placeholder {{note}}" in result.err
    logs = "".join(path.read_text() for path in tmp_path.rglob("outcomes.jsonl"))
    phases = {json.loads(line)["phase"] for line in logs.splitlines()}
    assert "before" in phases and "search" not in phases
    assert not list(tmp_path.rglob("best.yaml"))


def test_a_prompt_that_leaves_no_room_is_refused(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    result = work.run("migrate", str(work.write(search={"max_prompt_tokens": 10})))
    assert result.code == 2
    assert "search.max_prompt_tokens" in result.err
    assert server.calls == 0
