"""What a run will cost, known before it starts: the gate's calls are set aside, the search gets the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from promptmigrate.config import BudgetConfig, Config
from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm import Door
from promptmigrate.pipeline.estimate import Rate, rates, unpriced
from promptmigrate.types import Dataset, Example, Prompt

DEFAULT_CALLS = 4000
"""What a search plans with where no budget limits the calls."""
MOST_AT_A_TIME = 64
_LEAST_SEARCH_ROWS = 10
LEAST_GATE_ROWS = 20
"""With fewer no verdict can be had."""
_GATE_SHARE = 0.5
"""Of a budget that is too small for all test rows, what the gate gets."""
_GATE_KEPT = 0.75
"""What retries, and answers that crashes lost, leave of the gate's calls before they end a search: one that
is cut short ships a worse prompt, which costs the verdict more than some rows do."""
_SEARCH_TIME = 0.7
"""Share of budget.minutes that the search may use; the rest is the gate's."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many calls each part of a run may make."""

    calls_per_row: int
    judged: int = 0
    """How many of them may be questions to judges; the others ask the task."""
    rerun: bool
    """Whether production is asked again on the test rows."""
    targets: int = 1
    """Models to migrate to: each has a search, and all share the gate."""
    repeats: int = 1
    """Times that each side answers a test row."""
    test_rows: int
    """That there are."""
    gate_rows: int
    """Test rows that the budget pays for; fewer than there are leave the search its share."""
    most_rows: int
    """What ``budget.calls`` pays for: so many may be opened where money and tokens turn out to reach."""
    gate_calls: int
    search_calls: int
    """Of each target."""
    spare_calls: int
    """Kept for retries, and for calls whose answer a crash lost."""
    gate_usd: float = 0.0
    """What is set aside for the gate, in USD, as far as prices are known."""
    gate_tokens: int = 0
    """What is set aside for the gate, in tokens."""
    short: str = ""
    """What to say where not all test rows are opened."""
    warnings: tuple[str, ...] = ()

    @property
    def concurrency(self) -> int:
        """Rows in work at a time: what a crash can lose stays within half of the spare calls."""
        return min(MOST_AT_A_TIME, max(2, self.spare_calls // 2)) if self.spare_calls else MOST_AT_A_TIME

    def search_budget(self, config: Config, target: int = 0) -> BudgetConfig:
        """What may really be spent by the end of the search of ``target`` (counted from 0): the budget
        without what the gate and the searches after it will need.

        The search itself plans with ``search_calls``; the rest is for requests sent again.
        """
        budget = config.budget
        later = self.targets - 1 - target
        share = (target + 1) / self.targets
        rows = max(math.ceil(_GATE_KEPT * self.gate_rows), min(LEAST_GATE_ROWS, self.gate_rows))
        gate = self.opening(rows, "").gate_calls
        return BudgetConfig(
            calls=budget.calls and budget.calls - gate - self.spare_calls // 2 - later * self.search_calls,
            usd=budget.usd and max((budget.usd - self.gate_usd) * share, budget.usd * 0.1),
            tokens=budget.tokens
            and int(max((budget.tokens - self.gate_tokens) * share, budget.tokens * 0.1)),
            minutes=budget.minutes and budget.minutes * _SEARCH_TIME * share,
        )

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"search: at most {self.search_calls} calls"
            + (f" for each of {self.targets} targets" if self.targets > 1 else "")
            + f"; gate: {self.gate_calls} calls set aside"
            + (f"; {self.spare_calls} spare for retries" if self.spare_calls else ""),
            *self.notes,
        ]

    def opening(self, rows: int, short: str) -> Plan:
        """This plan with a gate on ``rows`` test rows; ``short`` says why, where these are not all."""
        calls = math.ceil(rows * self.gate_calls / self.gate_rows)
        return replace(self, gate_rows=rows, gate_calls=calls, short=short)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the verdict has to know."""
        return (*self.warnings, self.short) if self.short else self.warnings


def plan(
    config: Config, dataset: Dataset, prompt: Prompt, calls_per_row: int, door: Door, *, judged: int = 0
) -> Plan:
    """Divide the budget of ``config``.

    Args:
        config: The experiment.
        dataset: Its rows.
        prompt: What production asks.
        calls_per_row: Calls that one answer costs at most.
        door: Knows the prices.
        judged: How many of these may be questions to judges.

    Raises:
        BudgetExceeded: it cannot reach a verdict.
    """
    budget, targets, repeats = config.budget, len(config.targets), config.gate.repeats
    rerun = reruns(config)
    warning = None if budget.usd is None else unpriced(config, door)
    rate = rates(config, dataset, prompt, rerun, door)
    given: dict[str, float] = {
        limit: amount for limit in rate if (amount := getattr(budget, limit)) and rate[limit].gate
    }
    a_row = calls_per_row * repeats * (targets + rerun) + (0 if rerun else calls_per_row - 1)
    # How many calls each limit buys, were all of them of the gate's kind.
    bought = {limit: rate[limit].buys(amount) for limit, amount in given.items()}
    there = len(dataset.split("test"))

    def share(calls: float) -> int:
        return int(min(there, _GATE_SHARE * calls / a_row))

    rows = share(min(bought.values(), default=math.inf))
    gate = rows * a_row
    fits = {
        limit: gate + rate[limit].beside(amount, gate)
        for limit, amount in given.items()
        if rate[limit].search
    }
    fits.setdefault("calls", DEFAULT_CALLS * targets + gate)
    tightest = min(fits, key=fits.__getitem__)
    limit = fits[tightest]
    spare = min(2 * MOST_AT_A_TIME, max(12, math.ceil(limit * 0.1))) if bought else 0
    search = (limit - gate - spare) // targets
    least = _LEAST_SEARCH_ROWS * calls_per_row
    enough = math.ceil(there * a_row / _GATE_SHARE)
    fewest = min(LEAST_GATE_ROWS, there)
    if rows < fewest or search < least:
        needed = math.ceil(max(fewest * a_row / _GATE_SHARE, gate + spare + least * targets))
        raise BudgetExceeded(
            f"the budget ends before a verdict: about {int(min(limit, *bought.values()))} calls fit, and a "
            f"gate on only {fewest} test rows with a small search needs {needed}; raise budget.{tightest} to "
            f"about {_amount(tightest, rate, needed)} ({_amount(tightest, rate, enough)} for all {there} "
            "test rows)"
        )
    short = ""
    if rows < there:
        binding = min(bought, key=bought.__getitem__)
        short = (
            f"the budget pays for {rows} of {there} test rows beside the search; about "
            f"{_amount(binding, rate, enough)} would do for all of them"
        )
    return Plan(
        calls_per_row=calls_per_row,
        judged=judged,
        rerun=rerun,
        targets=targets,
        repeats=repeats,
        test_rows=there,
        gate_rows=rows,
        most_rows=share(budget.calls or math.inf),
        gate_calls=gate,
        search_calls=min(search, DEFAULT_CALLS),
        spare_calls=spare,
        gate_usd=rate["usd"].cost(gate),
        gate_tokens=math.ceil(rate["tokens"].cost(gate)),
        short=short,
        warnings=() if warning is None else (warning,),
    )


def _amount(limit: str, rate: Mapping[str, Rate], calls: int) -> str:
    """What ``calls`` take of ``limit``, for people; a bit more, so that what is said suffices as rounded."""
    amount = rate[limit].edge + calls * max(rate[limit].gate, rate[limit].search)
    return f"{1.05 * amount:.2g} USD" if limit == "usd" else f"{math.ceil(amount):,} {limit}"


def gate_rows(dataset: Dataset, plan: Plan) -> tuple[Example, ...]:
    """The test rows that the gate opens: all, or the first by id (a content hash, so in no order of ours)."""
    rows = dataset.split("test")
    if plan.gate_rows == len(rows):
        return rows
    return tuple(sorted(rows, key=lambda example: example.id)[: plan.gate_rows])


def reruns(config: Config) -> bool:
    """Whether production's answers on the test rows are asked for again.

    By default where a source model is named; without one, what is recorded is the yardstick.
    """
    return config.source is not None and config.gate.baseline != "recorded"
