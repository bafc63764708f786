"""Between pipeline and search: a Problem that can ask models but not overrun what belongs to the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promptmigrate.config import Config
from promptmigrate.errors import EndpointError
from promptmigrate.evaluate import Evaluation, Evaluator
from promptmigrate.lm import Door, Price
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.tokens import Call, asked_in, tokens_in
from promptmigrate.search import Problem, SearchResult, strategy
from promptmigrate.types import Dataset, Example, Prompt, Purpose, Request, Variant

if TYPE_CHECKING:
    import dspy

CONTACT_ROWS = 3
"""Answers without a measurement before a run is given up: one may fail by chance."""
_PING = {"role": "user", "content": "Reply with the word OK."}
_BEFORE_SHARE = 8
_BEFORE_ROWS = 80
"""Enough to see how the old prompt fails; every further row would be taken from the search."""


def contact(
    production: Variant,
    original: Variant,
    dataset: Dataset,
    evaluator: Evaluator,
    door: Door,
    plan: Plan,
    model: str,
) -> None:
    """Ask every model once or a few times, before much is spent: a wrong name, key or parameter shows here.

    Args:
        production: Asked on some train rows, if the gate will ask it again.
        original: Asked on some validation rows.
        dataset: The rows.
        evaluator: Its judges are asked along.
        door: The way to the reflection model.
        plan: Of the run.
        model: The reflection model.

    Raises:
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
            raise EndpointError(
                f"none of the first {min(len(rows), CONTACT_ROWS)} answers of {variant.model} could be "
                f"measured: {_complaint(evaluation, variant)}"
            )
    if model not in {variant.model for variant, _ in sides}:
        door.complete(Request(model=model, messages=(_PING,), purpose="reflection"))


def _complaint(evaluation: Evaluation, variant: Variant) -> str:
    """What the first failed call or unscored answer says."""
    for example in evaluation.examples:
        outcome = evaluation.outcome(variant, example)
        if outcome is not None and not outcome.reply.answered:
            return f"{outcome.reply.kind}: {outcome.reply.error}"
        for score in outcome.scores if outcome else ():
            if score.value is None:
                return f"{score.name} could not score ({score.unscored}): {score.rationale}"
    return "no row was answered"


def before(
    original: Variant, dataset: Dataset, evaluator: Evaluator, plan: Plan, say: Listener
) -> Evaluation | None:
    """Show how the old prompt does on the new model, on some validation rows."""
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
    return evaluation


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


def search(
    config: Config,
    dataset: Dataset,
    original: Variant,
    evaluator: Evaluator,
    door: Door,
    plan: Plan,
    say: Listener,
    *,
    known: Evaluation | None,
    target: int = 0,
    prompts: Sequence[Prompt] = (),
    study: str | None = None,
) -> SearchResult:
    """Search for the best Variant with what the gate leaves.

    Args:
        config: The experiment with one target.
        dataset: The rows.
        original: The old prompt on the target model.
        evaluator: Asks the target.
        door: The way to the reflection model.
        plan: Of the run.
        say: Is told what happens.
        known: What was measured of ``original`` and paid from the search's calls.
        target: Number of the target, from 0; the searches before it have had their share of the budget.
        prompts: Further prompts to start from.
        study: Storage URL for the trials of bounded knobs.
    """

    def evaluate(variants: Sequence[Variant], examples: Sequence[Example]) -> Evaluation:
        return evaluator.run(variants, examples, phase="search")

    problem = Problem(
        original=original,
        train=dataset.split("train"),
        validation=dataset.split("validation"),
        evaluate=evaluate,
        reflect=door.complete,
        reflection_model=config.reflection_model,
        dspy_lm=engine_on(door, config),
        calls_per_row=plan.calls_per_row,
        calls=plan.search_calls - (len(known.outcomes) * plan.calls_per_row if known else 0),
        known=known,
        may_change=frozenset(config.search.may_change),
        max_prompt_tokens=config.search.max_prompt_tokens,
        seed=config.search.seed,
        prompts=tuple(prompts),
        minimise=config.search.minimise,
        study=study,
        goal=goal(config, dataset, original, evaluator, plan),
        max_cost_usd=_cost_limit(config, dataset, original, door),
        price_of=door.price,
        log=say.note,
    )
    door.limit(plan.search_budget(config, target))
    try:
        return strategy(config.search.strategy).search(problem)
    finally:
        door.limit(config.budget)


def engine_on(door: Door, config: Config) -> Callable[[str, Purpose], dspy.LM]:
    """What gives strategies a ``dspy.LM`` whose calls go through ``door``."""

    def dspy_lm(model: str, purpose: Purpose) -> dspy.LM:
        from promptmigrate.lm.engine import dspy_lm as make

        params: dict[str, Any] = dict(config.target.params) if purpose == "task" else {}
        return make(door, model, purpose=purpose, params=params)

    return dspy_lm


def goal(
    config: Config, dataset: Dataset, original: Variant, evaluator: Evaluator, plan: Plan
) -> float | None:
    """How good production's recorded answers are, where that can be told without asking a judge."""
    rows = [e for e in (*dataset.split("train"), *dataset.split("validation")) if e.expectations]
    if not config.source or not rows or plan.calls_per_row > 1:
        return None
    recorded = replace(original, model=config.source.model, params=config.source.params)
    return evaluator.recorded(recorded, rows, phase="production as recorded").mean_quality(recorded)


def _cost_limit(config: Config, dataset: Dataset, original: Variant, door: Door) -> float | None:
    """Mean cost of a call, in USD, above which the gate would refuse: what is dearer need not be searched."""
    ratio = config.gate.guardrails.cost_ratio
    price = door.price(config.source.model) if config.source else None
    if ratio is None or price is None:
        return None
    rows = [e for e in dataset.split("train") if e.reference is not None]
    if not rows:
        return None
    costs = [recorded_cost(example, original, price) for example in rows]
    return ratio * sum(costs) / len(costs)


def recorded_cost(example: Example, production: Variant, price: Price) -> float:
    """What production paid for ``example`` in USD: as its trace says, else estimated from the texts."""
    known = example.metadata.get("cost_usd")
    if isinstance(known, int | float):
        return float(known)
    call = Call(input=asked_in(production.prompt, example.inputs), output=tokens_in(example.reference or ""))
    return call.usd(price)
