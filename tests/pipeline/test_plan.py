from __future__ import annotations

import json
import multiprocessing
import re
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import Config, parse_config
from promptmigrate.decide.openings import Looks
from promptmigrate.errors import BudgetExceeded, ConfigError, StorageError
from promptmigrate.lm import Door
from promptmigrate.pipeline.gate import Trust, rules_of
from promptmigrate.pipeline.measures import choose, measures
from promptmigrate.pipeline.plan import gate_rows, plan
from promptmigrate.pipeline.rundir import RunDir, check_writable, run_id, unfinished
from promptmigrate.types import Dataset, Example, Prompt

PROMPT = Prompt.of("Say {{x}}")


def config(**changes: Any) -> Config:
    base = {
        "name": "t",
        "prompt": {"text": "Say {{x}}"},
        "source": {"model": "sim/triage-large"},
        "targets": [{"model": "sim/triage-small"}],
        "data": {"traces": {"file": "x.jsonl"}},
        "gate": {"margin": 0.05},
    }
    return parse_config({**base, **changes})


def dataset(rows: int, expected: str = "yes") -> Dataset:
    examples = tuple(
        Example(id=f"e{index}", inputs={"x": f"text {index}"}, reference=expected) for index in range(rows)
    )
    names = ("train", "validation", "test")
    return Dataset(examples=examples, splits={e.id: names[i % 3] for i, e in enumerate(examples)})  # type: ignore[misc]


def test_the_gate_comes_first_and_the_parts_fit_the_budget():
    with Door.open() as door:
        found = plan(config(budget={"calls": 500}), dataset(150), PROMPT, 2, door)
        assert found.gate_calls == 50 * 2 * 2
        assert found.gate_calls + found.search_calls + found.spare_calls == 500
        # Requests that are sent again may take a quarter of the gate's rows (50 of four calls), no more.
        assert found.search_budget(config(budget={"calls": 500})).calls == 500 - 38 * 4 - 25
        assert found.concurrency <= found.spare_calls // 2
        recorded = plan(
            config(budget={"calls": 500}, gate={"margin": 0.05, "baseline": "recorded"}),
            dataset(150), PROMPT, 2, door,
        )  # fmt: skip
        assert recorded.gate_calls == 50 * 2 + 50


@pytest.mark.parametrize(
    ("source", "better"),
    [
        ({"model": "sim/triage-small"}, True),
        ({"model": "sim/triage-small", "params": {"temperature": 0.5}}, False),
        ({"model": "sim/triage-large"}, False),
        (None, False),
    ],
)
def test_where_the_model_stays_a_candidate_has_to_be_better(source: dict[str, Any] | None, better: bool):
    # Whatever the search made of its parameters.
    asked = config(source=source, search={"may_change": ["instructions", "temperature"]})
    looks, trust = Looks(decisions=1, candidates=1, seen=0.0, changed=()), Trust(uncalibrated=(), errors={})
    with Door.open() as door:
        found = plan(asked, dataset(150), PROMPT, 1, door)
    rules = rules_of(asked, dataset(150), plan=found, opened=looks, trust=trust)
    assert rules.superiority is better


@pytest.mark.parametrize("budget", [{"calls": 50}, {"usd": 0.00001}, {"tokens": 1000}])
def test_budgets_that_cannot_reach_a_verdict(budget: dict[str, Any]):
    with Door.open() as door, pytest.raises(BudgetExceeded, match="before a verdict"):
        plan(config(budget=budget), dataset(150), PROMPT, 1, door)


@pytest.mark.parametrize("budget", [{"calls": 50}, {"usd": 0.00001}, {"tokens": 1000}])
def test_what_it_says_to_raise_the_budget_to_suffices(budget: dict[str, Any]):
    with Door.open() as door:
        with pytest.raises(BudgetExceeded) as refused:
            plan(config(budget=budget), dataset(150), PROMPT, 1, door)
        said = re.search(r"raise budget\.(\w+) to about (\S+) \w+ \((\S+) \w+ for all 50", str(refused.value))
        assert said is not None
        enough, everything = (float(number.replace(",", "")) for number in said.groups()[1:])
        assert plan(config(budget={said[1]: enough}), dataset(150), PROMPT, 1, door).gate_rows >= 20
        assert plan(config(budget={said[1]: everything}), dataset(150), PROMPT, 1, door).gate_rows == 50


def test_a_small_budget_opens_fewer_test_rows_and_says_so():
    with Door.open() as door:
        found = plan(config(budget={"calls": 120}), dataset(150), PROMPT, 1, door)
    assert found.gate_rows == 30
    assert found.gate_calls + found.search_calls + found.spare_calls == 120
    assert "30 of 50 test rows" in found.short
    assert "200 calls would do" in found.short
    assert found.notes == (found.short,) and found.short in found.lines()
    rows = gate_rows(dataset(150), found)
    assert len(rows) == 30
    assert {row.id for row in rows} < {row.id for row in dataset(150).split("test")}


