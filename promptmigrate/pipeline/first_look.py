"""Before a search: every model is asked once, and the old prompt is measured on the new model.

What makes the whole run worthless shows here, after a few calls: a wrong name or key, or a judge whose
answers cannot be used. Failed calls are another matter: they are asked again, and an endpoint that stays
silent ends the run by :class:`promptmigrate.errors.EndpointDown`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from promptmigrate.config import Config
from promptmigrate.errors import ConfigError, EndpointError
from promptmigrate.evaluate import Evaluation, Evaluator, Measure
from promptmigrate.lm import Door
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.strategies import reflection_model
from promptmigrate.types import Dataset, Request, Variant
from scorers import Score, models_of

CONTACT_ROWS = 3
"""Answers without a measurement before a run is given up: one may fail by chance."""
_PING = {"role": "user", "content": "Reply with the word OK."}
_BEFORE_SHARE = 8
_BEFORE_ROWS = 80
"""Enough to see how the old prompt fails; every further row would be taken from the search."""
_FEW_ROWS = 5
"""On fewer, that most verdicts are missing may be chance."""


def contact(
    config: Config,
    production: Variant,
    original: Variant,
    dataset: Dataset,
    evaluator: Evaluator,
    door: Door,
    plan: Plan,
) -> None:
    """Ask every model once or a few times, before much is spent: a wrong name, key or parameter shows here.

    Args:
        config: Names the reflection model, and a strategy that may do without.
        production: Asked on some train rows, if the gate will ask it again.
        original: Asked on some validation rows.
        dataset: The rows.
        evaluator: Its judges are asked along.
        door: The way to the reflection model.
        plan: Of the run.

    Raises:
        ConfigError: the answers of a judge cannot be used.
        EndpointError: not one of the answers could be measured; says what the provider or scorer said.
    """
    sides = [(original, dataset.split("validation"))]
    if plan.rerun:
        sides.insert(0, (production, dataset.split("train")))
    for variant, rows in sides:
        for batch in (rows[:1], rows[1:CONTACT_ROWS]):
            evaluation = evaluator.run([variant], batch, phase="contact")
            if evaluation.summary(variant).rows:
                break
        else:
            _check_judges(evaluator.measures, evaluation, least=1)
            raise EndpointError(
                f"none of the first {min(len(rows), CONTACT_ROWS)} answers of {variant.model} could be "
                f"measured: {complaint(evaluation, variant)}"
            )
    model, params = reflection_model(config), config.search.reflection_params
    if model is not None and (params or model not in {variant.model for variant, _ in sides}):
        door.complete(Request(model=model, messages=(_PING,), params=params, purpose="reflection"))


def complaint(evaluation: Evaluation, variant: Variant) -> str:
    """What the first failed call or unscored answer of ``variant`` says."""
    for example in evaluation.examples:
        outcome = evaluation.outcome(variant, example)
        if outcome is not None and not outcome.reply.answered:
            return f"{outcome.reply.kind}: {outcome.reply.error}"
        for score in outcome.scores if outcome else ():
            if score.value is None and evaluation.weights[score.name]:
                return f"{score.name} could not score ({score.unscored}): {score.rationale}"
    return "no row was answered"


def before(
    original: Variant, dataset: Dataset, evaluator: Evaluator, plan: Plan, say: Listener
) -> Evaluation | None:
    """Show how the old prompt does on the new model, on some validation rows.

    Raises:
        ConfigError: the answers of a judge cannot be used on most of these rows.
    """
    affordable = plan.search_calls // _BEFORE_SHARE // plan.calls_per_row
    rows = dataset.split("validation")[: min(affordable, _BEFORE_ROWS)]
    if not rows:
        return None
    evaluation = evaluator.run([original], rows, phase="before")
    summary = evaluation.summary(original)
    quality = "none scored" if summary.quality is None else f"{summary.quality:.3f}"
    say.note(f"quality {quality} on {summary.rows} validation rows")
    for line in failures(evaluation, original):
        say.note(line)
    _check_judges(evaluator.measures, evaluation, least=_FEW_ROWS)
    return evaluation


def _check_judges(measures: Sequence[Measure], evaluation: Evaluation, *, least: int) -> None:
    """Refuse a judge that leaves most of at least ``least`` rows unscored: no search could go by it.

    Only what it answered speaks against it: calls that failed may come right by themselves.
    """
    answered = [outcome for outcome in evaluation.outcomes.values() if outcome.reply.answered]
    for scorer in [measure.scorer for measure in measures if measure.weight]:
        scores = [score for outcome in answered for score in outcome.scores if score.name == scorer.name]
        useless = [score for score in scores if _useless(score)]
        if len(answered) < least or 2 * len(useless) <= len(answered):
            continue
        asked = " and ".join(models_of(scorer)) or "a judge"
        raise ConfigError(
            f"the answers of {asked} cannot be used: {scorer.name} has no score on {len(useless)} of "
            f"{len(answered)} rows (for instance, {useless[0].unscored}: {useless[0].rationale}); name "
            "another judge or give it more max_tokens, and try that with 'promptmigrate evaluate --limit 20'",
            key="scorers",
        )


def _useless(score: Score) -> bool:
    """Whether a judge answered, and not so that a score could be read from it."""
    return score.unscored == "off_menu" or (
        score.unscored == "judge_failed" and score.evidence.get("kind") == "empty_answer"
    )


def failures(evaluation: Evaluation, variant: Variant, *, most: int = 3) -> list[str]:
    """The most frequent ways in which ``variant`` fails, with one example each."""
    kinds: Counter[str] = Counter()
    first: dict[str, str] = {}
    for example in evaluation.examples:
        outcome = evaluation.outcome(variant, example)
        for score in outcome.scores if outcome else ():
            if score.value is not None and score.value < 1:
                kind = str(score.evidence.get("kind") or f"{score.name} below 1").replace("_", " ")
                kinds[kind] += 1
                first.setdefault(kind, score.rationale)
    cut = sum(o.reply.kind == "truncated" for o in evaluation.outcomes.values())
    if cut:
        kinds[f"cut at max_tokens, of {len(evaluation.outcomes)} answers"] = cut
        first[f"cut at max_tokens, of {len(evaluation.outcomes)} answers"] = "raise max_tokens in params"
    errors = evaluation.summary(variant).errors
    lines = [
        f"{count} x {kind}: {' '.join(first[kind].split())[:160]}" for kind, count in kinds.most_common(most)
    ]
    return lines + [f"{count} x {kind} (not scored)" for kind, count in errors.items()]
