"""One search for each target model; what one finds, the next ones start from."""

from __future__ import annotations

from dataclasses import dataclass

from promptmigrate.config import Config
from promptmigrate.evaluate import Evaluator
from promptmigrate.lm import Door
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.first_look import before, contact
from promptmigrate.pipeline.gate import original_variant, production_variant
from promptmigrate.pipeline.kept import Ended, Searches
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.prepare import Ready
from promptmigrate.pipeline.searching import search
from promptmigrate.search import SearchResult
from promptmigrate.types import Prompt, Variant


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A target model and what the search found for it."""

    config: Config
    """The experiment with this target alone."""
    original: Variant
    """The old prompt on this model."""
    found: SearchResult
    asked: int = 0
    """Most calls that a program was seen to make for a row."""


def compete(
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
    """Search for the best Variant of each target, within the budget that the gate leaves.

    All targets are contacted first: a name that is wrong shows before much is spent. Searches that have ended
    are not made again.

    Raises:
        BudgetExceeded: a call did not fit.
        ConfigError: the answers of a judge cannot be used.
        EndpointError: a model cannot be reached.
    """
    production, dataset = production_variant(config, ready.prompt), ready.dataset
    singles = config.single()
    ended = [searches.ended(index) for index in range(len(singles))]
    for single in singles if None in ended else ():
        original = original_variant(single, ready.prompt)
        contact(config, production, original, dataset, evaluator, door, plan)
    found: list[Contender] = []
    handed_on: list[Prompt] = []
    for index, single in enumerate(singles):
        original = original_variant(single, ready.prompt)
        title = f"Search: {config.search.strategy}" + (f", {original.model}" if len(singles) > 1 else "")
        end = ended[index]
        if end is None:
            say.stage(f"Before: the production prompt on {original.model}")
            known = before(original, dataset, evaluator, plan, say)
            say.stage(title)
            result = search(
                single,
                dataset,
                original,
                evaluator,
                door,
                plan,
                say,
                known=known,
                target=index,
                prompts=(*ready.seeds, *handed_on),
                study=study,
            )
            end = searches.keep(index, Ended.of(result, dataset, evaluator, [production, original]))
        else:
            say.stage(f"{title}, ended before")
        end.recall(dataset, evaluator, [production, original])
        result = end.found
        say.note(f"search: {result.stopped}")
        found.append(Contender(config=single, original=original, found=result))
        if result.best.prompt.digest not in {ready.prompt.digest, *(prompt.digest for prompt in handed_on)}:
            handed_on.append(result.best.prompt)
    return tuple(found)
