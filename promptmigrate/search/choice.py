"""Deciding between candidates: accepting a challenger, and the final choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.stats import Estimate, estimate, mean, pooled
from promptmigrate.search.table import Table
from promptmigrate.types import Example

ACCEPT_P = 0.3
"""A challenger with a better mean becomes the incumbent below this p-value; the last choice is stricter."""
MARGIN = 0.03
"""Quality that a cheaper prompt may cost."""
DOUBT = 0.2
"""Probability up to which it may cost more than that."""
_CHEAPER = 0.97


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The train rows that a proposal was first tried on: failures and passes of its parent."""

    parent: str
    failing: tuple[Example, ...]
    passing: tuple[Example, ...]
    fail_share: float
    """Share of failures among the parent's train rows."""

    @property
    def rows(self) -> tuple[Example, ...]:
        """All of them."""
        return (*self.failing, *self.passing)


def advantage(
    table: Table, challenger: Candidate, incumbent: Candidate, rows: Sequence[Example], trial: Trial | None
) -> Estimate:
    """By how much ``challenger`` is better: validation ``rows`` and the trial on train rows, pooled.

    A new rule touches a few rows in a hundred, and a block of validation rows holds one or two of them; the
    trial has many. Its two strata are weighted by how frequent they are, so that it estimates the same mean.
    """
    seen = table.differences(challenger, incumbent, rows)
    strata = []
    if trial is not None and trial.parent == incumbent.key:
        strata = [table.differences(challenger, incumbent, part) for part in (trial.failing, trial.passing)]
    moved = [d * d for d in (*seen, *(d for stratum in strata for d in stratum)) if d]
    scale = math.sqrt(mean(moved)) if moved else 1.0
    found = estimate(seen, scale=scale)
    if not strata or trial is None:
        return found
    shares = trial.fail_share, 1 - trial.fail_share
    parts = [estimate(stratum, scale=scale) for stratum in strata]
    tried = Estimate(
        mean=math.fsum(share * part.mean for share, part in zip(shares, parts, strict=True)),
        variance=math.fsum(share**2 * part.variance for share, part in zip(shares, parts, strict=True)),
    )
    return pooled(found, tried)


def improves(
    table: Table,
    challenger: Candidate,
    incumbent: Candidate,
    rows: Sequence[Example],
    trial: Trial | None = None,
) -> bool:
    """Whether ``challenger`` is better than ``incumbent`` on the rows that both answered."""
    differences = table.differences(challenger, incumbent, rows)
    if not differences:
        return False
    if len(differences) >= len(rows):
        return mean(differences) > 0
    found = advantage(table, challenger, incumbent, rows, trial)
    return found.mean > 0 and found.below(0.0) < ACCEPT_P


def replaces(
    table: Table, challenger: Candidate, incumbent: Candidate, rows: Sequence[Example], *, enough: int
) -> bool:
    """Whether ``challenger`` is as good on at least ``enough`` shared rows, and cheaper."""
    differences = table.differences(challenger, incumbent, rows)
    if len(differences) < enough or mean(differences) < 0:
        return False
    mine, theirs = table.prices([challenger, incumbent], rows)
    return mine < _CHEAPER * theirs


def admissible(problem: Problem, table: Table, candidate: Candidate, rows: Sequence[Example]) -> bool:
    """Whether cost and latency stay within what the gate allows (an unknown cost is not held against it)."""
    cost, latency = table.cost(candidate, rows), table.latency(candidate, rows)
    if problem.max_cost_usd is not None and cost is not None and cost > problem.max_cost_usd:
        return False
    return not (problem.max_latency_s is not None and latency is not None and latency > problem.max_latency_s)


def choose(
    problem: Problem, table: Table, finalists: Sequence[Candidate], rows: Sequence[Example]
) -> Candidate:
    """The finalist to ship: best on the shared ``rows`` (the first where several are level), or a cheaper.

    A cheaper one is taken if it is shown to lose less than :data:`MARGIN`; the original already where it is
    level, because nothing has to change for it.
    """
    allowed = [c for c in finalists if admissible(problem, table, c, rows)] or list(finalists)
    shared = [e for e in rows if all(table.quality(c, e) is not None for c in allowed)]
    if len(shared) * 2 < len(rows) and len(shared) < 5:
        shared = list(rows)
    means = {c.key: table.mean(c, shared) for c in allowed}
    prices = dict(zip([c.key for c in allowed], table.prices(allowed, shared), strict=True))
    best = max(allowed, key=lambda c: -1.0 if (m := means[c.key]) is None else m)
    for candidate in sorted(allowed, key=lambda c: (c.key != problem.original.digest, prices[c.key], c.key)):
        if candidate.key == best.key:
            continue
        lost = table.differences(best, candidate, shared)
        if len(lost) < min(5, len(rows)):
            continue
        if candidate.key == problem.original.digest:
            if mean(lost) <= 0.0:
                return candidate
        elif prices[candidate.key] < prices[best.key] and estimate(lost).below(MARGIN) > 1 - DOUBT:
            return candidate
    return best
