"""The gate: production and every candidate on the test rows, opened once, and the verdict on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promptmigrate.config import Config, SourceConfig, TargetConfig
from promptmigrate.decide import (
    JudgeErrors,
    Looks,
    PairedRow,
    Rules,
    Verdict,
    decide_all,
    open_test,
    row_keys,
    settings_of,
    slices_of,
)
from promptmigrate.evaluate import Evaluation, Evaluator, Tried
from promptmigrate.files import digest
from promptmigrate.pipeline.pairs import pair
from promptmigrate.pipeline.plan import Plan, gate_rows
from promptmigrate.pipeline.program import Components
from promptmigrate.pipeline.yardstick import lost
from promptmigrate.redact import redact_value
from promptmigrate.types import Dataset, Example, Prompt, Variant


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One candidate and what the gate said of it."""

    candidate: Variant
    measured: Evaluation
    pairs: tuple[PairedRow, ...]
    rules: Rules
    verdict: Verdict
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the gate saw and said."""

    production: Variant
    baseline: Evaluation
    judged: tuple[Judged, ...]
    """One for each target, in their order."""
    chosen: Judged
    """The one that is published, or reported first."""
    registry: Path
    """The record of all openings."""
    rows: tuple[Example, ...]
    tried: Mapping[str, Sequence[Tried]]
    """Of each row, what the scorers say of production's answer broken on purpose."""
    rerun: bool
    """Whether production was asked again."""
    warnings: tuple[str, ...]
    """What the budget could not pay for, and what was cut."""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What is known of the judges among the scorers."""

    uncalibrated: tuple[str, ...] = ()
    """Judges without a card."""
    errors: JudgeErrors | None = None
    """Of the one judge that is the whole quality."""


def production_variant(config: Config, prompt: Prompt, program: Components | None = None) -> Variant:
    """What runs today: the prompt on the source model, or answers of which no model is named."""
    return _variant(config.source or config.target, prompt, program, "production")


def original_variant(config: Config, prompt: Prompt, program: Components | None = None) -> Variant:
    """The old prompt on the new model: where the search starts."""
    return _variant(config.target, prompt, program, "original")


def _variant(
    side: SourceConfig | TargetConfig, prompt: Prompt, program: Components | None, origin: str
) -> Variant:
    if program is not None:
        return program.variant(model=side.model, params=side.params, origin=origin)
    return Variant(prompt=prompt, model=side.model, params=side.params, origin=origin)


def run_gate(
    config: Config,
    dataset: Dataset,
    prompt: Prompt,
    candidates: Sequence[Variant],
    evaluator: Evaluator,
    *,
    plan: Plan,
    openings: Path,
    run: str,
    trust: Trust,
    program: Components | None = None,
) -> Gate:
    """Open the test rows and decide on each of ``candidates``, one for each target.

    Raises:
        BudgetExceeded: the budget ended before all test rows were answered.
    """
    production = production_variant(config, prompt, program)
    rows = gate_rows(dataset, plan)
    opened = open_test(
        openings,
        split_digest=dataset.split_digest("test"),
        rows=row_keys(rows),
        run=run,
        # Candidates that are looked at together are corrected for together: one opening.
        candidate_digest=candidates[0].digest
        if len(candidates) == 1
        else digest([candidate.digest for candidate in candidates]),
        settings=redact_value(settings_of(config.model_dump(mode="json"), trust.errors), ("secret",))[0],
    )
    asked = ([production] if plan.rerun else []) + list(candidates)
    measured = evaluator.run(asked, rows, phase="gate", repeats=plan.repeats)
    baseline = measured if plan.rerun else recorded(config, production, rows, evaluator)
    belongs = slices_of(rows, config.gate.slices.by)
    # After all else: a scorer that remembers its calls shows it here.
    tried = evaluator.tried(production, baseline)
    gone = lost(rows, baseline, production)
    rules = replace(
        rules_of(config, dataset, plan=plan, opened=opened, trust=trust),
        no_yardstick=gone.reason,
    )
    pairs = {
        str(index): pair(rows, production, baseline, candidate, measured, slices=belongs, tried=tried)
        for index, candidate in enumerate(candidates)
    }
    verdicts = decide_all(pairs, rules)
    judged = tuple(
        Judged(
            candidate=candidate,
            measured=measured,
            pairs=pairs[str(index)],
            rules=rules,
            verdict=verdicts[str(index)],
            warnings=_cut(rows, measured, candidate, "the candidate"),
        )
        for index, candidate in enumerate(candidates)
    )
    return Gate(
        production=production,
        baseline=baseline,
        judged=judged,
        chosen=judged[choose([one.verdict for one in judged])],
        registry=openings,
        rows=rows,
        tried=tried,
        rerun=plan.rerun,
        warnings=(
            *plan.notes,
            *_cut(rows, baseline, production, "production"),
            *([gone.sentence] if gone.sentence and not gone.noticeable else []),
        ),
    )


def recorded(
    config: Config, production: Variant, rows: Sequence[Example], evaluator: Evaluator
) -> Evaluation:
    """What production once answered on ``rows``, scored; nobody is asked but judges."""
    return evaluator.recorded(
        production, rows, phase="gate: production as recorded", priced=config.source is not None
    )


def rules_of(config: Config, dataset: Dataset, *, plan: Plan, opened: Looks, trust: Trust) -> Rules:
    """What the experiment asks of a candidate."""
    gate = config.gate
    limits = gate.guardrails.model_dump(exclude_none=True, exclude={"scores"})
    test = dataset.split("test")
    return Rules(
        margin=gate.margin,
        confidence=gate.confidence,
        # What a search changes (its parameters too) has to be better where the experiment changes nothing.
        superiority=config.prompt_only,
        guardrails=limits,
        scores=gate.guardrails.scores,
        slices="block" if gate.slices.block else "report",
        min_slice_rows=gate.slices.min_rows,
        max_missing=gate.max_missing,
        test_openings=opened.decisions,
        test_candidates=opened.candidates,
        test_seen=opened.seen,
        changed_settings=opened.changed,
        judges=gate.judges,
        uncalibrated=trust.uncalibrated,
        judge_errors=trust.errors,
        yardstick="expectations" if any(row.expectations for row in test) else "references",
        rerun=plan.rerun,
    )


_RANK = {"PROMOTE": 0, "INCONCLUSIVE": 1, "REJECT": 2}


def choose(verdicts: Sequence[Verdict]) -> int:
    """The place of the verdict to publish or to report first.

    Of the candidates that may be promoted, the cheapest by call (where all prices are known), else the best
    score; of the others, the one nearest to a promotion.
    """
    best = min(_RANK[verdict.verdict] for verdict in verdicts)
    left = [index for index, verdict in enumerate(verdicts) if _RANK[verdict.verdict] == best]
    costs = {index: verdicts[index].candidate.cost_per_call_usd for index in left}
    priced: Mapping[int, float] = {index: cost for index, cost in costs.items() if cost is not None}

    def rank(index: int) -> tuple[float, float, int]:
        cost = priced[index] if best == 0 and len(priced) == len(left) else 0.0
        delta = verdicts[index].delta
        return cost, 2.0 if delta is None else -delta, index

    return min(left, key=rank)


def _cut(rows: Sequence[Example], evaluation: Evaluation, variant: Variant, name: str) -> tuple[str, ...]:
    """What to say where answers were cut short, or a program gave none: they are scored as they are."""
    replies = [outcome.reply for row in rows if (outcome := evaluation.outcome(variant, row)) is not None]
    said = []
    if cut := sum(reply.kind == "truncated" for reply in replies):
        said.append(f"{cut} of {len(rows)} answers of {name} were cut short; raise max_tokens in its params")
    # A program's own exception leaves a user without an answer: scored as an empty one, and said here.
    if errors := [reply.error for reply in replies if reply.answered and reply.error]:
        said.append(f"{len(errors)} of {len(rows)} rows of {name} count as empty answers: {errors[0]}")
    return tuple(said)
