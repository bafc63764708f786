"""Between pipeline and search: a Problem that can ask models but not overrun what belongs to the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from promptmigrate.config import Config
from promptmigrate.evaluate import Evaluation, Evaluator, percentile, recorded_usd
from promptmigrate.lm import Door, Price
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.tokens import Call, asked_in
from promptmigrate.search import Problem, SearchResult, run_strategy, strategy
from promptmigrate.tokens import tokens_in
from promptmigrate.types import Dataset, Example, Prompt, Purpose, Variant

if TYPE_CHECKING:
    import dspy


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

    mean_latency, p95_latency = _latency_limits(config, dataset, plan)
    problem = Problem(
        original=original,
        train=dataset.split("train"),
        validation=dataset.split("validation"),
        evaluate=evaluate,
        reflect=door.complete,
        reflection_model=config.reflection_model,
        dspy_lm=engine_on(door, config, say),
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
        max_latency_s=mean_latency,
        max_p95_latency_s=p95_latency,
        price_of=door.price,
        log=say.note,
    )
    door.limit(plan.search_budget(config, target), part="the search")
    try:
        return run_strategy(strategy(config.search.strategy), problem)
    finally:
        door.limit(config.budget)


def engine_on(door: Door, config: Config, say: Listener) -> Callable[[str, Purpose], dspy.LM]:
    """What gives strategies a ``dspy.LM`` whose calls go through ``door``.

    That the reflection model is cut short is said once; answers of the task are scored as they are.
    """

    @cache
    def cut() -> None:
        say.note(
            f"an answer of {config.reflection_model}, the reflection model, was cut short, so a proposal "
            "lacks its end: raise max_tokens in search.reflection_params"
        )

    def dspy_lm(model: str, purpose: Purpose) -> dspy.LM:
        from promptmigrate.lm.engine import dspy_lm as make

        if purpose == "reflection":
            return make(door, model, purpose=purpose, params=config.search.reflection_params, on_cut=cut)
        return make(door, model, purpose=purpose, params=config.target.params)

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


def _latency_limits(config: Config, dataset: Dataset, plan: Plan) -> tuple[float | None, float | None]:
    """Mean and 95th percentile of the latency, in seconds, above which the gate would refuse, as far as
    traces tell.

    The gate compares 95th percentiles; a search has too few rows for them, and takes the means to have the
    same ratio. Where production is asked again its old latencies say nothing.
    """
    ratio = config.gate.guardrails.p95_latency_ratio
    known = [e.metadata.get("latency_s") for e in dataset.split("train")]
    seconds = sorted(float(s) for s in known if isinstance(s, int | float))
    slow = percentile(seconds, 0.95)
    if ratio is None or plan.rerun or len(seconds) < len(known) or slow is None:
        return None, None
    return ratio * sum(seconds) / len(seconds), ratio * slow


def recorded_cost(example: Example, production: Variant, price: Price) -> float:
    """What production paid for ``example`` in USD: as its trace says, or its counted tokens cost.

    Else it is estimated from the texts, which do not show what a model thinks before it answers.
    """
    known = recorded_usd(example, price)
    if known is not None:
        return known
    call = Call(input=asked_in(production.prompt, example.inputs), output=tokens_in(example.reference or ""))
    return call.usd(price)
