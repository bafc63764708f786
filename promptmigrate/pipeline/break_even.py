"""How soon a run has earned back what it cost, at the traffic that the traces show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from promptmigrate.config import Config
from promptmigrate.types import Dataset

_DAY_S = 86400.0
_DEARER = 1.005
"""Times production's cost from which a difference shows when it is written down."""
_WINDOW_S = 3600.0
"""Traces of a shorter time say nothing about a day."""


def break_even(dataset: Dataset, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """When the run has earned back what it cost, at the traffic that the traces show.

    None where there are no prices, where nothing was spent, and where nothing was promoted.

    Returns ``{"sentence", "spent_usd", "saved_per_call_usd", "calls_per_day", "days"}``; ``calls_per_day``
    is None where the traces have no times, ``days`` where nothing is saved or the traffic is not known. Where
    the price of a call is not known, ``spent_usd`` lacks it, and the sentence says so.
    """
    spent = summary["spend"]["usd"]
    before = summary["baseline"]["cost_per_call_usd"]
    after = summary["candidate"]["cost_per_call_usd"]
    if not spent or before is None or after is None or summary["verdict"] != "PROMOTE":
        return None
    saved = before - after
    traffic = calls_per_day(dataset)
    found: dict[str, Any] = {
        "spent_usd": spent,
        "saved_per_call_usd": saved,
        "calls_per_day": traffic,
        "days": None,
    }
    cost = f"This run cost ${spent:.4g}"
    if unknown := summary["spend"]["usd_unknown_calls"]:
        calls = "1 call" if unknown == 1 else f"{unknown} calls"
        cost += f" without {calls} of unknown price"
    back = "that is earned back" if unknown else "it is earned back"
    if saved <= 0:
        sentence = f"{cost}; the candidate saves nothing per call, so it is not earned back by its price."
    elif traffic is None:
        sentence = f"{cost}; {back} after {max(1, round(spent / saved)):,} calls."
    else:
        found["days"] = spent / saved / traffic
        sentence = f"{cost}; at {traffic:,.0f} calls a day {back} in {_span(found['days'])}."
    return {"sentence": sentence, **found}


def dearer(config: Config, summary: Mapping[str, Any]) -> str | None:
    """What to say of a promoted candidate that is dearer than production, where no guardrail limits it."""
    before = summary["baseline"]["cost_per_call_usd"]
    after = summary["candidate"]["cost_per_call_usd"]
    if summary["verdict"] != "PROMOTE" or config.gate.guardrails.cost_ratio is not None:
        return None
    if before is None or after is None or after < _DEARER * before or after == before:
        return None
    times = f"{after / before:.3g} times what production costs" if before else "more than production"
    return (
        f"the candidate costs {times}: ${after:.3g} against ${before:.3g} a call; no limit was set, and "
        "'gate: {guardrails: {cost_ratio: 1}}' would refuse a dearer one"
    )


def calls_per_day(dataset: Dataset) -> float | None:
    """Calls a day that the traces show; None where they have no times, or lie within an hour."""
    times, calls = [], 0
    for example in dataset:
        stamp = example.metadata.get("timestamp")
        if not isinstance(stamp, str):
            continue
        try:
            when = datetime.fromisoformat(stamp)
        except ValueError:
            continue
        times.append(when.timestamp())
        count = example.metadata.get("count")
        calls += count if isinstance(count, int) else 1
    if len(times) < 2 or (span := max(times) - min(times)) < _WINDOW_S:
        return None
    return calls / (span / _DAY_S)


def _span(days: float) -> str:
    minutes = days * 24 * 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return f"{minutes:.0f} minutes"
    if minutes < 48 * 60:
        return f"{minutes / 60:.0f} hours"
    return f"{days:,.0f} days"
