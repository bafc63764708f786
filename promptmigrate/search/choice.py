"""Deciding between candidates: accepting a challenger, and the final choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.belief import Belief
from promptmigrate.search.stats import Estimate, estimate, mean, pooled
from promptmigrate.search.table import Table
from promptmigrate.types import Example

ACCEPT_P = 0.3
"""A challenger becomes the incumbent where the probability that it is no better is below this."""
MARGIN = 0.02
"""Quality that a cheaper prompt may cost."""
DOUBT = 0.2
"""Probability up to which it may cost more than that."""
RELIEVED = 0.4
"""The same where the better one is close to the gate's limit on cost and the cheaper one is not."""
_NEAR = 0.9
_CHEAPER = 0.97
MENDED: Final = Estimate(mean=0.05, variance=0.01)
"""By how much a rewrite that gained on its trial is better than its parent, before validation says more.
Over 380 such rewrites in two unrelated sets of simulated tasks the mean was 0.03 to 0.09 and the standard
deviation 0.10; about 30 validation rows say as much."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The train rows that a proposal was first tried on: failures and passes of its parent."""

    failing: tuple[Example, ...]
    passing: tuple[Example, ...]
    fail_share: float
    """Share of failures among the parent's train rows."""

    @property
    def rows(self) -> tuple[Example, ...]:
        """All of them."""
        return (*self.failing, *self.passing)


def hoped(table: Table, child: Candidate, parent: Candidate, trial: Trial) -> float:
    """By how much ``child`` is likely to be better than ``parent``, after its trial on train rows.

    A new rule touches a few rows in a hundred, and a block of validation rows holds one or two of them; the
    trial has many. Its two strata are weighted by how frequent they are, so that it estimates the mean over
    all rows; :data:`MENDED` tempers what was written from these very rows.
    """
    strata = [table.differences(child, parent, part) for part in (trial.failing, trial.passing)]
    moved = [d * d for stratum in strata for d in stratum if d]
    scale = math.sqrt(mean(moved)) if moved else 1.0
    shares = trial.fail_share, 1 - trial.fail_share
    parts = [estimate(stratum, scale=scale) for stratum in strata]
    tried = Estimate(
        mean=math.fsum(share * part.mean for share, part in zip(shares, parts, strict=True)),
        variance=math.fsum(share**2 * part.variance for share, part in zip(shares, parts, strict=True)),
    )
    return pooled(tried, MENDED).mean


def improves(lead: Estimate, differences: Sequence[float], *, exhausted: bool) -> bool:
    """Whether a challenger is taken for better than the incumbent.

    Args:
        lead: what is believed of its advantage.
        differences: its quality minus the incumbent's on each shared row; without any it is not.
        exhausted: no row is left to ask: then the better mean is all that can be had.
    """
    if not differences or lead.mean <= 0:
        return False
    return lead.below(0.0) < ACCEPT_P or (exhausted and mean(differences) > 0)


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


def _near(problem: Problem, table: Table, candidate: Candidate, rows: Sequence[Example]) -> bool:
    """Whether the cost is so close to the gate's limit that other rows may take it over."""
    cost = table.cost(candidate, rows)
    return problem.max_cost_usd is not None and cost is not None and cost > _NEAR * problem.max_cost_usd


def choose(
    problem: Problem,
    table: Table,
    finalists: Sequence[Candidate],
    rows: Sequence[Example],
    belief: Belief,
) -> Candidate:
    """The finalist to ship: the best that ``belief`` knows (the first where several are level), or a cheaper.

    A cheaper one is taken if it is shown to lose less than :data:`MARGIN`; the original already where it is
    level on the rows that both answered, because nothing has to change for it.
    """
    allowed = [c for c in finalists if admissible(problem, table, c, rows)] or list(finalists)
    best = max(allowed, key=belief.quality)
    shared = [e for e in rows if all(table.quality(c, e) is not None for c in allowed)]
    prices = dict(zip([c.key for c in allowed], table.prices(allowed, shared or rows), strict=True))
    for candidate in sorted(allowed, key=lambda c: (c.key != problem.original.digest, prices[c.key], c.key)):
        if candidate.key == best.key:
            continue
        lost = table.differences(best, candidate, rows)
        if len(lost) < min(5, len(rows)):
            continue
        relief = _near(problem, table, best, rows) and not _near(problem, table, candidate, rows)
        shown = estimate(lost).below(MARGIN) > 1 - (RELIEVED if relief else DOUBT)
        if candidate.key == problem.original.digest:
            if mean(lost) <= 0.0:
                return candidate
        elif (
            shown
            and belief.difference(best, candidate).mean <= MARGIN
            and prices[candidate.key] < prices[best.key]
        ):
            return candidate
    return best
