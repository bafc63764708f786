"""Test rows as the gate decides on them, and as the run folder keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from promptmigrate.decide import PairedRow
from promptmigrate.evaluate import Evaluation, Tried, by_scorer, outcome_quality, qualities
from promptmigrate.files import atomic_write
from promptmigrate.types import Example, Outcome, Variant


def pair(
    rows: Sequence[Example],
    production: Variant,
    baseline: Evaluation,
    candidate: Variant,
    measured: Evaluation,
    *,
    slices: Mapping[str, Mapping[str, str]],
    tried: Mapping[str, Sequence[Tried]],
) -> tuple[PairedRow, ...]:
    """Both sides of each test row, repeats averaged; a side without a score is missing there.

    ``tried``: what the scorers said of production's answer, broken on purpose.
    """
    return tuple(
        PairedRow(
            example=row.id,
            cluster=row.cluster,
            weight=row.weight,
            baseline=baseline.quality(production, row),
            candidate=measured.quality(candidate, row),
            baseline_first=_one(baseline, production, row, 0),
            baseline_again=_one(baseline, production, row, 1),
            baseline_cost_usd=baseline.cost(production, row),
            candidate_cost_usd=measured.cost(candidate, row),
            baseline_latency_s=baseline.latency(production, row),
            candidate_latency_s=measured.latency(candidate, row),
            slices=slices.get(row.id, {}),
            scores={
                name: (baseline.score(production, row, name), measured.score(candidate, row, name))
                for name in sorted(measured.weights)
            },
            trials=qualities(tried.get(row.id, ()), baseline.outcome(production, row), baseline.weights),
            trial_scores=by_scorer(tried.get(row.id, ())),
        )
        for row in rows
    )


def _one(baseline: Evaluation, production: Variant, row: Example, repeat: int) -> float | None:
    """What one answer of production scored, where it was asked more than once."""
    if baseline.repeats < 2:
        return None
    outcome = baseline.outcome(production, row, repeat)
    return None if outcome is None else outcome_quality(outcome, baseline.weights)


def write_rows(
    path: Path,
    rows: Sequence[Example],
    production: Variant,
    baseline: Evaluation,
    candidate: Variant,
    measured: Evaluation,
) -> None:
    """test_rows.jsonl: what both sides answered on each test row, for the report.

    Of several answers to a row those that show what came of it: where it broke production's best and the
    candidate's worst, where it was fixed the other way round.
    """
    lines = []
    for row in rows:
        before, after = baseline.quality(production, row), measured.quality(candidate, row)
        gain = 0.0 if before is None or after is None else after - before
        sides = {
            "baseline": _side(_telling(baseline, production, row, -gain), baseline, production, row),
            "candidate": _side(_telling(measured, candidate, row, gain), measured, candidate, row),
        }
        line = {
            "example": row.id,
            "cluster": row.cluster,
            "inputs": dict(row.inputs),
            "expected": row.expected,
            "rationale": sides["candidate"].pop("rationale"),
            **sides,
        }
        sides["baseline"].pop("rationale")
        lines.append(json.dumps(line, ensure_ascii=False))
    atomic_write(path, "\n".join(lines) + "\n")


def _telling(evaluation: Evaluation, variant: Variant, row: Example, gain: float) -> Outcome | None:
    """The best of the scored answers where something was gained, the worst where it was lost, else the first
    one; where none was scored, the first that came back."""
    found = [evaluation.outcome(variant, row, repeat) for repeat in range(evaluation.repeats)]
    known = [outcome for outcome in found if outcome is not None]
    scored = [
        (value, outcome)
        for outcome in known
        if (value := outcome_quality(outcome, evaluation.weights)) is not None
    ]
    if not scored:
        return next((outcome for outcome in known if outcome.reply.answered), known[0] if known else None)
    if not gain:
        return scored[0][1]
    return (max if gain > 0 else min)(scored, key=lambda pair: pair[0])[1]


def _side(
    outcome: Outcome | None, evaluation: Evaluation, variant: Variant, row: Example
) -> dict[str, object]:
    reply = outcome.reply if outcome else None
    scores = outcome.scores if outcome else ()
    return {
        "output": reply.text if reply and reply.answered else None,
        "score": evaluation.quality(variant, row),
        "scores": {name: evaluation.score(variant, row, name) for name in sorted(evaluation.weights)},
        # An answered reply with an error: a program raised, and its user got nothing.
        "error": None if reply is None else reply.error if reply.answered else f"{reply.kind}: {reply.error}",
        "rationale": "; ".join(score.rationale for score in scores if score.rationale),
    }
