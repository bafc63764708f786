"""What calls take of each limit of the budget by estimate, before any is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from promptmigrate.config import Config
from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm import Door
from promptmigrate.lm.sizes import DEFAULT_OUTPUT_TOKENS
from promptmigrate.pipeline.habits import grown
from promptmigrate.pipeline.strategies import asked_models
from promptmigrate.pipeline.tokens import Call, expected
from promptmigrate.types import Dataset, Prompt

RESERVE = 1.5
"""Times the expected tokens of a call: with it budget.usd and budget.tokens are divided beforehand."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What calls take of one limit; 0 where that is not known."""

    gate: float
    """One call of the gate, on average of its sides and their judges."""
    search: float
    edge: float = 0.0
    """Of the limit, what cannot be spent: see :func:`edge`."""

    def buys(self, limit: float) -> float:
        """Calls of the gate that ``limit`` pays for."""
        return max(0.0, limit - self.edge) / self.gate

    def beside(self, limit: float, gate: int) -> int:
        """Calls of the search that ``limit`` pays for beside so many of the gate."""
        return max(0, int((limit - self.edge - gate * self.gate) / self.search))

    def cost(self, calls: int) -> float:
        """What has to be there for so many calls of the gate."""
        return calls * self.gate + self.edge


def rates(config: Config, dataset: Dataset, prompt: Prompt, rerun: bool, door: Door) -> dict[str, Rate]:
    """By limits of ``budget``; an estimate to plan with: what is really spent is the ledger's to watch.

    A candidate's prompt is longer than production's, since rules and demos add to it, and that of the one
    that is chosen is longer still.
    """
    known = expected(dataset, prompt)
    own, longer, chosen = known.call, grown(config, known), grown(config, known, chosen=True)
    sides = [(target.model, chosen, target.params) for target in config.targets]
    if config.source and rerun:
        sides.append((config.source.model, own, config.source.params))
    searched = [(target.model, longer, target.params) for target in config.targets]
    judges = [(scorer.judge, known.question, scorer.params) for scorer in config.scorers if scorer.judge]

    def rate(takes: Callable[[str, Call], float]) -> Rate:
        judged = [takes(model, call * RESERVE) for model, call, _ in judges]
        asked = [takes(model, call * RESERVE) for model, call, _ in sides]
        return Rate(
            # The gate asks all sides in turn, and a judge of each.
            gate=max([sum(asked) / len(asked), *judged]),
            search=max([*(takes(model, call * RESERVE) for model, call, _ in searched), *judged]),
            edge=max(takes(model, edge(call * RESERVE, params)) for model, call, params in [*sides, *judges]),
        )

    def usd(model: str, call: Call) -> float:
        price = door.price(model)
        return 0.0 if price is None else call.usd(price)

    return {
        "calls": Rate(gate=1.0, search=1.0),
        "tokens": rate(lambda _, call: call.tokens),
        "usd": rate(usd),
    }


def edge(call: Call, params: Mapping[str, Any]) -> Call:
    """The worst case of a call like ``call``.

    The ledger sets it aside while the last call is under way, so that much of a budget cannot be spent.
    """
    bound = params.get("max_completion_tokens") or params.get("max_tokens")
    if not isinstance(bound, int | float) or bound <= 0:
        bound = max(DEFAULT_OUTPUT_TOKENS, 2 * call.output)
    return Call(input=2 * call.input, output=bound)


def unpriced(config: Config, door: Door) -> str | None:
    """What to say where budget.usd cannot hold for every model.

    Raises:
        BudgetExceeded: nothing else limits the run.
    """
    unknown = [model for model in asked_models(config) if door.price(model) is None]
    if not unknown:
        return None
    text = f"the price of {', '.join(unknown)} is not known, so budget.usd cannot hold for it"
    if config.budget.calls is None and config.budget.tokens is None:
        raise BudgetExceeded(f"{text}: give it under 'prices' (USD per million tokens) or set budget.calls")
    return f"{text}; budget.calls and budget.tokens do"
