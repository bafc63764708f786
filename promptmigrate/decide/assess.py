"""From paired rows to a decision: every requirement checked, then combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptmigrate.decide import guardrails as rails
from promptmigrate.decide import slices as by_slice
from promptmigrate.decide.power import rows_needed
from promptmigrate.decide.quality import Estimated, estimate, status, weighted_mean
from promptmigrate.decide.reasons import (
    MIN_CLUSTERS,
    Finding,
    advise,
    advise_on_judges,
    explain,
    unusable,
    warn,
)
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.score_rails import check_scores
from promptmigrate.decide.tilt import measure_tilt
from promptmigrate.decide.verdict import (
    Decision,
    Guardrail,
    Interval,
    Missing,
    Quality,
    ScoreGuardrail,
    Side,
    Slice,
    Verdict,
)

_SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The Verdict so far, and what it was made from."""

    verdict: Verdict
    estimated: Estimated | None
    p_value: float
    """The largest one-sided p-value of what had to be shown; 1.0 where nothing could be measured."""
    advice: tuple[str, ...] = ()
    """The reasons that say how many rows would settle it: none do where the gate failed its own test."""


def assess(
    rows: Sequence[PairedRow], rules: Rules, *, seed: int, confidence: float, ratios: float | None = None
) -> Assessment:
    """Apply ``rules`` to checked ``rows``, with intervals at ``confidence``.

    ``ratios``: the confidence of the intervals of cost and latency ratios, where it is another one.
    """
    used = [row for row in rows if row.paired]
    missing = _missing(rows)
    difference = weighted_mean(used, [row.difference for row in used], lower=-1.0)
    estimated = estimate(used, rules, confidence=confidence)
    costs, latencies = (
        rails.measure(used, what, confidence=ratios or confidence, max_missing=rules.max_missing, seed=seed)
        for what in rails.MEASURES
    )
    measured = {"cost_ratio": costs, "p95_latency_ratio": latencies}
    checked = tuple(rails.check(name, limit, measured[name]) for name, limit in rules.guardrails.items())
    scores = check_scores(rows, rules, confidence=confidence)
    slices = by_slice.judge_slices(used, rules, confidence=confidence)
    slices_broken, slices_suspect, slice_warnings = by_slice.say(slices, rules)
    sides = {side: _side(used, side, confidence, measured) for side in ("baseline", "candidate")}
    production = sides["baseline"].score
    blocked = unusable(used, missing, difference, estimated, rules, production=production)
    reasons = list(blocked)
    short = max(0, rules.min_rows - len(used))
    more = short or None
    decision: Decision = "INCONCLUSIVE"
    p_value = 1.0
    advice: list[str] = []
    if estimated is not None:
        quality = status(
            estimated.delta, estimated.limits, margin=rules.margin, superiority=rules.superiority
        )
        p_value = max([estimated.p_greater(rules.threshold), *(score.p_value for score in scores)])
        if quality == "open":
            needed = _rows_needed(estimated, rules, confidence)
            more = max(1, needed, short) if needed is not None else more
        trusted = not rules.uncalibrated or rules.judges == "any" or estimated.corrected is not None
        finding = Finding(
            quality=quality,
            estimated=estimated,
            baseline=production or 0.0,
            candidate=sides["candidate"].score or 0.0,
            margin=rules.margin,
            confidence=confidence,
            superiority=rules.superiority,
            rows_needed=more,
        )
        tilt = measure_tilt(rows, rules, confidence=confidence)
        hidden = [] if tilt is None or tilt.passes else [tilt.sentence]
        if tilt is not None:
            p_value = max(p_value, tilt.estimated.p_greater(rules.threshold))
        if not blocked:
            decision = _combine(quality, [*checked, *scores], slices, rules, trusted=trusted)
            if hidden and decision == "PROMOTE":
                decision = "INCONCLUSIVE"
        limits: list[Guardrail | ScoreGuardrail] = [*checked, *scores]
        failed = [limit.detail for limit in limits if limit.status == "fail"]
        unsettled = [limit.detail for limit in limits if limit.status in ("unclear", "unmeasurable")]
        if decision == "REJECT" and quality == "open":
            more = None  # something else is shown to fail, which no further row mends
        advice = [] if blocked or (decision == "REJECT" and quality == "open") else advise(finding)
        reasons += _in_order(
            finding,
            advice=advice,
            failed=[*failed, *slices_broken],
            unsettled=[*hidden, *slices_suspect, *unsettled, *([] if trusted else [advise_on_judges(rules)])],
            passed=[limit.detail for limit in limits if limit.status == "pass"],
            blocked=bool(blocked),
        )
    few = short > 0 or (difference is not None and difference.clusters < MIN_CLUSTERS)
    if blocked and (missing.share > rules.max_missing or not few):
        more = None  # what is in the way is not a want of rows
    cost, latency = costs.ratio, latencies.ratio
    verdict = Verdict(
        verdict=decision,
        reasons=tuple(reasons),
        warnings=(*warn(missing, difference, rules, production=production), *slice_warnings),
        superiority=rules.superiority,
        margin=rules.margin,
        confidence=confidence,
        delta=difference.mean if difference else None,
        interval=estimated.interval if estimated else None,
        baseline=sides["baseline"],
        candidate=sides["candidate"],
        rows_given=len(rows),
        rows=len(used),
        clusters=difference.clusters if difference else 0,
        missing=missing,
        rows_needed=more,
        fixed=sum(row.difference > _SAME for row in used),
        broken=sum(row.difference < -_SAME for row in used),
        corrected=estimated.corrected if estimated else None,
        guardrails=checked,
        scores=scores,
        slices=slices,
        cost_ratio=cost.ratio if cost else None,
        cost_ratio_interval=Interval(*cost.interval) if cost and cost.interval else None,
        p95_latency_ratio=latency.ratio if latency else None,
        p95_latency_ratio_interval=Interval(*latency.interval) if latency and latency.interval else None,
        test_openings=rules.test_openings,
    )
    return Assessment(verdict=verdict, estimated=estimated, p_value=p_value, advice=tuple(advice))


