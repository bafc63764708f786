"""The gate: production and candidate on the test rows, opened once, and the verdict on the pair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptmigrate.config import Config
from promptmigrate.decide import PairedRow, Verdict, decide, open_test
from promptmigrate.evaluate import Evaluation, Evaluator
from promptmigrate.files import atomic_write
from promptmigrate.pipeline.plan import Plan, gate_rows
from promptmigrate.types import Dataset, Example, Outcome, Prompt, Variant


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the gate saw and said."""

    production: Variant
    candidate: Variant
    baseline: Evaluation
    measured: Evaluation
    verdict: Verdict
    openings: int
    rows: tuple[Example, ...]
    rerun: bool
    """Whether production was asked again."""
    warnings: tuple[str, ...]
    """What the budget could not pay for."""


def production_variant(config: Config, prompt: Prompt) -> Variant:
    """What runs today: the prompt on the source model, or on the target where only the prompt changes."""
    if config.source:
        return Variant(
            prompt=prompt, model=config.source.model, params=config.source.params, origin="production"
        )
    return Variant(prompt=prompt, model=config.target.model, params=config.target.params, origin="production")


def original_variant(config: Config, prompt: Prompt) -> Variant:
    """The old prompt on the new model: where the search starts."""
    return Variant(prompt=prompt, model=config.target.model, params=config.target.params, origin="original")


def run_gate(
    config: Config,
    dataset: Dataset,
    production: Variant,
    candidate: Variant,
    evaluator: Evaluator,
    *,
    plan: Plan,
    openings: Path,
    run: str,
) -> Gate:
    """Open the test rows and decide.

    Raises:
        BudgetExceeded: the budget ended before all test rows were answered.
    """
    rows = gate_rows(dataset, plan)
    opened = open_test(
        openings, split_digest=dataset.split_digest("test"), run=run, candidate_digest=candidate.digest
    )
    if plan.rerun:
        both = evaluator.run([production, candidate], rows, phase="gate")
        baseline = measured = both
    else:
        baseline = evaluator.recorded(production, rows, phase="gate: production as recorded")
        measured = evaluator.run([candidate], rows, phase="gate")
    # Where the model stays, a changed prompt has to be better; recorded answers are production's own.
    same = (production.model, dict(production.params)) == (candidate.model, dict(candidate.params))
    superiority = same and (plan.rerun or config.source is not None)
    guardrails = config.gate.guardrails.model_dump(exclude_none=True, exclude={"scores"})
    verdict = decide(
        pair(rows, production, baseline, candidate, measured),
        margin=config.gate.margin,
        confidence=config.gate.confidence,
        superiority=superiority,
        guardrails=guardrails,
        max_missing=config.gate.max_missing,
        test_openings=opened,
    )
    return Gate(
        production=production,
        candidate=candidate,
        baseline=baseline,
        measured=measured,
        verdict=verdict,
        openings=opened,
        rows=rows,
        rerun=plan.rerun,
        warnings=(*plan.warnings, *_cut(rows, baseline, production, measured, candidate)),
    )


def _cut(
    rows: Sequence[Example],
    baseline: Evaluation,
    production: Variant,
    measured: Evaluation,
    candidate: Variant,
) -> list[str]:
    """What to say where answers were cut short: they are scored as they are."""
    found = []
    for name, evaluation, variant in (
        ("production", baseline, production),
        ("the candidate", measured, candidate),
    ):
        outcomes = [evaluation.outcome(variant, row) for row in rows]
        cut = sum(outcome is not None and outcome.reply.kind == "truncated" for outcome in outcomes)
        if cut:
            found.append(
                f"{cut} of {len(rows)} answers of {name} were cut short; raise max_tokens in its params"
            )
    return found


def pair(
    rows: Sequence[Example],
    production: Variant,
    baseline: Evaluation,
    candidate: Variant,
    measured: Evaluation,
) -> list[PairedRow]:
    """Both sides of each test row; a side without a score is missing there."""
    return [
        PairedRow(
            example=row.id,
            cluster=row.cluster,
            weight=row.weight,
            baseline=baseline.quality(production, row),
            candidate=measured.quality(candidate, row),
            baseline_cost_usd=baseline.cost(production, row),
            candidate_cost_usd=measured.cost(candidate, row),
            baseline_latency_s=baseline.latency(production, row),
            candidate_latency_s=measured.latency(candidate, row),
        )
        for row in rows
    ]


def write_rows(path: Path, gate: Gate) -> None:
    """test_rows.jsonl: what both sides answered on each test row, for the report."""
    lines = []
    for row in gate.rows:
        sides = {
            "baseline": _side(
                gate.baseline.outcome(gate.production, row), gate.baseline, gate.production, row
            ),
            "candidate": _side(
                gate.measured.outcome(gate.candidate, row), gate.measured, gate.candidate, row
            ),
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


def _side(
    outcome: Outcome | None, evaluation: Evaluation, variant: Variant, row: Example
) -> dict[str, object]:
    reply = outcome.reply if outcome else None
    scores = outcome.scores if outcome else ()
    return {
        "output": reply.text if reply and reply.answered else None,
        "score": evaluation.quality(variant, row),
        "error": None if reply is None or reply.answered else f"{reply.kind}: {reply.error}",
        "rationale": "; ".join(score.rationale for score in scores if score.rationale),
    }
