"""How many test rows what is left of the budget pays for, by what calls have taken so far.

Asked once, between search and gate. Rows that are opened and cannot all be answered would be spent for
nothing, and rows that could be paid for and stay closed leave a question open: so they may become fewer than
planned, and more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promptmigrate.config import Config
from promptmigrate.errors import BudgetExceeded
from promptmigrate.evaluate import Evaluator
from promptmigrate.lm import Door
from promptmigrate.lm.budget import at_once
from promptmigrate.pipeline.estimate import RESERVE, edge, rates
from promptmigrate.pipeline.plan import LEAST_GATE_ROWS, Plan
from promptmigrate.pipeline.prepare import Ready
from promptmigrate.pipeline.tokens import Call, expected
from promptmigrate.types import Example, Reply, Variant

_MEASURED = 1.2
"""Times what calls have taken, where enough were made; on fewer it is ``RESERVE``."""
_ENOUGH = 10
_NOTICEABLE = 0.05
_AT_ONCE = 32
"""Calls that an endpoint is sure to be given together."""
_SLOWER = 2.0
"""A provider under load, and the last calls that run alone, take longer than the mean."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What one limit of the budget leaves for the gate."""

    limit: str
    """Its key under ``budget``."""
    left: float
    """What the rows may take together."""
    a_row: float
    """What one takes, reserve included."""
    unit: str
    """Of both."""

    worst: float = 0.0
    """What a call of the gate takes at worst, on average of its sides."""

    @property
    def rows(self) -> int:
        """Test rows that it pays for."""
        return max(0, int(self.left / self.a_row))

    def together(self, rows: int) -> int:
        """Calls that the ledger lets go at a time, halfway through so many rows."""
        spent = min(self.left, rows * self.a_row)
        return at_once(self.left - spent / 2, self.worst)

    def amount(self, value: float) -> str:
        """``value`` for people."""
        return f"{value:.3g} {self.unit}" if value < 1000 else f"{value:,.0f} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One variant of the gate, and what is known of its calls."""

    variant: Variant
    replies: Sequence[Reply]
    """On train and validation rows."""
    call: Call
    """What an answer should take."""
    counted: bool
    """Whether that was counted by traces of the same variant."""

    def takes(self, amount: Callable[[Reply], float], should: float) -> float:
        """What an answer takes, reserve included: as measured, or as estimated where few were."""
        mean = math.fsum(map(amount, self.replies)) / max(1, len(self.replies))
        if len(self.replies) >= _ENOUGH:
            return _MEASURED * mean
        # A single answer may be long by chance; one that is far longer says that the estimate is wrong, as
        # with models that think before they answer.
        few = mean if mean > RESERVE * should else should
        return (_MEASURED if self.counted else RESERVE) * few

    @property
    def edge(self) -> Call:
        """The worst case of a call."""
        longest = Call(
            input=max([self.call.input, *(reply.input_tokens for reply in self.replies)]),
            output=max([self.call.output, *(reply.output_tokens for reply in self.replies)]),
        )
        return edge(longest, self.variant.params)


