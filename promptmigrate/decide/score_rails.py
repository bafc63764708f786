"""Guardrail scores: other scorers that must not lose, tested non-inferior as the quality is."""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.decide.quality import status, weighted_mean
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import GuardrailStatus, Interval, ScoreGuardrail
from promptmigrate.decide.wording import percent, plural, points, span

_STATUS: dict[str, GuardrailStatus] = {"pass": "pass", "fail": "fail", "open": "unclear"}


def check_scores(rows: Sequence[PairedRow], rules: Rules, *, confidence: float) -> tuple[ScoreGuardrail, ...]:
    """Each score of ``rules.scores`` over the rows that have it on both sides."""
    return tuple(_check(rows, name, margin, rules, confidence) for name, margin in rules.scores.items())


def _check(
    rows: Sequence[PairedRow], name: str, margin: float, rules: Rules, confidence: float
) -> ScoreGuardrail:
    known, before, after = [], [], []
    for row in rows:
        first, second = row.scores.get(name, (None, None))
        if first is not None and second is not None:
            known.append(row)
            before.append(first)
            after.append(second)
    found = weighted_mean(known, [b - a for a, b in zip(before, after, strict=True)], lower=-1.0)
    limits = found.interval(confidence) if found else None
    few = len(known) < max(rules.min_rows, 1) or len(known) < (1 - rules.max_missing) * len(rows) - 1e-9
    if found is None or limits is None or few:
        return ScoreGuardrail(
            name=name,
            margin=margin,
            delta=None,
            interval=None,
            rows=len(known),
            p_value=1.0,
            status="unmeasurable",
            detail=f"Score {name!r} cannot be compared: only {plural(len(known), 'row')} of {len(rows)} have "
            "it on both sides.",
        )
    interval = Interval(*limits)
    outcome = _STATUS[status(found.mean, interval, margin=margin, superiority=False)]
    seen = (
        f"Score {name!r} is {percent(_mean(known, after))} under the candidate and "
        f"{percent(_mean(known, before))} under production (difference {points(found.mean)}, interval "
        f"{span(*interval)})"
    )
    loss = points(margin, sign=False)
    detail = {
        "pass": f"{seen}: a loss of {loss} or more is ruled out.",
        "fail": f"{seen}: it loses more than the tolerated {loss}.",
        "unclear": f"{seen}: a loss of more than the tolerated {loss} is still possible.",
    }[outcome]
    return ScoreGuardrail(
        name=name,
        margin=margin,
        delta=found.mean,
        interval=interval,
        rows=len(known),
        p_value=found.p_greater(-margin),
        status=outcome,
        detail=detail,
    )


def _mean(rows: Sequence[PairedRow], values: Sequence[float]) -> float:
    total = sum(row.weight for row in rows)
    return sum(row.weight * value for row, value in zip(rows, values, strict=True)) / total
