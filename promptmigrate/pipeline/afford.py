"""How many test rows the tokens and minutes that are left pay for, by what rows have taken so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptmigrate.config import Config
from promptmigrate.errors import BudgetExceeded
from promptmigrate.evaluate import Evaluator
from promptmigrate.lm import Door
from promptmigrate.lm.sizes import DEFAULT_OUTPUT_TOKENS
from promptmigrate.pipeline.plan import LEAST_GATE_ROWS, Plan
from promptmigrate.types import Dataset, Reply, Variant

_AT_ONCE = 32
"""Calls that an endpoint is sure to be given together."""
_SLOWER = 2.0
"""A provider under load, and the last calls that run alone, take longer than the mean."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What one limit of the budget leaves for the gate."""

    rows: int
    """Test rows that it pays for."""
    limit: str
    """Its key under ``budget``."""
    left: str
    """For people: what is left."""
    a_row: str
    """For people: what a row takes."""


def allowances(
    config: Config,
    dataset: Dataset,
    plan: Plan,
    sides: Sequence[Variant],
    evaluator: Evaluator,
    door: Door,
) -> list[Allowance]:
    """What ``budget.tokens`` and ``budget.minutes`` leave for the gate; nothing where they are not set.

    Args:
        config: The experiment.
        dataset: Its rows; what ``sides`` took on train and validation rows is what they will take.
        plan: Of the run.
        sides: The variants that the gate asks.
        evaluator: Knows the answers so far.
        door: Knows what was spent so far.
    """
    budget = config.budget
    seen = [_replies(side, dataset, evaluator) for side in sides]
    if not all(seen):
        return []  # a side that never answered says nothing of what it takes
    spent, found = door.account(), []
    again = 1 + 1.1 * evaluator.retry_rate
    if budget.tokens is not None:
        calls = sum(spent.calls.values())
        # Judges are counted as the mean of all calls: they read an answer, and say little.
        judged = (plan.calls_per_row - 1) * len(sides) * spent.tokens / calls if calls else 0.0
        a_row = plan.repeats * again * (judged + sum(_mean(_tokens(of)) for of in seen))
        left = (
            budget.tokens
            - spent.tokens
            - max(_worst(s.params, of) for s, of in zip(sides, seen, strict=True))
        )
        if a_row:  # an endpoint may not tell its tokens
            found.append(
                Allowance(
                    rows=max(0, int(left / a_row)),
                    limit="tokens",
                    left=f"{max(0, budget.tokens - spent.tokens):,} tokens",
                    a_row=f"about {math.ceil(a_row):,}",
                )
            )
    if budget.minutes is not None:
        together = min(plan.concurrency, _AT_ONCE)
        slowest = max(_mean([reply.latency_s for reply in of]) for of in seen)
        a_row = slowest * plan.gate_calls / plan.gate_rows * again * _SLOWER / together
        seconds = max(0.0, budget.minutes * 60 - spent.seconds)
        if a_row:
            found.append(
                Allowance(
                    rows=int(seconds / a_row),
                    limit="minutes",
                    left=f"{seconds:.0f} seconds",
                    a_row=f"about {a_row:.2g}",
                )
            )
    return found


def within(plan: Plan, dataset: Dataset, found: Iterable[Allowance]) -> Plan:
    """``plan`` with as many test rows as every allowance pays for.

    Raises:
        BudgetExceeded: one does not pay for the fewest rows that can decide; nothing was opened.
    """
    fewest = min(LEAST_GATE_ROWS, len(dataset.split("test")))
    for one in found:
        if one.rows >= plan.gate_rows:
            continue
        if one.rows < fewest:
            raise BudgetExceeded(
                f"the budget ended before the gate: {one.left} are left, and a test row takes {one.a_row} "
                f"({fewest} rows are needed); no test row was opened. Raise budget.{one.limit} and run the "
                "same command again: what was answered is kept"
            )
        warning = (
            f"{one.left} of the budget are left and a test row takes {one.a_row}, so budget.{one.limit} pays "
            f"for {one.rows} of the planned {plan.gate_rows} test rows"
        )
        plan = replace(
            plan,
            gate_rows=one.rows,
            gate_calls=math.ceil(plan.gate_calls * one.rows / plan.gate_rows),
            warnings=(*plan.warnings, warning),
        )
    return plan


def _replies(side: Variant, dataset: Dataset, evaluator: Evaluator) -> list[Reply]:
    rows = [*dataset.split("train"), *dataset.split("validation")]
    outcomes = evaluator.known(side, rows).outcomes.values()
    return [outcome.reply for outcome in outcomes if outcome.reply.answered]


def _tokens(replies: Sequence[Reply]) -> list[float]:
    return [float(reply.input_tokens + reply.output_tokens) for reply in replies]


def _worst(params: Mapping[str, Any], replies: Sequence[Reply]) -> float:
    """What the ledger wants to see free before it lets a call go."""
    bound = params.get("max_completion_tokens") or params.get("max_tokens")
    if not isinstance(bound, int):
        bound = max(DEFAULT_OUTPUT_TOKENS, *(2 * reply.output_tokens for reply in replies))
    return bound + 2 * max(reply.input_tokens for reply in replies)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
