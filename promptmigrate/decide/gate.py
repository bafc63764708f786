"""The gate: paired test rows in, Verdict out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promptmigrate.decide import guardrails as rails
from promptmigrate.decide.interval import BoundedMean, bounded_mean
from promptmigrate.decide.mcnemar import mcnemar
from promptmigrate.decide.power import rows_needed
from promptmigrate.decide.reasons import Finding, advise, explain, unusable, warn
from promptmigrate.decide.rows import PairedRow, check_rows
from promptmigrate.decide.verdict import Decision, Guardrail, Interval, Missing, Quality, Side, Verdict
from promptmigrate.errors import UsageError

_SAME = 1e-9


def decide(
    rows: Sequence[PairedRow],
    *,
    margin: float,
    confidence: float = 0.95,
    superiority: bool = False,
    guardrails: Mapping[str, float] | None = None,
    min_rows: int = 10,
    max_missing: float = 0.1,
    test_openings: int = 1,
) -> Verdict:
    """Decide on a candidate from all its test rows, including those with missing measurements.

    Quality (see :mod:`promptmigrate.decide.interval` for the interval of the paired difference):

    - not worse (default): passes when the interval lies above ``-margin``, fails when it lies below, is open
      otherwise;
    - ``superiority`` (the model stays, only the prompt changes): passes when the interval lies above 0, fails
      when it does not reach above 0 or when the candidate did not score higher at all, is open otherwise.

    PROMOTE needs quality and every guardrail (``cost_ratio``, ``p95_latency_ratio``: upper limits of
    candidate over production) to pass; one that fails is a REJECT; one that is open, unclear or unmeasurable
    leaves it INCONCLUSIVE. Since all must pass, no correction for several tests is needed
    (intersection-union; Berger 1982, Technometrics 24:295-300). Too few rows or clusters, or a share of
    missing rows above ``max_missing``, is INCONCLUSIVE whatever the numbers say.

    Raises:
        UsageError: a setting out of range, or an unknown guardrail.
        DataError: unusable rows (see :func:`promptmigrate.decide.rows.check_rows`).
    """
    limits = dict(guardrails or {})
    _check_settings(margin, confidence, limits, max_missing)
    check_rows(rows)
    used = [row for row in rows if row.paired]
    missing = _missing(rows)
    costs = rails.measure(used, "cost_usd", confidence=confidence, max_missing=max_missing)
    latencies = rails.measure(used, "latency_s", confidence=confidence, max_missing=max_missing)
    measured = {"cost_ratio": costs, "p95_latency_ratio": latencies}
    checked = tuple(rails.check(name, limits[name], measured[name]) for name in rails.NAMES if name in limits)
    difference = _mean(used, [row.difference for row in used], lower=-1.0)
    limits_of_delta = difference.interval(confidence) if difference else None
    interval = Interval(*limits_of_delta) if limits_of_delta else None

    sides = {side: _side(used, side, confidence, costs, latencies) for side in ("baseline", "candidate")}
    blocked = unusable(
        used,
        missing,
        difference,
        min_rows=min_rows,
        max_missing=max_missing,
        production=None if superiority else sides["baseline"].score,
        margin=margin,
    )
    reasons = list(blocked)
    short = max(0, min_rows - len(used))
    more = short or None
    decision: Decision = "INCONCLUSIVE"
    if difference is not None and interval is not None:
        quality = _quality(difference.mean, interval, margin, superiority)
        if quality == "open":
            threshold = 0.0 if superiority else -margin
            needed = rows_needed(difference, threshold=threshold, confidence=confidence)
            more = max(1, needed, short) if needed is not None else more
        finding = Finding(
            quality=quality,
            difference=difference,
            interval=interval,
            baseline=sides["baseline"].score or 0.0,
            candidate=sides["candidate"].score or 0.0,
            margin=margin,
            confidence=confidence,
            superiority=superiority,
            rows_needed=more,
        )
        if not blocked:
            decision = _combine(quality, checked)
        reasons += _reasons(finding, checked, blocked=bool(blocked))
    cost, latency = costs.ratio, latencies.ratio
    fixed = sum(row.difference > _SAME for row in used)
    broken = sum(row.difference < -_SAME for row in used)
    return Verdict(
        verdict=decision,
        reasons=tuple(reasons),
        warnings=tuple(
            warn(
                missing,
                difference,
                confidence=confidence,
                test_openings=test_openings,
                production=sides["baseline"].score,
            )
        ),
        superiority=superiority,
        margin=margin,
        confidence=confidence,
        delta=difference.mean if difference else None,
        interval=interval,
        baseline=sides["baseline"],
        candidate=sides["candidate"],
        rows_given=len(rows),
        rows=len(used),
        clusters=difference.clusters if difference else 0,
        missing=missing,
        rows_needed=more,
        fixed=fixed,
        broken=broken,
        p_values=_p_values(used, difference, margin, fixed, broken),
        guardrails=checked,
        cost_ratio=cost.ratio if cost else None,
        cost_ratio_interval=Interval(*cost.interval) if cost and cost.interval else None,
        p95_latency_ratio=latency.ratio if latency else None,
        p95_latency_ratio_interval=Interval(*latency.interval) if latency and latency.interval else None,
        test_openings=test_openings,
    )


def _check_settings(
    margin: float, confidence: float, guardrails: Mapping[str, float], max_missing: float
) -> None:
    if not 0.0 <= margin < 1.0:
        raise UsageError(f"gate.margin is {margin!r}; it must be at least 0 and below 1 (0.02 is two points)")
    if not 0.5 <= confidence < 1.0:
        raise UsageError(f"gate.confidence is {confidence!r}; it must be at least 0.5 and below 1")
    if not 0.0 <= max_missing <= 1.0:
        raise UsageError(f"gate.max_missing is {max_missing!r}; it must be within [0, 1]")
    for name, limit in guardrails.items():
        if name not in rails.NAMES:
            raise UsageError(f"gate.guardrails.{name} is not known; use one of: {', '.join(rails.NAMES)}")
        if not 0.0 < limit < float("inf"):
            raise UsageError(f"gate.guardrails.{name} is {limit!r}; it must be a number above 0")


def _mean(used: Sequence[PairedRow], values: Sequence[float], *, lower: float) -> BoundedMean | None:
    if not used:
        return None
    return bounded_mean(
        # A difference such as 0.9 - 0.3 carries rounding; equal changes must count as equal values.
        [round(value, 12) for value in values],
        lower=lower,
        upper=1.0,
        clusters=[row.cluster for row in used],
        weights=[row.weight for row in used],
    )


def _missing(rows: Sequence[PairedRow]) -> Missing:
    gone = sum(not row.paired for row in rows)
    return Missing(
        rows=gone,
        baseline=sum(row.baseline is None for row in rows),
        candidate=sum(row.candidate is None for row in rows),
        share=gone / len(rows) if rows else 0.0,
    )


def _quality(delta: float, interval: Interval, margin: float, superiority: bool) -> Quality:
    if superiority:
        if interval.low > 0.0:
            return "pass"
        return "fail" if interval.high <= 0.0 or delta <= _SAME else "open"
    if interval.low > -margin:
        return "pass"
    return "fail" if interval.high < -margin else "open"


def _combine(quality: Quality, checked: Sequence[Guardrail]) -> Decision:
    statuses = {guardrail.status for guardrail in checked}
    if quality == "fail" or "fail" in statuses:
        return "REJECT"
    if quality == "open" or statuses - {"pass"}:
        return "INCONCLUSIVE"
    return "PROMOTE"


def _reasons(finding: Finding, checked: Sequence[Guardrail], *, blocked: bool) -> list[str]:
    """What decided comes first."""
    quality = [explain(finding), *([] if blocked else advise(finding))]
    failed = [g.detail for g in checked if g.status == "fail"]
    unsettled = [g.detail for g in checked if g.status in ("unclear", "unmeasurable")]
    passed = [g.detail for g in checked if g.status == "pass"]
    if finding.quality == "fail" or blocked:
        return [*quality, *failed, *unsettled, *passed]
    if finding.quality == "open":
        return [*failed, *quality, *unsettled, *passed]
    return [*failed, *unsettled, *quality, *passed]


def _side(
    used: Sequence[PairedRow], side: str, confidence: float, costs: rails.Measured, latencies: rails.Measured
) -> Side:
    score = _mean(used, [getattr(row, side) for row in used], lower=0.0)
    limits = score.interval(confidence) if score else None
    return Side(
        score=score.mean if score else None,
        interval=Interval(*limits) if limits else None,
        cost_per_call_usd=getattr(costs, side),
        p95_latency_s=getattr(latencies, side),
    )


def _p_values(
    used: Sequence[PairedRow], difference: BoundedMean | None, margin: float, fixed: int, broken: int
) -> dict[str, float | None]:
    if difference is None:
        return {"not_worse_than_margin": None, "better": None, "mcnemar": None}
    binary = all(row.baseline in (0.0, 1.0) and row.candidate in (0.0, 1.0) for row in used)
    return {
        "not_worse_than_margin": difference.p_greater(-margin),
        "better": difference.p_greater(0.0),
        "mcnemar": mcnemar(fixed, broken) if binary else None,
    }
