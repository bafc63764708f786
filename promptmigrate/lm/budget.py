"""Whether one more request fits into a budget."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from promptmigrate.config import BudgetConfig

NANO = 1_000_000_000
_AT_RISK = 4
"""Requests under way may take at most this part (a quarter) of what is left of a budget: if the process dies,
nobody learns what they cost, and their worst case stays held for the rest of the run."""


class Worst(NamedTuple):
    """The most that requests may take."""

    tokens: int
    nanousd: int | None


@dataclass(slots=True)
class Totals:
    """What was spent for one purpose. Amounts are exact integers (nano-dollars)."""

    sent: int = 0
    tokens: int = 0
    held_tokens: int = 0
    nanousd: int = 0
    held_nanousd: int = 0
    unpriced: int = 0

    def count(self, worst: Worst, times: int = 1) -> None:
        """One request is about to be sent; with ``times`` -1 it was not sent after all."""
        self.sent += times
        self.held_tokens += times * worst.tokens
        self.held_nanousd += times * (worst.nanousd or 0)
        self.unpriced += times * (worst.nanousd is None)

    def settle(self, worst: Worst, tokens: int, nanousd: int | None) -> None:
        """One request that was counted at ``worst`` has really taken this."""
        self.held_tokens -= worst.tokens
        self.held_nanousd -= worst.nanousd or 0
        self.tokens += tokens
        self.nanousd += nanousd or 0
        self.unpriced += (nanousd is None) - (worst.nanousd is None)


class Excess(NamedTuple):
    """A budget that a request would go over."""

    message: str
    limit: str
    """Its key in the experiment: what can be raised."""
    final: bool
    """Whether waiting for requests under way cannot help."""


def excess(
    budget: BudgetConfig | None,
    wanted: Worst,
    *,
    totals: Collection[Totals],
    seconds: Callable[[], float],
    under_way: Callable[[], Worst],
    whole: BudgetConfig | None = None,
    part: str = "",
) -> Excess | None:
    """The first budget that ``wanted`` would go over.

    A budget holds whatever a provider charges for requests whose answer was lost, and for asking them again:
    both may be billed, so both count, each at its worst. What can be done is to lose little: requests wait
    for each other where together they would hold more than a quarter of what is left, so that three crashes
    in a row still leave four tenths of it. One request alone may take all.

    ``seconds`` gives the wall time of the run, ``under_way`` the worst case of all requests that
    live workers have sent; both are asked only where they are needed. ``budget`` may be the share of ``part``
    in the ``whole``, which is what the user has written and can raise.
    """
    if budget is None:
        return None

    def named(limit: str, unit: str) -> str:
        held, written = getattr(budget, limit), getattr(whole, limit, None)
        if not part or written is None:
            return f"the budget of {_amount(held, unit)}"
        share = str(held) if limit == "calls" else _amount(held, unit)
        return f"the share of {part} in the budget ({share} of {_amount(written, unit)})"

    if budget.calls is not None and (sent := sum(row.sent for row in totals)) + 1 > budget.calls:
        return Excess(f"{named('calls', 'calls')} is used up ({sent} sent)", "calls", True)
    if budget.minutes is not None and (used := seconds() / 60) >= budget.minutes:
        return Excess(
            f"{named('minutes', 'min')} is used up ({_time(used)} so far)",
            "minutes",
            True,
        )
    if budget.tokens is not None:
        held_tokens = sum(row.held_tokens for row in totals)
        used_tokens = sum(row.tokens for row in totals) + held_tokens
        sent_tokens = under_way().tokens
        if used_tokens + wanted.tokens > budget.tokens:
            return Excess(
                f"the next call needs up to {wanted.tokens} tokens and {used_tokens} of "
                f"{named('tokens', '')} are used{_held(held_tokens)}",
                "tokens",
                used_tokens - sent_tokens + wanted.tokens > budget.tokens,
            )
        if _risky(sent_tokens, wanted.tokens, budget.tokens - used_tokens):
            return Excess("requests under way hold as many tokens as a crash may cost", "tokens", False)
    if budget.usd is not None and wanted.nanousd is not None:
        held_usd = sum(row.held_nanousd for row in totals)
        used_usd = sum(row.nanousd for row in totals) + held_usd
        sent_usd = under_way().nanousd or 0
        limit = round(budget.usd * NANO)
        if used_usd + wanted.nanousd > limit:
            return Excess(
                f"the next call may cost {wanted.nanousd / NANO:.6f} USD and {used_usd / NANO:.6f} of "
                f"{named('usd', 'USD')} is used{_held(held_usd / NANO)}",
                "usd",
                used_usd - sent_usd + wanted.nanousd > limit,
            )
        if _risky(sent_usd, wanted.nanousd, limit - used_usd):
            return Excess("requests under way hold as much money as a crash may cost", "usd", False)
    return None


def _risky(under_way: int, wanted: int, free: int) -> bool:
    """Whether ``wanted`` beside what is ``under_way`` would put too much of what is left at risk."""
    return under_way > 0 and (under_way + wanted) * _AT_RISK > free + under_way


def at_once(left: float, worst: float) -> int:
    """How many requests with this worst case may be under way where so much of a budget is left."""
    return max(1, int(left / (_AT_RISK * worst)))


def _amount(value: float, unit: str) -> str:
    """What a budget allows, for people."""
    if unit == "min":
        return _time(value)
    return f"{value:g} USD" if unit == "USD" else f"{value} {unit}".strip()


def _time(minutes: float) -> str:
    """``minutes`` for people: in seconds where it is less than one."""
    return f"{minutes:.3g} min" if minutes >= 1 else f"{60 * minutes:.2g} s"


def _held(amount: float) -> str:
    """What to say of calls whose answer never came: the provider may have charged for them."""
    return (
        f" ({amount:.6g} of it held for calls without an answer so far, at their worst case)"
        if amount
        else ""
    )
