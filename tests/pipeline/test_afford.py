"""The gate once more, by what calls have taken: rows that are opened must all be answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptmigrate.errors import BudgetExceeded
from promptmigrate.evaluate import Evaluator, Measure
from promptmigrate.harvest import read_dataset
from promptmigrate.lm import Door
from promptmigrate.pipeline import migrate
from promptmigrate.pipeline.afford import Allowance, allowances, within
from promptmigrate.pipeline.plan import Plan, plan
from promptmigrate.pipeline.prepare import Ready, production_prompt
from promptmigrate.pipeline.rundir import RunDir
from promptmigrate.pipeline.same import Inputs
from promptmigrate.simulate import worlds
from promptmigrate.types import Dataset, Example, Prompt, Split, Variant
from scorers import exact_match
from tests.pipeline.test_forecast import traced
from tests.pipeline.test_plan import PROMPT, config, dataset


@pytest.fixture
def data() -> Dataset:
    return dataset(150)


@pytest.fixture
def planned(data: Dataset) -> Plan:
    with Door.open() as door:
        return plan(config(budget={"calls": 500}), data, PROMPT, 1, door)


@pytest.fixture
def tight(data: Dataset) -> Plan:
    """Money keeps test rows closed."""
    with Door.open() as door:
        found = plan(config(budget={"calls": 500, "usd": 0.05}), data, PROMPT, 1, door)
    assert found.gate_rows < found.most_rows == 50
    return found


def left(rows: int, limit: str = "usd") -> Allowance:
    return Allowance(limit=limit, left=rows * 0.0002 + 0.0001, a_row=0.0002, unit="USD")


def test_what_is_left_pays_for_the_plan(planned: Plan):
    calls = Allowance(limit="calls", left=planned.gate_calls, a_row=2, unit="calls")
    assert within(planned, [calls]) is planned
    assert within(planned, []) is planned


def test_a_provider_that_fails_often_opens_fewer_rows_and_it_is_said(planned: Plan):
    calls = Allowance(limit="calls", left=planned.gate_calls, a_row=3.1, unit="calls")
    found = within(planned, [calls], retry_rate=0.5)
    assert found.gate_rows == int(planned.gate_calls / 3.1)
    assert "100 calls of the budget are left and a test row takes about 3.1 calls (50% of" in found.short
    assert "budget.calls pays for 32 of 50 test rows; about 55.8 calls more would do" in found.short


def test_rows_that_were_kept_closed_are_opened_where_they_are_paid_for(tight: Plan):
    found = within(tight, [left(400, "calls"), left(60)])
    assert (found.gate_rows, found.gate_calls, found.short) == (50, 100, "")


def test_every_limit_holds(tight: Plan):
    found = within(tight, [left(45), left(30, "tokens"), left(40, "minutes")])
    assert (found.gate_rows, found.gate_calls) == (30, 60)
    assert "budget.tokens pays for 30 of 50 test rows" in found.short


def test_calls_that_the_search_was_promised_stay_its_own(data: Dataset):
    """A run that goes on after a crash comes to the same rows."""
    with Door.open() as door:
        found = plan(config(budget={"calls": 120}), data, PROMPT, 1, door)
    assert found.gate_rows == found.most_rows == 30
    assert within(found, [left(50, "calls"), left(50)]) is found


@pytest.mark.parametrize("limit", ["calls", "usd", "tokens", "minutes"])
def test_rows_that_could_not_all_be_answered_stay_closed(tight: Plan, limit: str):
    with pytest.raises(BudgetExceeded, match=rf"no test row was opened\. Raise budget\.{limit}"):
        within(tight, [left(400), left(19, limit)])


def ready(folder: Path, name: str) -> Ready:
    world = worlds()[name]
    rows = [
        Example(id=Example.content_id(row.inputs), inputs=row.inputs, reference=str(row.expected))
        for row in world.rows(90, seed=2)
    ]
    names: tuple[Split, ...] = ("train", "validation", "test")
    data = Dataset(examples=tuple(rows), splits={e.id: names[i % 3] for i, e in enumerate(rows)})
    return Ready(
        prompt=Prompt.of(world.prompt if isinstance(world.prompt, str) else list(world.prompt)),
        prompt_uri=None,
        seeds=(),
        inputs=Inputs(digest=""),
        run=RunDir(folder),
        dataset=data,
    )


@pytest.mark.parametrize(
    ("world", "at_most"),
    [
        ("triage", 1.8),
        # Answers are longer than the bare numbers that were recorded, as with models that think first.
        ("arithmetic", 2.5),
    ],
)
def test_what_is_left_and_what_a_row_takes_are_measured(tmp_path: Path, world: str, at_most: float):
    project = ready(tmp_path, world)
    experiment = config(budget={"calls": 500, "usd": 0.3, "tokens": 90_000, "minutes": 5})
    production = Variant(prompt=project.prompt, model=f"sim/{world}-large")
    candidate = Variant(prompt=project.prompt, model=f"sim/{world}-small")
    with Door.open(budget=experiment.budget) as door:
        planned = plan(experiment, project.dataset, project.prompt, 1, door)
        evaluator = Evaluator(door, [Measure(scorer=exact_match())])
        evaluator.run([candidate], project.dataset.split("validation"))
        evaluator.run([production], project.dataset.split("train")[:1])
        before = door.spend
        found = allowances(experiment, project, planned, [production, candidate], evaluator, door)
        calls, usd, tokens, minutes = found
        assert (calls.left, calls.a_row) == (500 - 31, 2)
        price = door.price(f"sim/{world}-large")
        assert price is not None
        assert usd.left < 0.3 - before.usd - price.cost(0, 4096), "the last call must fit at its worst case"
        assert tokens.left < 90_000 - before.tokens - 4096
        assert 0 < minutes.left <= 300
        evaluator.run([production, candidate], project.dataset.split("test"))
        dollars = (door.spend.usd - before.usd) / 30
        assert dollars < usd.a_row < at_most * dollars
        a_row = (door.spend.tokens - before.tokens) / 30
        assert a_row < tokens.a_row < at_most * a_row
        only_calls = config(budget={"calls": 500})
        (free,) = allowances(only_calls, project, planned, [production, candidate], evaluator, door)
        assert free.limit == "calls"


def test_small_budgets_take_longer_since_few_calls_go_at_a_time(tmp_path: Path):
    project = ready(tmp_path, "triage")
    candidate = Variant(prompt=project.prompt, model="sim/triage-small")
    with Door.open() as door:
        evaluator = Evaluator(door, [Measure(scorer=exact_match())])
        evaluator.run([candidate], project.dataset.split("validation"))

        planned = plan(config(budget={"calls": 500}), project.dataset, project.prompt, 1, door)
        assert planned.concurrency == 25

        def seconds_a_row(**budget: float) -> float:
            experiment = config(budget={"calls": 500, "minutes": 5, **budget})
            *_, minutes = allowances(experiment, project, planned, [candidate], evaluator, door)
            assert minutes.limit == "minutes"
            return minutes.a_row

        free = seconds_a_row()
        assert seconds_a_row(tokens=10_000_000) == free
        # A call takes up to 4,096 tokens of output, and a quarter of what is left may be under way.
        assert seconds_a_row(tokens=90_000) == pytest.approx(25 / 4 * free)
        price = door.price("sim/triage-small")
        assert price is not None
        at_worst = price.cost(0, 4096)
        assert 25 / 10 * free <= seconds_a_row(usd=4 * 11 * at_worst) <= 25 / 7 * free


@pytest.mark.slow
def test_a_run_opens_the_rows_that_its_money_turns_out_to_pay_for(tmp_path: Path):
    """And again the same ones, where it goes on with the gate."""
    experiment = traced(tmp_path, "triage", 300, {"usd": 0.15})
    first = migrate(experiment, folder=tmp_path, runs=tmp_path / "runs")
    said = first.summary
    assert said["spend"]["usd"] <= 0.15
    opened = said["rows"]["used"]
    assert opened == RunDir(first.dir).state()["gate"]["rows"]
    forecast = said["forecast"]
    assert forecast["most"] == {"calls": None, "usd": 0.15}
    assert forecast["usd"][0] <= said["spend"]["usd"] <= forecast["usd"][1] <= 0.15
    with Door.open() as door:
        data = read_dataset(first.dir / "dataset.parquet")
        before = plan(experiment, data, production_prompt(experiment, tmp_path)[0], 1, door)
    assert 40 <= before.gate_rows <= opened <= before.test_rows
    short = [warning for warning in said["warnings"] if "test rows" in warning]
    assert bool(short) == (opened < before.test_rows)


def test_a_side_that_never_answered_is_taken_at_what_was_planned(tmp_path: Path):
    project = ready(tmp_path, "triage")
    experiment = config(budget={"tokens": 90_000})
    candidate = Variant(prompt=project.prompt, model="sim/triage-small")
    with Door.open(budget=experiment.budget) as door:
        planned = plan(experiment, project.dataset, project.prompt, 1, door)
        evaluator = Evaluator(door, [Measure(scorer=exact_match())])
        (tokens,) = allowances(experiment, project, planned, [candidate], evaluator, door)
    assert 100 < tokens.a_row < 1000
