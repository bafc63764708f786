"""What a run will cost, known before it starts: the gate's calls are set aside, the search gets the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from promptmigrate.config import BudgetConfig, Config
from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm import Door
from promptmigrate.types import Dataset, Example, Prompt

DEFAULT_CALLS = 4000
"""What a search plans with where no budget limits the calls."""
MOST_AT_A_TIME = 64
_LEAST_SEARCH_ROWS = 10
LEAST_GATE_ROWS = 20
"""With fewer no verdict can be had."""
_GATE_SHARE = 0.5
"""Of a budget that is too small for all test rows, what the gate gets."""
_SEARCH_TIME = 0.7
"""Share of budget.minutes that the search may use; the rest is the gate's."""
CHARS_PER_TOKEN = 4
_ANSWER_TOKENS = 150
_GROWTH = 4.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many calls each part of a run may make."""

    calls_per_row: int
    rerun: bool
    """Whether production is asked again on the test rows."""
    targets: int = 1
    """Models to migrate to: each has a search, and all share the gate."""
    repeats: int = 1
    """Times that each side answers a test row."""
    gate_rows: int
    """Test rows that the budget pays for; fewer than there are leave the search its share."""
    gate_calls: int
    search_calls: int
    """Of each target."""
    spare_calls: int
    """Kept for retries, and for calls whose answer a crash lost."""
    gate_usd: float = 0.0
    """What the gate will cost at most by estimate, in USD, as far as prices are known."""
    gate_tokens: int = 0
    """What the gate will take by estimate."""
    warnings: tuple[str, ...] = ()

    @property
    def concurrency(self) -> int:
        """Rows in work at a time: what a crash can lose stays within half of the spare calls."""
        return min(MOST_AT_A_TIME, max(2, self.spare_calls // 2)) if self.spare_calls else MOST_AT_A_TIME

    def search_budget(self, config: Config, target: int = 0) -> BudgetConfig:
        """What may really be spent by the end of the search of ``target`` (counted from 0): the budget
        without what the gate and the searches after it will need."""
        budget = config.budget
        later = self.targets - 1 - target
        share = (target + 1) / self.targets
        return BudgetConfig(
            calls=budget.calls
            and budget.calls - self.gate_calls - self.spare_calls // 2 - later * self.search_calls,
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
            *self.warnings,
        ]


def plan(config: Config, dataset: Dataset, prompt: Prompt, calls_per_row: int, door: Door) -> Plan:
    """Divide the budget of ``config``.

    Raises:
        BudgetExceeded: it cannot reach a verdict.
    """
    budget, targets, repeats = config.budget, len(config.targets), config.gate.repeats
    rerun = reruns(config, dataset)
    warnings: list[str] = []
    money = _money(config, dataset, prompt, door)
    if budget.usd is not None and (warning := _unpriced(config, door)) is not None:
        warnings.append(warning)
    tokens = _tokens_per_call(dataset, prompt)
    # A candidate's prompt is longer than the original.
    longer = _GROWTH * (tokens - _ANSWER_TOKENS) + _ANSWER_TOKENS
    gate_tokens = (rerun * tokens + targets * longer) / (rerun + targets)
    a_row = calls_per_row * repeats * (targets + rerun) + (0 if rerun else calls_per_row - 1)
    # How many calls each limit buys, were all of them of the gate's kind.
    bought: dict[str, float] = {}
    if budget.calls:
        bought["calls"] = budget.calls
    if budget.tokens:
        bought["tokens"] = budget.tokens / gate_tokens
    if budget.usd and money.gate:
        bought["usd"] = budget.usd / money.gate
    there = len(dataset.split("test"))
    rows = int(min(there, _GATE_SHARE * min(bought.values(), default=math.inf) // a_row))
    gate = rows * a_row
    limits = {"calls": float(budget.calls or DEFAULT_CALLS * targets + gate)}
    if budget.usd is not None and money.search:
        limits["usd"] = gate + max(0, int((budget.usd - gate * money.gate) / money.search))
    if budget.tokens is not None:
        limits["tokens"] = gate + max(0, int((budget.tokens - gate * gate_tokens) / longer))
    tightest = min(limits, key=limits.__getitem__)
    limit = int(limits[tightest])
    spare = min(2 * MOST_AT_A_TIME, max(12, math.ceil(limit * 0.1))) if bought else 0
    search = (limit - gate - spare) // targets
    least = _LEAST_SEARCH_ROWS * calls_per_row
    enough = math.ceil(there * a_row / _GATE_SHARE)
    fewest = min(LEAST_GATE_ROWS, there)
    if rows < fewest or search < least:
        needed = math.ceil(max(fewest * a_row / _GATE_SHARE, gate + spare + least * targets))
        raise BudgetExceeded(
            f"the budget ends before a verdict: about {_fit(limit, bought)} calls fit, and a gate on only "
            f"{fewest} test rows with a small search needs {needed}; raise "
            + _raise_to(tightest, needed, enough, there, longer, max(money.gate, money.search))
        )
    if rows < there:
        binds = min(bought, key=bought.__getitem__)
        wanted = {
            "calls": f"{enough} calls",
            "tokens": f"{enough * gate_tokens:,.0f} tokens",
            "usd": f"{enough * money.gate:.2g} USD",
        }
        warnings.append(
            f"the budget pays for {rows} of {there} test rows beside the search; about {wanted[binds]} "
            "would do for all of them"
        )
    return Plan(
        calls_per_row=calls_per_row,
        rerun=rerun,
        targets=targets,
        repeats=repeats,
        gate_rows=rows,
        gate_calls=gate,
        search_calls=min(search, DEFAULT_CALLS),
        spare_calls=spare,
        gate_usd=gate * money.gate,
        gate_tokens=math.ceil(gate * gate_tokens),
        warnings=tuple(warnings),
    )


def _fit(limit: int, bought: Mapping[str, float]) -> int:
    return int(min(limit, *bought.values())) if bought else limit


def _raise_to(limit: str, needed: int, enough: int, rows: int, tokens: float, usd: float) -> str:
    """What to raise to what, in the unit of the limit that binds."""
    if limit == "calls":
        return f"budget.calls to {needed} or more ({enough} for all {rows} test rows)"
    if limit == "tokens":
        return (
            f"budget.tokens to about {needed * tokens:,.0f} ({enough * tokens:,.0f} for all {rows} test rows)"
        )
    return f"budget.usd to about {needed * usd:.2g} ({enough * usd:.2g} for all {rows} test rows)"


def fit_gate(plan: Plan, dataset: Dataset, *, left: int | None, retry_rate: float) -> Plan:
    """``plan`` with as many test rows as ``left`` calls pay for when requests fail as often as so far.

    Rows that are opened and cannot all be answered would be spent for nothing.

    Args:
        plan: Of the run.
        dataset: Its rows.
        left: Calls that the budget leaves; None: not limited.
        retry_rate: Requests beyond one for each answer, as a share.

    Raises:
        BudgetExceeded: they do not pay for the fewest rows that can decide; nothing was opened.
    """
    if left is None:
        return plan
    a_row = plan.gate_calls / plan.gate_rows
    rows = int(left / (a_row * (1 + 1.1 * retry_rate)))
    if rows >= plan.gate_rows:
        return plan
    fewest = min(LEAST_GATE_ROWS, len(dataset.split("test")))
    if rows < fewest:
        raise BudgetExceeded(
            f"the budget ended before the gate: {left} calls are left, {fewest} test rows need "
            f"{math.ceil(fewest * a_row * (1 + 1.1 * retry_rate))}; no test row was opened. Raise "
            "budget.calls and run the same command again: what was answered is kept"
        )
    warning = (
        f"{retry_rate:.0%} of the requests had to be sent again, so the budget pays for {rows} of the "
        f"planned {plan.gate_rows} test rows"
    )
    return replace(
        plan, gate_rows=rows, gate_calls=math.ceil(rows * a_row), warnings=(*plan.warnings, warning)
    )


def gate_rows(dataset: Dataset, plan: Plan) -> tuple[Example, ...]:
    """The test rows that the gate opens: all, or the first by id (a content hash, so in no order of ours)."""
    rows = dataset.split("test")
    if plan.gate_rows == len(rows):
        return rows
    return tuple(sorted(rows, key=lambda example: example.id)[: plan.gate_rows])


def reruns(config: Config, dataset: Dataset) -> bool:
    """Whether production's answers on the test rows are asked for again.

    By default where a source model is named; without one, what is recorded is the yardstick, and where
    nothing is recorded, the old prompt on the target model, which the new one then has to beat.
    """
    if config.gate.baseline == "auto":
        return config.source is not None or any(e.reference is None for e in dataset.split("test"))
    return config.gate.baseline == "rerun"


def _tokens_per_call(dataset: Dataset, prompt: Prompt) -> float:
    rows = dataset.examples[:200]
    chars = sum(len(m["content"]) for e in rows for m in prompt.render(e.inputs)) / len(rows)
    return chars / CHARS_PER_TOKEN + _ANSWER_TOKENS


@dataclass(frozen=True, kw_only=True)
class _Money:
    """Average prices of one call by estimate, in USD; 0 where a price is not known."""

    gate: float
    """Of both sides of the gate, judges included."""
    search: float


def _money(config: Config, dataset: Dataset, prompt: Prompt, door: Door) -> _Money:
    """An estimate to plan with; what is really spent is watched by the ledger.

    A candidate's prompt is taken to be longer than the original, since rules and demos add to it.
    """
    tokens = _tokens_per_call(dataset, prompt) - _ANSWER_TOKENS

    def cost(model: str, growth: float) -> float:
        price = door.price(model)
        if price is None:
            return 0.0
        return (tokens * growth * price.input_per_mtok + _ANSWER_TOKENS * price.output_per_mtok) / 1e6

    targets = [cost(target.model, _GROWTH) for target in config.targets]
    judges = [cost(scorer.judge, 1.0) for scorer in config.scorers if scorer.judge]
    source = [cost(config.source.model, 1.0)] if config.source and reruns(config, dataset) else []
    sides = [*source, *targets]
    return _Money(gate=max([sum(sides) / len(sides), *judges]), search=max([*targets, *judges]))


def _unpriced(config: Config, door: Door) -> str | None:
    """What to say where budget.usd cannot hold for every model.

    Raises:
        BudgetExceeded: nothing else limits the run.
    """
    unknown = [model for model in config.models if door.price(model) is None]
    if not unknown:
        return None
    text = f"the price of {', '.join(unknown)} is not known, so budget.usd cannot hold for it"
    if config.budget.calls is None and config.budget.tokens is None:
        raise BudgetExceeded(f"{text}: give it under 'prices' (USD per million tokens) or set budget.calls")
    return f"{text}; budget.calls and budget.tokens do"
