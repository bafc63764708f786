from __future__ import annotations

import pytest

from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm import Door
from promptmigrate.pipeline.afford import Allowance, within
from promptmigrate.pipeline.plan import Plan, fit_gate, plan
from promptmigrate.types import Dataset
from tests.pipeline.test_plan import PROMPT, config, dataset


@pytest.fixture
def data() -> Dataset:
    return dataset(150)


@pytest.fixture
def planned(data: Dataset) -> Plan:
    with Door.open() as door:
        return plan(config(budget={"calls": 500}), data, PROMPT, 1, door)


def test_what_is_left_pays_for_the_plan(planned: Plan, data: Dataset):
    assert fit_gate(planned, data, left=planned.gate_calls, retry_rate=0.0) is planned
    assert fit_gate(planned, data, left=None, retry_rate=3.0) is planned


def test_a_provider_that_fails_often_opens_fewer_rows_and_it_is_said(planned: Plan, data: Dataset):
    found = fit_gate(planned, data, left=planned.gate_calls, retry_rate=0.5)
    assert found.gate_rows == int(planned.gate_calls / (2 * 1.55))
    assert found.gate_calls * 1.5 <= planned.gate_calls
    assert "50% of the requests had to be sent again" in found.warnings[-1]


def test_rows_that_could_not_all_be_answered_stay_closed(planned: Plan, data: Dataset):
    with pytest.raises(BudgetExceeded, match="no test row was opened"):
        fit_gate(planned, data, left=40, retry_rate=0.5)


def test_repeats_and_targets_are_planned_for(data: Dataset):
    three = [{"model": f"sim/{name}"} for name in ("triage-small", "triage-tiny", "extract-small")]
    with Door.open() as door:
        found = plan(
            config(budget={"calls": 2000}, targets=three, gate={"margin": 0.05, "repeats": 2}),
            data, PROMPT, 1, door,
        )  # fmt: skip
    assert found.gate_calls == 50 * 2 * (3 + 1)
    assert found.gate_calls + 3 * found.search_calls + found.spare_calls <= 2000
    budgets = [found.search_budget(config(budget={"calls": 2000}), target).calls for target in range(3)]
    assert budgets == [
        2000 - found.gate_calls - found.spare_calls // 2 - left * found.search_calls for left in (2, 1, 0)
    ]


def test_the_search_may_not_take_the_tokens_of_the_gate(data: Dataset):
    settings = config(budget={"tokens": 60_000})
    with Door.open() as door:
        found = plan(settings, data, PROMPT, 1, door)
    budget = found.search_budget(settings)
    assert budget.tokens is not None
    assert found.gate_tokens > 50 * 2 * 150
    assert budget.tokens + found.gate_tokens == 60_000


def test_tokens_that_do_not_reach_open_fewer_rows_or_none(planned: Plan, data: Dataset):
    def left(rows: int) -> Allowance:
        return Allowance(rows=rows, limit="tokens", left="9,000 tokens", a_row="about 300")

    assert within(planned, data, [left(planned.gate_rows)]) is planned
    fewer = within(planned, data, [left(30), left(25)])
    assert (fewer.gate_rows, fewer.gate_calls) == (25, 50)
    assert "budget.tokens pays for 25" in fewer.warnings[-1]
    with pytest.raises(BudgetExceeded, match=r"no test row was opened\. Raise budget\.tokens"):
        within(planned, data, [left(10)])


def test_what_would_do_is_said_in_the_unit_that_binds(data: Dataset):
    with Door.open() as door:
        by_tokens = plan(config(budget={"tokens": 25_000, "calls": 9000}), data, PROMPT, 1, door)
        by_calls = plan(config(budget={"calls": 150}), data, PROMPT, 1, door)
    assert by_tokens.gate_rows < 50 and "tokens would do" in by_tokens.warnings[-1]
    assert by_calls.gate_rows < 50 and "200 calls would do" in by_calls.warnings[-1]
