"""Racing candidates in shared blocks of rows with a paired test.

All candidates of a round answer the same rows, block by block; after each block those leave that are behind
the leader by a one-sided paired t-test (alpha 0.1), or that are unlikely to be better by all that is believed
of them. (Races: Maron and Moore 1994, NIPS 6:59-66; on the same rows and with paired tests: Moore and Lee
1994, ICML, 190-198; of prompts, by blocks: CAPO, arXiv 2504.16005.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.belief import Belief
from promptmigrate.search.stats import paired_p
from promptmigrate.search.table import Table
from promptmigrate.search.text import draw
from promptmigrate.types import Example

ALPHA = 0.1
_HALVE_FROM = 10
"""Rows before which only the test eliminates: a mean over five rows says little."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a candidate ended."""

    candidate: Candidate
    quality: float | None
    """Mean over the rows it ran; None if all were missing."""
    rows: int
    """Rows it was asked, missing ones included."""
    alive: bool


def race(
    table: Table,
    candidates: Sequence[Candidate],
    rows: Sequence[Example],
    *,
    block: int,
    max_rows: int,
    halve: bool = True,
    protect: Candidate | None = None,
    allowed: Callable[[Candidate], bool] | None = None,
    settled: Callable[[Sequence[Candidate]], bool] | None = None,
    belief: Callable[[], Belief] | None = None,
) -> list[Standing]:
    """Race ``candidates`` over ``rows`` in the order given; the best first, survivors before eliminated.

    ``max_rows``: (candidate, row) pairs that may be measured. Where they do not suffice for all, those
    last in ``candidates`` (first block) or lowest in the race wait. ``halve``: after block k only the best
    1/2**k of the field stay, at least two. ``protect`` is never eliminated (the incumbent, whose rows are
    mostly known). ``allowed``: asked after each block; what is not allowed leaves, unless nothing is.
    ``settled``: asked after each block with those still in; True ends the race. ``belief``: what is known of
    all candidates; then it ranks them, and those leave that are unlikely to be better than its leader.
    """
    entrants = list({c.key: c for c in candidates}.values())
    guarded = protect.key if protect else None
    ran: dict[str, int] = {c.key: 0 for c in entrants}
    alive = list(entrants)
    budget = min(max_rows, table.rows_left)
    done = blocks = 0
    while done < len(rows):
        chunk = rows[done : done + block]
        running = _affordable(table, alive, chunk, budget, guarded)
        if not running or (blocks and len(running) == 1):
            break
        budget -= table.missing(running, chunk)
        table.measure(running, chunk)
        done += len(chunk)
        blocks += 1
        ran.update({c.key: done for c in running})
        fit = [c for c in running if allowed is None or allowed(c)] or running
        alive = _survivors(table, fit, rows[:done], guarded, belief() if belief else None)
        if halve and done >= _HALVE_FROM:
            keep = max(2, -(-len(entrants) // 2**blocks))
            alive = [c for i, c in enumerate(alive) if i < keep or c.key == guarded]
        if settled and settled(alive):
            break
    living = {c.key for c in alive}
    standings = [
        Standing(
            candidate=c, quality=table.mean(c, rows[: ran[c.key]]), rows=ran[c.key], alive=c.key in living
        )
        for c in entrants
    ]
    return sorted(
        standings, key=lambda s: (not s.alive, -s.rows, -(s.quality if s.quality is not None else -1.0))
    )


def _affordable(
    table: Table, alive: list[Candidate], chunk: Sequence[Example], budget: int, guarded: str | None
) -> list[Candidate]:
    """The longest start of ``alive`` (with the guarded one) that ``budget`` can measure on ``chunk``."""
    kept = list(alive)
    while kept and table.missing(kept, chunk) > budget:
        droppable = [c for c in kept if c.key != guarded and table.missing([c], chunk)]
        kept.remove(droppable[-1] if droppable else kept[-1])
    return kept


def _ranked(table: Table, candidates: Sequence[Candidate], rows: Sequence[Example]) -> list[Candidate]:
    means = {c.key: table.mean(c, rows) for c in candidates}
    order = {c.key: i for i, c in enumerate(candidates)}
    return sorted(candidates, key=lambda c: (-(-1.0 if (m := means[c.key]) is None else m), order[c.key]))


def _survivors(
    table: Table,
    alive: Sequence[Candidate],
    rows: Sequence[Example],
    guarded: str | None,
    belief: Belief | None,
) -> list[Candidate]:
    ranked = sorted(alive, key=lambda c: -belief.quality(c)) if belief else _ranked(table, alive, rows)
    leader = ranked[0]

    def doubt(candidate: Candidate) -> float:
        if belief:
            return belief.difference(leader, candidate).below(0.0)
        return paired_p(table.differences(leader, candidate, rows))

    kept = []
    for candidate in ranked:
        if candidate is leader or candidate.key == guarded:
            kept.append(candidate)
            continue
        if len(table.scored(candidate, rows)) * 2 < len(rows):
            continue  # more than half of its rows are missing: it cannot be judged, nor could it be shipped
        if doubt(candidate) >= ALPHA:
            kept.append(candidate)
    return kept


def stratified(
    examples: Sequence[Example], *, seed: int, stratum: Callable[[Example], str] | None = None
) -> list[Example]:
    """``examples`` in an order drawn from ``seed``; every block holds all strata in their proportion."""
    groups: dict[str, list[Example]] = {}
    for example in sorted(examples, key=lambda e: (draw(seed, "row", e.id), e.id)):
        groups.setdefault(stratum(example) if stratum else "", []).append(example)
    if len(groups) > max(2, len(examples) // 3):
        groups = {"": [e for group in groups.values() for e in group]}
        groups[""].sort(key=lambda e: (draw(seed, "row", e.id), e.id))
    placed = [
        ((index + 0.5) / len(group), draw(seed, "stratum", name), example)
        for name, group in groups.items()
        for index, example in enumerate(group)
    ]
    return [example for _, _, example in sorted(placed, key=lambda p: (p[0], p[1], p[2].id))]
