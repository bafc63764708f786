"""All candidates that were measured: parents by Pareto frequency, and the quality/cost/latency front."""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import FrontPoint
from promptmigrate.search.table import Table
from promptmigrate.search.text import draw
from promptmigrate.types import Example


def pareto_parents(
    table: Table,
    candidates: Sequence[Candidate],
    rows: Sequence[Example],
    *,
    count: int,
    draws: Sequence[object],
) -> list[Candidate]:
    """Up to ``count`` of ``candidates``, drawn in proportion to the ``rows`` on which each is among the best.

    GEPA's selection (arXiv 2507.19457, algorithm 2): a candidate that alone gets some rows right is a parent
    worth having even if its mean is lower. Candidates that another covers on all their rows are left out.
    """
    best: dict[str, set[str]] = {}
    for row in rows:
        known = [(c, q) for c in candidates if (q := table.quality(c, row)) is not None]
        if not known:
            continue
        top = max(q for _, q in known)
        if top > 0:
            best[row.id] = {c.key for c, q in known if q >= top - 1e-9}
    wins = {c.key: {row for row, keys in best.items() if c.key in keys} for c in candidates}
    pool = [c for c in candidates if wins[c.key]]
    for candidate in sorted(pool, key=lambda c: (len(wins[c.key]), c.key)):
        others = [c for c in pool if c is not candidate]
        if any(wins[candidate.key] <= wins[c.key] for c in others):
            pool = others
    chosen: list[Candidate] = []
    while pool and len(chosen) < count:
        total = sum(len(wins[c.key]) for c in pool)
        ticket = draw(*draws, len(chosen)) % total
        for candidate in pool:
            ticket -= len(wins[candidate.key])
            if ticket < 0:
                chosen.append(candidate)
                pool = [c for c in pool if c is not candidate]
                break
    return chosen


def front(
    table: Table,
    candidates: Sequence[Candidate],
    rows: Sequence[Example],
    *,
    min_rows: int,
    winner: Candidate | None = None,
) -> tuple[FrontPoint, ...]:
    """The candidates that no other dominates in (quality, cost, latency), best quality first.

    Only candidates with at least ``min_rows`` scored rows take part. Latency counts only where cost is
    unknown: it is noisy, and cost follows the same tokens. ``winner``: the candidate that was chosen. What
    seems to dominate it does so on other rows, for on shared ones it was compared and lost: it is left out.
    Without enough rows of its own there is no front, for one without the winner would point at another.
    """
    points = []
    for candidate in candidates:
        scored = table.scored(candidate, rows)
        if len(scored) < min_rows:
            continue
        points.append(
            FrontPoint(
                variant=candidate.variant,
                quality=sum(scored) / len(scored),
                cost_usd=table.cost(candidate, rows),
                latency_s=table.latency(candidate, rows),
                rows=len(scored),
            )
        )
    chosen = next((p for p in points if winner is not None and p.variant.digest == winner.key), None)
    if winner is not None and chosen is None:
        return ()
    if chosen is not None:
        points = [p for p in points if p is chosen or not _dominates(p, chosen)]
    kept = [p for p in points if not any(_dominates(q, p) for q in points if q is not p)]
    return tuple(sorted(kept, key=lambda p: (-p.quality, p.cost_usd or 0.0, p.variant.digest)))


def _dominates(a: FrontPoint, b: FrontPoint) -> bool:
    pairs = [(a.quality, b.quality)]
    if a.cost_usd is not None and b.cost_usd is not None:
        pairs.append((-a.cost_usd, -b.cost_usd))
    elif a.latency_s is not None and b.latency_s is not None:
        pairs.append((-a.latency_s, -b.latency_s))
    if all(x >= y for x, y in pairs) and any(x > y for x, y in pairs):
        return True
    return all(x == y for x, y in pairs) and a.variant.digest < b.variant.digest