def _missing(rows: Sequence[PairedRow]) -> Missing:
    gone = sum(not row.paired for row in rows)
    return Missing(
        rows=gone,
        baseline=sum(row.baseline is None for row in rows),
        candidate=sum(row.candidate is None for row in rows),
        share=gone / len(rows) if rows else 0.0,
    )


def _rows_needed(estimated: Estimated, rules: Rules, confidence: float) -> int | None:
    # A judge that errs sees only part of a true difference.
    seen = rules.judge_errors.youden if estimated.corrected and rules.judge_errors else 1.0
    return rows_needed(estimated.difference, threshold=rules.threshold * seen, confidence=confidence)


def _combine(
    quality: Quality,
    limits: Sequence[Guardrail | ScoreGuardrail],
    slices: Sequence[Slice],
    rules: Rules,
    *,
    trusted: bool,
) -> Decision:
    """All must pass; since they must, no correction for several tests is needed (see :func:`decide`)."""
    statuses = {limit.status for limit in limits}
    states = {found.status for found in slices} if rules.slices == "block" else set()
    if quality == "fail" or "fail" in statuses or "worse" in states:
        return "REJECT"
    if quality == "open" or statuses - {"pass"} or "suspect" in states:
        return "INCONCLUSIVE"
    return "PROMOTE" if trusted else "INCONCLUSIVE"


def _in_order(
    finding: Finding,
    *,
    advice: list[str],
    failed: list[str],
    unsettled: list[str],
    passed: list[str],
    blocked: bool,
) -> list[str]:
    """What decided comes first."""
    quality = [explain(finding), *advice]
    if finding.quality == "fail" or blocked:
        return [*quality, *failed, *unsettled, *passed]
    if finding.quality == "open":
        return [*failed, *quality, *unsettled, *passed]
    return [*failed, *unsettled, *quality, *passed]


def _side(
    used: Sequence[PairedRow], side: str, confidence: float, measured: dict[str, rails.Measured]
) -> Side:
    score = weighted_mean(used, [getattr(row, side) for row in used], lower=0.0)
    limits = score.interval(confidence) if score else None
    return Side(
        score=score.mean if score else None,
        interval=Interval(*limits) if limits else None,
        cost_per_call_usd=getattr(measured["cost_ratio"], side),
        p95_latency_s=getattr(measured["p95_latency_ratio"], side),
    )
