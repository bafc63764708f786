"""One joint search for each target model of a program with several prompts."""

from __future__ import annotations

from dataclasses import replace

from promptmigrate.config import Config
from promptmigrate.errors import ConfigError
from promptmigrate.evaluate import Evaluation, Evaluator, ProgramRunner
from promptmigrate.lm import Door
from promptmigrate.pipeline.contest import Contender
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.first_look import before, contact
from promptmigrate.pipeline.gate import original_variant, production_variant
from promptmigrate.pipeline.kept import Ended, Searches
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.prepare import Ready
from promptmigrate.pipeline.program import asked, settled
from promptmigrate.pipeline.program_search import JointSearch
from promptmigrate.search import strategy
from promptmigrate.types import Prompt, Variant

_SEEN_ROWS = 8
"""Rows on which the program is watched as production runs it."""
_LOOK_SHARE = 4
_LOOK_ROWS = 2 * _SEEN_ROWS


def compete_program(
    runner: ProgramRunner,
    config: Config,
    ready: Ready,
    evaluator: Evaluator,
    door: Door,
    plan: Plan,
    say: Listener,
    *,
    study: str | None,
    searches: Searches,
) -> tuple[Contender, ...]:
    """Search for the best prompts of a program for each target, as :func:`compete` does for one prompt.

    Raises:
        BudgetExceeded: a call did not fit.
        ConfigError: the program raises on every row, also as production runs it, or asks on without an end;
            or the answers of a judge cannot be used.
        EndpointError: a model cannot be reached.
    """
    production = production_variant(config, ready.prompt, ready.components)
    singles = config.single()
    ended = [searches.ended(index) for index in range(len(singles))]
    if None in ended and getattr(strategy(config.search.strategy), "deterministic", False):
        # A search also reads how the program ran in those before it: they are gone through again, for free.
        ended = [None] * len(singles)
    for single in singles if None in ended else ():
        original = original_variant(single, ready.prompt, ready.components)
        with runner.at_most(_first_calls(plan)):
            contact(config, production, original, ready.dataset, evaluator, door, plan)
    seen: Evaluation | None = None
    if plan.rerun and None in ended:
        with runner.at_most(_first_calls(settled(plan, ready.components, asked(runner)))):
            seen = _production_seen(production, ready, evaluator)
        plan = replace(plan, search_calls=plan.search_calls - _SEEN_ROWS * plan.calls_per_row)
    found: list[Contender] = []
    handed_on: dict[str, list[Prompt]] = {}
    for index, single in enumerate(singles):
        original = original_variant(single, ready.prompt, ready.components)
        sides = [production, original]
        end = ended[index]
        if end is None:
            say.stage(f"Before: the production prompts on {original.model}")
            look = settled(plan, ready.components, asked(runner))
            with runner.at_most(_first_calls(look)):
                known = before(original, ready.dataset, evaluator, look, say)
            result = JointSearch(
                config=single,
                ready=ready,
                production=production,
                original=original,
                runner=runner,
                evaluator=evaluator,
                door=door,
                plan=plan,
                say=say,
                known=known,
                target=index,
                prompts={name: list(prompts) for name, prompts in handed_on.items()},
                study=study,
                max_cost_usd=_cost_limit(config, production, seen),
            ).run()
            most = asked(runner)
            end = searches.keep(index, Ended.of(result, ready.dataset, evaluator, sides, asked=most))
        else:
            say.stage(f"Search: {config.search.strategy}, {original.model}, ended before")
            say.note(f"search: {end.found.stopped}")
        end.recall(ready.dataset, evaluator, sides)
        result = end.found
        found.append(Contender(config=single, original=original, found=result, asked=end.asked))
        for name, prompt in result.best.components.items():
            if prompt != original.components[name] and prompt not in handed_on.setdefault(name, []):
                handed_on[name].append(prompt)
    return tuple(found)


def _first_calls(plan: Plan) -> int:
    """Calls that one step of the first look may take: far more than planned, and a part of the search's."""
    return max(plan.search_calls // _LOOK_SHARE, _LOOK_ROWS * plan.calls_per_row)


def _production_seen(production: Variant, ready: Ready, evaluator: Evaluator) -> Evaluation:
    """The program as it runs in production, on some train rows: what it costs, and how it uses its prompts.

    Raises:
        ConfigError: it works with none of them.
    """
    rows = ready.dataset.split("train")[:_SEEN_ROWS]
    seen = evaluator.run([production], rows, phase="production")
    errors = [outcome.reply.error for row in rows if (outcome := seen.outcome(production, row))]
    if errors and all(errors):
        raise ConfigError(
            f"program: it fails on each of the first {len(errors)} rows: {errors[0]}", key="program"
        )
    return seen


def _cost_limit(config: Config, production: Variant, seen: Evaluation | None) -> float | None:
    """Mean cost of a row, in USD, above which the gate would refuse; None: no limit, or no price."""
    ratio = config.gate.guardrails.cost_ratio
    cost = None if seen is None else seen.mean_cost(production)
    return None if ratio is None or cost is None else ratio * cost
