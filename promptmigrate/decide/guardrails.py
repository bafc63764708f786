"""Limits besides quality: cost and latency of the candidate relative to production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from promptmigrate.decide.ratios import Ratio, mean_ratio, quantile, quantile_ratio
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.verdict import Guardrail, GuardrailStatus, Interval
from promptmigrate.decide.wording import plural, times

Measure: TypeAlias = Literal["cost_usd", "latency_s"]
MEASURES: tuple[Measure, ...] = ("cost_usd", "latency_s")
_P95 = 0.95


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measure on both sides; ``ratio`` is None where too few rows have it on both."""

    baseline: float | None
    candidate: float | None
    ratio: Ratio | None
    unknown: Mapping[str, int]
    """Rows without the measure, by side."""


def measure(
    rows: Sequence[PairedRow], what: Measure, *, confidence: float, max_missing: float, seed: int
) -> Measured:
    """Mean cost or 95th percentile of latency of both sides over the ``rows`` used."""
    known = [row for row in rows if _get(row, "baseline", what) is not None]
    known = [row for row in known if _get(row, "candidate", what) is not None]
    unknown = {side: sum(_get(row, side, what) is None for row in rows) for side in ("baseline", "candidate")}
    if not rows or len(known) < (1.0 - max_missing) * len(rows) - 1e-9:
        return Measured(
            baseline=_alone(rows, "baseline", what),
            candidate=_alone(rows, "candidate", what),
            ratio=None,
            unknown=unknown,
        )
    first, second = (
        [float(_get(row, side, what) or 0.0) for row in known] for side in ("baseline", "candidate")
    )
    clusters, weights = [row.cluster for row in known], [row.weight for row in known]
    if what == "cost_usd":
        ratio = mean_ratio(
            first, second, clusters=clusters, weights=weights, confidence=confidence, seed=seed
        )
    else:
        ratio = quantile_ratio(
            first, second, _P95, clusters=clusters, weights=weights, confidence=confidence, seed=seed
        )
    return Measured(baseline=ratio.baseline, candidate=ratio.candidate, ratio=ratio, unknown=unknown)


def check(name: str, limit: float, measured: Measured) -> Guardrail:
    """Compare one measure with its limit.

    Cost: the mean over the test rows is what will be paid, so the ratio itself is compared. Latency: a 95th
    percentile of some hundred calls is a rough number, so the limit is broken only where the whole interval
    lies above it, and *unclear* where the ratio is above the limit but its interval is not.
    """
    label = "Cost per call" if name == "cost_ratio" else "95th percentile latency"
    ratio = measured.ratio
    interval = Interval(*ratio.interval) if ratio and ratio.interval else None
    status: GuardrailStatus
    if ratio is None:
        status, detail = "unmeasurable", _unmeasurable(name, label, measured)
    elif ratio.ratio is None:
        status = "pass" if ratio.candidate <= 0 else "fail"
        detail = f"{label}: production's is 0, the candidate's is " + (
            "0 too." if status == "pass" else "not, so no limit on their ratio can hold."
        )
    else:
        if ratio.ratio <= limit:
            status, relation = "pass", "within"
        elif name == "cost_ratio" or (interval and interval.low > limit):
            status, relation = "fail", "above"
        else:
            status, relation = "unclear", "above, but not clearly above,"
        reach = f" (interval {times(interval.low)} to {times(interval.high)})" if interval else ""
        detail = (
            f"{label} is {times(ratio.ratio)} production's{reach}, {relation} the limit of {times(limit)}."
        )
    return Guardrail(
        name=name,
        limit=limit,
        value=ratio.ratio if ratio else None,
        interval=interval,
        status=status,
        detail=detail,
    )


def _unmeasurable(name: str, label: str, measured: Measured) -> str:
    without = " and ".join(
        f"{plural(count, 'row')} of {'production' if side == 'baseline' else 'the candidate'}"
        for side, count in measured.unknown.items()
        if count
    )
    if name == "cost_ratio":
        return (
            f"{label} cannot be compared: it is not known for {without}; give the model's price in the "
            "configuration."
        )
    return f"{label} cannot be compared: it was not measured for {without}."


def _alone(rows: Sequence[PairedRow], side: str, what: Measure) -> float | None:
    """One side's own number, to show even where the two cannot be compared; None if any row lacks it."""
    pairs = [(_get(row, side, what), row.weight) for row in rows]
    known = [(value, weight) for value, weight in pairs if value is not None]
    if not known or len(known) < len(pairs):
        return None
    values, weights = [value for value, _ in known], [weight for _, weight in known]
    if what == "latency_s":
        return quantile(values, _P95, weights)
    return sum(value * weight for value, weight in known) / sum(weights)


def _get(row: PairedRow, side: str, what: Measure) -> float | None:
    value: float | None = getattr(row, f"{side}_{what}")
    return value