def allowances(
    config: Config,
    ready: Ready,
    plan: Plan,
    sides: Sequence[Variant],
    evaluator: Evaluator,
    door: Door,
) -> list[Allowance]:
    """What each limit that ``budget`` sets leaves for the gate.

    Args:
        config: The experiment.
        ready: Its rows; what ``sides`` took on train and validation rows is what they will take.
        plan: Of the run.
        sides: The variants that the gate asks.
        evaluator: Knows the answers so far.
        door: Knows what was spent so far.
    """
    budget, spent = config.budget, door.account()
    should = expected(ready.dataset, ready.typical)
    rate = rates(config, ready.dataset, ready.typical, plan.rerun, door)
    rows = [*ready.dataset.split("train"), *ready.dataset.split("validation")]
    known = [
        _Side(
            variant=side,
            replies=_replies(evaluator, side, rows),
            call=should.call * (plan.calls_per_row - plan.judged),
            counted=should.counted and plan.rerun and index == 0,
        )
        for index, side in enumerate(sides)
    ]
    again = 1 + 1.1 * evaluator.retry_rate
    calls = again * plan.gate_calls / plan.gate_rows
    # Judges are asked about production too where its recorded answers are the yardstick.
    questions = _MEASURED * plan.judged * (plan.targets + 1)
    asked = sum(spent.calls.values())
    found = []
    if budget.calls is not None:
        found.append(Allowance(limit="calls", left=budget.calls - asked, a_row=calls, unit="calls"))
    if budget.usd is not None:
        priced = [(side, price) for side in known if (price := door.price(side.variant.model))]
        a_row = sum(side.takes(lambda r: r.cost_usd or 0.0, side.call.usd(price)) for side, price in priced)
        a_row += questions * spent.usd_by_purpose["judge"] / max(1, spent.calls["judge"])
        edges = [side.edge.usd(price) for side, price in priced]
        left = budget.usd - spent.usd - spent.usd_held - max([rate["usd"].edge, *edges])
        a_row *= again * plan.repeats
        found.append(Allowance(limit="usd", left=left, a_row=a_row, unit="USD", worst=_mean(edges)))
    if budget.tokens is not None:
        a_row = sum(side.takes(_tokens, side.call.tokens) for side in known)
        # Judges are counted as the mean of all calls: they read an answer, and say little.
        a_row += questions * spent.tokens / max(1, asked)
        edges = [side.edge.tokens for side in known]
        left = budget.tokens - spent.tokens - max([rate["tokens"].edge, *edges])
        a_row *= again * plan.repeats
        found.append(Allowance(limit="tokens", left=left, a_row=a_row, unit="tokens", worst=_mean(edges)))
    if budget.minutes is not None:
        slowest = max(side.takes(lambda reply: reply.latency_s, 0.0) for side in known)
        # What is left of a small budget lets only a few calls go at a time.
        held = [one.together(plan.gate_rows) for one in found if one.worst and one.left > 0]
        a_row = slowest * calls * _SLOWER / min([plan.concurrency, _AT_ONCE, *held])
        seconds = budget.minutes * 60 - spent.seconds
        found.append(Allowance(limit="minutes", left=seconds, a_row=a_row, unit="seconds"))
    return [one for one in found if one.a_row > 0]  # an endpoint may not tell tokens, nor anybody a price


def within(plan: Plan, found: Sequence[Allowance], *, retry_rate: float = 0.0) -> Plan:
    """``plan`` with as many test rows as every allowance pays for, but no more than ``plan.most_rows``.

    Args:
        plan: Of the run.
        found: What the limits of its budget leave.
        retry_rate: Requests beyond one for each answer, as a share: said where it is noticeable.

    Raises:
        BudgetExceeded: one does not pay for the fewest rows that can decide; nothing was opened.
    """
    if not found:
        return plan
    there = plan.test_rows
    fewest = min(LEAST_GATE_ROWS, there)
    least = min(found, key=lambda one: one.rows)
    said = (
        f"{least.amount(max(0.0, least.left))} of the budget are left and a test row takes about "
        f"{least.amount(least.a_row)}"
        + (f" ({retry_rate:.0%} of the requests had to be sent again)" if retry_rate > _NOTICEABLE else "")
    )
    if least.rows < fewest:
        raise BudgetExceeded(
            f"the budget ended before the gate: {said} ({fewest} rows are needed); no test row was opened. "
            f"Raise budget.{least.limit} and run the same command again: what was answered is kept"
        )
    rows = min(plan.most_rows, least.rows)
    if rows == plan.gate_rows:
        return plan
    if rows == there:
        return plan.opening(rows, "")
    if rows == plan.most_rows:
        return plan.opening(rows, f"budget.calls pays for {rows} of {there} test rows beside the search")
    more = least.amount((there - rows) * least.a_row)
    return plan.opening(
        rows,
        f"{said}, so budget.{least.limit} pays for {rows} of {there} test rows; about {more} more would do "
        "for all of them",
    )


def _replies(evaluator: Evaluator, variant: Variant, rows: Sequence[Example]) -> list[Reply]:
    outcomes = evaluator.known(variant, rows).outcomes.values()
    return [outcome.reply for outcome in outcomes if outcome.reply.answered]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _tokens(reply: Reply) -> float:
    return float(reply.input_tokens + reply.output_tokens)
