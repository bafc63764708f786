"""What a run will spend, said before it starts.

What the gate asks is known: its rows, its sides, and their length from the traces. What the search asks is
not: how early it stops, how far prompts grow, how often judges and the reflection model are asked. So the
forecast has an expected value, an interval that is meant to hold the real figure in 9 runs of 10, and, apart
from these, the limits of the budget, which no run goes over. What a search does by experience was measured
(:mod:`promptmigrate.pipeline.habits`); docs/costs.md says how well the interval holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.config import Config
from promptmigrate.lm import Door
from promptmigrate.pipeline.estimate import edge
from promptmigrate.pipeline.habits import Habit, grown, habit
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.tokens import Call, Expected, expected
from promptmigrate.search.failures import KNOWN_CHARS
from promptmigrate.types import Dataset, Prompt

_Z = 1.645
"""Of an interval of 90 %."""
_JUDGED = 0.5
"""Share of the answers that a judge is asked about: what is the same as the reference need not be."""
_WRITTEN = 300.0
"""Tokens of a proposal."""
_SHOWN = KNOWN_CHARS / 4
"""Tokens of the rows that it shows beside failures, at most."""
_BEGINS = 0.1
"""Share of what was planned that even a search makes whose first request for a proposal does not fit."""
_MORE_ROWS = 1.3
"""Times the planned test rows, where the budget had kept some closed."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """A figure that is not known yet, and the interval that holds the real one in 9 runs of 10."""

    expected: float
    low: float
    high: float

    def below(self, most: float | None, *, last: float = 1.0) -> Range:
        """Held to what cannot be gone over, of which a run that ends there uses the share ``last``."""
        if most is None:
            return self
        return Range(
            expected=min(self.expected, last * most),
            low=min(self.low, 0.8 * last * most),
            high=min(self.high, most),
        )


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Calls and money of a run."""

    calls: Range
    most_calls: int | None
    """``budget.calls``: what the run cannot go over."""
    usd: Range | None
    """None: no price is known."""
    most_usd: float | None
    """``budget.usd``; None without one, and where it cannot hold since a price is not known."""
    unpriced: tuple[str, ...]
    """Models whose price is not known; they are not in ``usd``."""
    basis: str
    """Where the token counts come from."""

    def line(self) -> str:
        """For people."""
        calls, usd = self.calls, self.usd
        text = f"forecast: about {calls.expected:.0f} calls"
        text += "" if usd is None else f" and {_dollars(usd.expected)}"
        text += f" (9 runs of 10: {calls.low:.0f} to {calls.high:.0f} calls"
        text += ")" if usd is None else f", {_dollars(usd.low)} to {_dollars(usd.high)})"
        limits = [] if self.most_calls is None else [f"{self.most_calls} calls"]
        limits += [] if self.most_usd is None else [_dollars(self.most_usd)]
        text += (
            f"; never over {' or '.join(limits)}, the budget"
            if limits
            else "; no budget of calls or USD caps it"
        )
        without = f"; without {', '.join(self.unpriced)}: price unknown" if self.unpriced else ""
        return f"{text}{without}; {self.basis}"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        calls, usd = self.calls, self.usd
        return {
            "calls": [round(calls.low), round(calls.high)],
            "usd": None if usd is None else [usd.low, usd.high],
            "expected": {"calls": round(calls.expected), "usd": None if usd is None else usd.expected},
            "most": {"calls": self.most_calls, "usd": self.most_usd},
            "unpriced": list(self.unpriced),
            "basis": self.basis,
        }


