"""Deciding between candidates: accepting a challenger, and the final choice."""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.stats import mean, paired_p
from promptmigrate.search.table import Table
from promptmigrate.types import Example

ACCEPT_P = 0.3
"""A challenger with a better mean becomes the incumbent below this p-value; the last choice is stricter."""
_CHEAPER = 0.97


def improves(table: Table, challenger: Candidate, incumbent: Candidate, rows: Sequence[Example]) -> bool:
    """Whether ``challenger`` is better than ``incumbent`` on the rows that both answered."""
    differences = table.differences(challenger, incumbent, rows)
    if not differences or mean(differences) <= 0:
        return False
    return paired_p(differences) < ACCEPT_P or len(differences) >= len(rows)


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
    """The finalist to ship: best on the shared ``rows``, or the cheapest that noise cannot tell from it.

    Against the winner's curse: of two whose paired difference is below half a standard error (or below half a
    point) the cheaper is taken; the original is the cheapest of all, because nothing has to change for it.
    """
    allowed = [c for c in finalists if admissible(problem, table, c, rows)] or list(finalists)
    shared = [e for e in rows if all(table.quality(c, e) is not None for c in allowed)]
    if len(shared) * 2 < len(rows) and len(shared) < 5:
        shared = list(rows)
    means = {c.key: table.mean(c, shared) for c in allowed}
    prices = dict(zip([c.key for c in allowed], table.prices(allowed, shared), strict=True))
    best = max(allowed, key=lambda c: (-1.0 if means[c.key] is None else means[c.key], -prices[c.key]))
    for candidate in sorted(allowed, key=lambda c: (c.key != problem.original.digest, prices[c.key], c.key)):
        unchanged = candidate.key == problem.original.digest
        if candidate.key == best.key or (prices[candidate.key] >= prices[best.key] and not unchanged):
            continue
        lost = table.differences(best, candidate, shared)
        if len(lost) >= min(5, len(rows)) and mean(lost) <= 0.005:
            return candidate
    return best
