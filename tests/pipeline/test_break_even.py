"""What is said of a promoted candidate's price."""

from __future__ import annotations

from typing import Any

import pytest

from promptmigrate.pipeline.break_even import dearer
from tests.pipeline.test_plan import config


def summary(before: float | None, after: float | None, verdict: str = "PROMOTE") -> dict[str, Any]:
    return {
        "verdict": verdict,
        "baseline": {"cost_per_call_usd": before},
        "candidate": {"cost_per_call_usd": after},
    }


def test_a_dearer_candidate_is_named_with_what_would_refuse_it():
    assert dearer(config(), summary(0.0001, 0.000871)) == (
        "the candidate costs 8.71 times what production costs: $0.000871 against $0.0001 a call; no limit "
        "was set, and 'gate: {guardrails: {cost_ratio: 1}}' would refuse a dearer one"
    )
    said = dearer(config(), summary(0.0, 0.5))
    assert said is not None and said.startswith(
        "the candidate costs more than production: $0.5 against $0 a call"
    )


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (0.0001, 0.0001, "PROMOTE"),
        (0.0001, 0.00005, "PROMOTE"),
        (0.0, 0.0, "PROMOTE"),
        (None, 0.1, "PROMOTE"),
        (0.1, None, "PROMOTE"),
        (0.0001, 0.000871, "REJECT"),
    ],
)
def test_otherwise_nothing_is_said(before: float | None, after: float | None, verdict: str):
    assert dearer(config(), summary(before, after, verdict)) is None


def test_a_guardrail_has_spoken_already():
    guarded = config(gate={"margin": 0.05, "guardrails": {"cost_ratio": 9}})
    assert dearer(guarded, summary(0.0001, 0.000871)) is None