def _dollars(value: float) -> str:
    return f"${value:.2f}" if value >= 1 else f"${value:.4f}"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Calls of one kind."""

    model: str
    count: float
    call: Call
    doubt: float
    """Relative standard deviation of its cost."""
    searched: bool = False
    """Whether it grows with how far the search goes."""


def forecast(config: Config, dataset: Dataset, prompt: Prompt, plan: Plan, door: Door) -> Forecast:
    """What the run of ``plan`` will spend.

    Answers from the cache cost nothing and are not known beforehand: a run that goes on spends less.

    Args:
        config: The experiment.
        dataset: Its rows; token counts in the metadata are used where they are known.
        prompt: What production asks.
        plan: Of the run.
        door: Knows the prices.
    """
    budget, known = config.budget, expected(dataset, prompt)
    rows = _opened(plan)
    used = _paid(_used(plan, habit(config)), config, plan, known, rows, door)
    parts = _parts(config, plan, known, used, rows)
    unpriced = [part.model for part in parts if door.price(part.model) is None]
    costs = _costs(parts, door)
    return Forecast(
        calls=_calls(plan, used, rows).below(budget.calls),
        most_calls=budget.calls,
        # The last of a budget is not spent: a call is not sent that could go over it.
        usd=_usd(costs, used, rows).below(budget.usd, last=0.95) if costs else None,
        most_usd=None if unpriced else budget.usd,
        unpriced=tuple(dict.fromkeys(unpriced)),
        basis=known.basis,
    )


def _paid(used: Range, config: Config, plan: Plan, known: Expected, rows: Range, door: Door) -> Range:
    """``used`` of a search that ``budget.usd`` ends sooner.

    It ends when a request for a proposal does not fit beside the gate at its worst case.
    """
    price = door.price(config.reflection_model)
    if config.budget.usd is None or price is None or not habit(config).reflections:
        return used
    last = edge(_letter(config, known), config.search.reflection_params).usd(price)
    room = max(0.0, config.budget.usd - plan.gate_usd - last)
    costs = _costs(_parts(config, plan, known, used, rows), door)
    share = min(1.0, room / (sum(usd for part, usd in costs if part.searched) or 1.0))
    share = max(_BEGINS, share)
    return Range(expected=used.expected * share, low=used.low * share, high=used.high)


def _costs(parts: Sequence[_Part], door: Door) -> list[tuple[_Part, float]]:
    """Each part with what it costs in USD, where its price is known."""
    return [(part, part.count * part.call.usd(price)) for part in parts if (price := door.price(part.model))]


def _letter(config: Config, known: Expected) -> Call:
    """One request for a proposal."""
    shown = min(_SHOWN, habit(config).shown * (known.row + known.call.output))
    return Call(input=400.0 + 1.2 * grown(config, known).input + shown, output=_WRITTEN)


def _opened(plan: Plan) -> Range:
    """Test rows: where money or tokens bind, the gate opens more with what its reserve turns out to leave."""
    return Range(
        expected=min(float(plan.most_rows), _MORE_ROWS * plan.gate_rows),
        low=float(plan.gate_rows),
        high=float(plan.most_rows),
    )


def _used(plan: Plan, does: Habit) -> Range:
    """The share of its calls that a search makes: a small one all; a large one may find nothing more."""
    least = does.least / max(1, plan.search_calls)
    low = max(0.25 * does.persists, min(0.85, least))
    return Range(expected=low + (0.98 - low) * does.persists, low=low, high=1.0)


def _parts(config: Config, plan: Plan, known: Expected, used: Range, opened: Range) -> list[_Part]:
    does, call, longer = habit(config), known.call, grown(config, known)
    chosen = grown(config, known, chosen=True)
    doubt = 0.1 if known.counted else 0.3
    asks = plan.calls_per_row - plan.judged
    rows = opened.expected * plan.repeats
    answers = plan.search_calls / plan.calls_per_row * used.expected
    parts = []
    if config.source and plan.rerun:
        parts.append(_Part(model=config.source.model, count=rows * asks, call=call, doubt=doubt))
    for target in config.targets:
        parts.append(_Part(model=target.model, count=rows * asks, call=chosen, doubt=0.5))
        searched = _Part(
            model=target.model, count=answers * asks, call=longer, doubt=does.doubt, searched=True
        )
        parts.append(searched)
    judges = dict.fromkeys(scorer.judge for scorer in config.scorers if scorer.judge)
    for judge in judges:
        each = plan.judged / len(judges) * _JUDGED
        sides = rows * (plan.targets + 1)
        parts.append(_Part(model=judge, count=sides * each, call=known.question, doubt=0.7))
        count = answers * plan.targets * each
        parts.append(_Part(model=judge, count=count, call=known.question, doubt=0.7, searched=True))
    proposals = plan.search_calls * plan.targets * used.expected * does.reflections
    parts.append(
        _Part(
            model=config.reflection_model,
            count=proposals,
            call=_letter(config, known),
            doubt=max(0.7, does.doubt),
            searched=True,
        )
    )
    return [part for part in parts if part.count]


def _usd(costs: Sequence[tuple[_Part, float]], used: Range, rows: Range) -> Range:
    """Errors of parts are taken as independent, those of how many there are as common to them."""
    expected = sum(usd for _, usd in costs)
    searched = sum(usd for part, usd in costs if part.searched)
    opened = expected - searched
    own = math.sqrt(sum((usd * part.doubt) ** 2 for part, usd in costs)) / (expected or 1.0)
    # What a call costs may be a multiple of what was thought: symmetric in the logarithm. How many there are
    # lies between two ends.
    more = (
        expected * (math.exp(_Z * own) - 1),
        searched * (used.high / used.expected - 1),
        opened * (rows.high / rows.expected - 1),
    )
    less = (
        expected * (1 - math.exp(-_Z * own)),
        searched * (1 - used.low / used.expected),
        opened * (1 - rows.low / rows.expected),
    )
    return Range(
        expected=expected,
        low=expected - min(math.hypot(*less), 0.95 * expected),
        high=expected + math.hypot(*more),
    )


def _calls(plan: Plan, used: Range, rows: Range) -> Range:
    # Of the planned calls, what judges could take: they are asked between a twentieth and all of it.
    share = plan.judged / plan.calls_per_row
    a_row = plan.gate_calls / plan.gate_rows
    searched = plan.search_calls * plan.targets

    def calls(opened: float, length: float, asked: float) -> float:
        return (opened * a_row + searched * length) * (1 - share * (1 - asked))

    return Range(
        expected=calls(rows.expected, used.expected, _JUDGED),
        low=0.97 * calls(rows.low, used.low, 0.05),
        high=calls(rows.high, used.high, 1.0) + 0.2 * plan.spare_calls,
    )