def test_money_pays_for_rows_at_what_recorded_answers_cost_not_at_the_worst_case():
    with Door.open() as door:
        price = door.price("sim/triage-large")
        assert price is not None
        worst = price.cost(0, 4096)
        found = plan(config(budget={"usd": 0.2, "calls": 2000}), dataset(300), PROMPT, 1, door)
        assert found.gate_rows == 100, "labels have a token or two"
        assert worst < found.gate_usd < 0.1
        short = plan(config(budget={"usd": 0.05, "calls": 2000}), dataset(300), PROMPT, 1, door)
    assert 20 <= short.gate_rows < 100
    assert short.gate_usd < 0.05
    assert "USD would do" in short.short, "in the unit of the limit that binds"


def test_money_cannot_limit_models_without_a_price():
    models: dict[str, Any] = {"source": {"model": "acme/a"}, "targets": [{"model": "acme/b"}]}
    models["endpoints"] = {"acme": {"base_url": "http://127.0.0.1:9/v1"}}
    with Door.open(endpoints=config(**models).endpoints) as door:
        with pytest.raises(BudgetExceeded, match="price of acme/b, acme/a is not known"):
            plan(config(budget={"usd": 1}, **models), dataset(150), PROMPT, 1, door)
        found = plan(config(budget={"usd": 1, "calls": 400}, **models), dataset(150), PROMPT, 1, door)
    assert "is not known" in found.lines()[-1]


@pytest.mark.parametrize(
    ("expected", "scorer"),
    [
        (["billing", "refund", "refund"] * 4, "label_match"),
        (["12", "13.5", "$1,200"] * 4, "numeric_match"),
        ([12, 13.5, 7], "numeric_match"),
        (['{"a": 1}', '{"a": 2}'], "json_match"),
        ([{"a": 1}], "json_match"),
        ([f"a free text number {i}" for i in range(9)], "exact_match"),
    ],
)
def test_auto_chooses_from_the_answers(expected: list[Any], scorer: str):
    rows = [
        Example(id=str(i), inputs={"x": str(i)}, expectations={"expected_response": value})
        for i, value in enumerate(expected)
    ]
    assert choose(rows)["use"] == scorer


def test_free_text_goes_to_the_judge_where_there_is_one():
    rows = [Example(id=str(i), inputs={}, reference=f"some long answer {i}") for i in range(9)]
    assert choose(rows, judge="a/b") == {"use": "equivalence", "model": "a/b"}


@pytest.mark.parametrize(
    ("scorers", "message"),
    [
        ([{"use": "label_mach"}], "scorers.0: .*label_match"),
        ([{"use": "exact_match", "strp": True}], "strip"),
        ([{"use": "correctness"}], "judge"),
        ([{"use": "exact_match"}, {"use": "exact_match"}], "same name"),
    ],
)
def test_scorers_that_cannot_be_built(scorers: list[dict[str, Any]], message: str):
    with pytest.raises(ConfigError, match=message):
        measures(config(scorers=scorers), dataset(9).examples)


def test_an_interrupted_run_is_found_again(tmp_path: Path):
    run = RunDir(tmp_path / run_id("c", "p", "d", "i"))
    with run.held():
        run.write_state(config_digest="c", prompt_digest="p", inputs_digest="i", state="running")
        (run.path / "dataset.parquet").touch()
    assert unfinished(tmp_path, "c", "p", "i") == run
    assert unfinished(tmp_path, "other", "p", "i") is None
    run.write_state(state="finished")
    assert unfinished(tmp_path, "c", "p", "i") is None


def hold(path: str) -> str:
    try:
        with RunDir(Path(path)).held():
            return "held"
    except StorageError as error:
        return str(error)


def test_two_processes_never_work_in_one_folder(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    with RunDir(tmp_path / "r").held(), context.Pool(1) as pool:
        assert "another process is working on" in pool.apply(hold, (str(tmp_path / "r"),))
    assert hold(str(tmp_path / "r")) == "held"


def write(path: str, worker: int) -> Any:
    run = RunDir(Path(path))
    for number in range(60):
        run.write_state(**{f"{worker}.{number}": number})
    return run.settle("gate", {"worker": worker})


def test_what_workers_write_into_the_state_at_the_same_time_is_all_kept(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        settled = pool.starmap(write, [(str(tmp_path), 1), (str(tmp_path), 2)])
    state = RunDir(tmp_path).state()
    assert settled == [state["gate"]] * 2
    assert len(state) == 121


def test_a_corrupt_state_is_named(tmp_path: Path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(StorageError, match=r"run\.json cannot be read"):
        RunDir(tmp_path).state()
    (tmp_path / "run.json").write_text(json.dumps([1]))
    with pytest.raises(StorageError, match="JSON object"):
        RunDir(tmp_path).state()


def test_folders_are_checked_without_leaving_anything(tmp_path: Path):
    check_writable(tmp_path / "new" / "deep", what="run folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is not a folder"):
        check_writable(tmp_path / "file" / "runs", what="run folder")
