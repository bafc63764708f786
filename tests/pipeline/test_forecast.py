from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from promptmigrate.lm import Door
from promptmigrate.pipeline.break_even import break_even, calls_per_day
from promptmigrate.pipeline.forecast import forecast
from promptmigrate.pipeline.plan import plan
from promptmigrate.types import Dataset, Example
from tests.pipeline.test_plan import PROMPT, config, dataset


def timed(rows: int, hours: float, **metadata: Any) -> Dataset:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    examples = tuple(
        Example(
            id=f"e{index}",
            inputs={"x": f"text {index}"},
            reference="yes",
            metadata={
                "timestamp": (start + timedelta(hours=hours * index / (rows - 1))).isoformat(),
                **metadata,
            },
        )
        for index in range(rows)
    )
    names = ("train", "validation", "test")
    return Dataset(examples=examples, splits={e.id: names[i % 3] for i, e in enumerate(examples)})  # type: ignore[misc]


def test_the_forecast_spans_from_a_quick_search_to_the_whole_plan():
    data = dataset(150)
    with Door.open() as door:
        parts = plan(config(budget={"calls": 900}), data, PROMPT, 1, door)
        found = forecast(config(budget={"calls": 900}), data, PROMPT, parts, door)
    assert found.calls == (parts.gate_calls + 30, 900)
    assert found.usd is not None
    assert 0 < found.usd[0] < found.usd[1]
    assert found.basis == "estimated from the length of texts"
    assert "to 900 calls" in found.line()


def test_token_counts_of_traces_are_used_and_money_never_exceeds_the_budget():
    data = timed(150, 24, input_tokens=1000, output_tokens=100)
    with Door.open() as door:
        few = config(budget={"calls": 900})
        parts = plan(few, data, PROMPT, 1, door)
        dear = forecast(few, data, PROMPT, parts, door)
        cheap = forecast(few, dataset(150), PROMPT, parts, door)
        capped = config(budget={"calls": 900, "usd": 0.5})
        held = forecast(capped, data, PROMPT, plan(capped, data, PROMPT, 1, door), door)
    assert dear.basis == "from the token counts of 150 traces"
    assert dear.usd is not None
    assert cheap.usd is not None
    assert dear.usd[0] > 10 * cheap.usd[0]
    assert held.usd is not None
    assert held.usd[1] <= 0.5


def test_models_without_a_price_are_named_and_left_out():
    models: dict[str, Any] = {"source": {"model": "acme/a"}, "targets": [{"model": "acme/b"}]}
    models["endpoints"] = {"acme": {"base_url": "http://127.0.0.1:9/v1"}}
    with Door.open(endpoints=config(**models).endpoints) as door:
        data = dataset(150)
        found = forecast(config(**models), data, PROMPT, plan(config(**models), data, PROMPT, 1, door), door)
    assert found.usd is None
    assert set(found.unpriced) == {"acme/a", "acme/b"}
    assert "price unknown" in found.line()


def summary(before: float | None, after: float | None, spent: float | None = 1.83) -> dict[str, Any]:
    return {
        "verdict": "PROMOTE",
        "spend": {"usd": spent},
        "baseline": {"cost_per_call_usd": before},
        "candidate": {"cost_per_call_usd": after},
    }


def test_break_even_at_the_traffic_of_the_traces():
    found = break_even(timed(1001, 24), summary(0.002, 0.001))
    assert found is not None
    assert round(found["calls_per_day"]) == 1001
    assert abs(found["days"] - 1.83 / 0.001 / 1001) < 1e-6
    assert found["sentence"] == "This run cost $1.83; at 1,001 calls a day it is earned back in 44 hours."


def test_break_even_says_when_nothing_is_saved_or_the_traffic_is_not_known():
    dearer = break_even(timed(100, 24), summary(0.001, 0.002))
    assert dearer is not None
    assert dearer["days"] is None
    assert "saves nothing" in dearer["sentence"]
    unknown = break_even(dataset(30), summary(0.002, 0.001))
    assert unknown is not None
    assert unknown["sentence"].endswith("it is earned back after 1,830 calls.")
    assert break_even(dataset(30), summary(None, 0.001)) is None
    assert break_even(dataset(30), summary(0.002, 0.001, 0.0)) is None
    assert break_even(dataset(30), {**summary(0.002, 0.001), "verdict": "REJECT"}) is None


def test_merged_calls_count_as_traffic():
    assert calls_per_day(timed(25, 24, count=4)) == 100
    assert calls_per_day(timed(25, 0)) is None
