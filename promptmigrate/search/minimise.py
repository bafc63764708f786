"""Dropping what buys nothing: delta debugging over the sentences and demos of the best prompt.

ddmin (Zeller and Hildebrandt 2002, IEEE Transactions on Software Engineering 28:183) looks for a subset of
the prompt from which nothing more can be dropped. A subset passes if it is not inferior to the *whole* best
prompt (never to the last subset, so losses cannot add up) on validation rows, those first that the best one
has answered already: a paired one-sided bound at :data:`CONFIDENCE` above minus :data:`MARGIN`. What cannot
be shown stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.failures import GOOD, inputs_text
from promptmigrate.search.pieces import dangles, pieces, without
from promptmigrate.search.state import State
from promptmigrate.search.stats import estimate, rows_to_exclude
from promptmigrate.search.text import one_line
from promptmigrate.types import Example

MARGIN = 0.02
"""Mean quality that dropping something may cost at most."""
CONFIDENCE = 0.9
"""One-sided confidence of that bound."""
_SHARE = 0.3
"""Share of all calls that this may use at most, however many are left."""
_VETO = 12
"""Train rows that are asked first: rows that an ancestor failed and the best prompt answers well."""


def ddmin(count: int, passes: Callable[[tuple[int, ...]], bool], *, parts: int = 2) -> tuple[int, ...]:
    """Those of ``range(count)`` that are left when nothing more can be dropped.

    ``passes`` says whether a subset will do; the whole is taken to. No single element can be dropped from the
    result (1-minimal), as long as ``passes`` gives the same answer each time. ``parts``: into how many pieces
    the whole is cut at first. By complements only: a prompt of which a small part would do is rare.
    """
    kept = tuple(range(count))
    parts = max(1, min(parts, count))
    while kept:
        bounds = [round(i * len(kept) / parts) for i in range(parts + 1)]
        for low, high in pairwise(bounds):
            rest = kept[:low] + kept[high:]
            if passes(rest):
                kept = rest
                parts = max(1, min(len(kept), parts - 1))
                break
        else:
            if parts >= len(kept):
                break
            parts = min(len(kept), 2 * parts)
    return kept


@dataclass(frozen=True, kw_only=True)
class Shortened:
    """What is left of a candidate, and what was dropped."""

    candidate: Candidate
    removed: tuple[str, ...] = ()


def worth(state: State) -> int:
    """Rows that a search of this size keeps back for one proof: none where it could not pay a proof."""
    need = rows_to_exclude(MARGIN, CONFIDENCE)
    fits = state.problem.minimise and len(state.validation) >= need and state.plan.rows >= 12 * need
    return need if fits else 0


def minimise(state: State, best: Candidate) -> Shortened:
    """``best`` without what buys nothing, as far as the calls that are left can show it."""
    check = _Check(state, best)
    if not state.problem.minimise or not check.possible:
        return Shortened(candidate=best)
    parts = pieces(best.instructions) if "instructions" in state.problem.may_change else []
    demos = best.demos if "demos" in state.problem.may_change else ()
    loose = [i for i, piece in enumerate(parts) if not piece.fixed]
    size = len(loose) + len(demos)

    def left_out(kept: tuple[int, ...]) -> set[int]:
        chosen = set(kept)
        return {i for n, i in enumerate(loose) if n not in chosen}

    def made(kept: tuple[int, ...]) -> Candidate:
        chosen, dropped = set(kept), left_out(kept)
        text = without(parts, dropped) if dropped else best.instructions
        return best.but(
            instructions=text,
            demos=tuple(d for n, d in enumerate(best.demos, len(loose)) if n in chosen or not demos),
            origin=f"{best.origin}, shortened",
        )

    known: dict[tuple[int, ...], bool] = {}

    def passes(kept: tuple[int, ...]) -> bool:
        if kept not in known:
            known[kept] = not dangles(parts, left_out(kept)) and check.holds(made(kept))
        return known[kept]

    # Halves of a prompt are hardly ever useless: begin with smaller parts, their failures cost few calls.
    kept = ddmin(size, passes, parts=-(-size // 2))
    if len(kept) == size:
        return Shortened(candidate=best)
    gone = [n for n in range(size) if n not in set(kept)]
    texts = [one_line(parts[loose[n]].text, 200) for n in gone if n < len(loose)]
    texts += [f"demo: {_shown(state, best, n - len(loose))}" for n in gone if n >= len(loose)]
    return Shortened(candidate=made(kept), removed=tuple(texts))


def _shown(state: State, best: Candidate, index: int) -> str:
    wanted = best.demos[index].example
    example = next((e for e in state.problem.train if e.id == wanted), None)
    return one_line(inputs_text(example), 120) if example else wanted


class _Check:
    """Whether a shortened prompt is not inferior to the best; asks no row more than it must."""

    def __init__(self, state: State, best: Candidate) -> None:
        self._state, self._best = state, best
        table = state.table
        self._need = rows_to_exclude(MARGIN, CONFIDENCE)
        self._allowance = min(table.rows_left, round(_SHARE * state.plan.rows))
        quoted = {d.example for d in best.demos}
        self._veto = [e for e in state.train if e.id not in quoted and self._hard(e)][:_VETO]
        known = [e for e in state.validation if table.quality(best, e) is not None]
        rest = [e for e in state.validation if table.cell(best, e) is None]
        self._missing = rest[: max(0, self._need - len(known))]
        self._rows = [*known, *self._missing]

    @property
    def possible(self) -> bool:
        """Whether the rows and calls suffice for a single proof."""
        cost = len(self._missing) + self._need + len(self._veto)
        return len(self._rows) >= self._need and cost <= self._allowance

    def holds(self, shorter: Candidate) -> bool:
        """Whether ``shorter`` is shown to be not inferior; False where the calls end before that."""
        state, table = self._state, self._state.table
        if not shorter.instructions.strip() or state.guard.refuse(shorter, proposed=False):
            return False
        if (
            not self._asked(shorter, self._veto)
            or sum(table.differences(shorter, self._best, self._veto)) < 0
        ):
            return False
        step = state.plan.block
        for start in range(0, len(self._rows), step):
            if not self._asked(shorter, self._rows[start : start + step]):
                return False
            done = table.differences(shorter, self._best, self._rows[: start + step])
            if self._shown(done):
                state.admit(shorter)
                return True
            left = len(self._rows) - start - step
            if not self._shown([*done, *[0.0] * max(0, left)]):
                return False  # not even if all further rows were level
        return False

    def _asked(self, shorter: Candidate, rows: Sequence[Example]) -> bool:
        table = self._state.table
        if not rows:
            return True
        cost = table.missing([shorter, self._best], rows)
        if cost > self._allowance:
            return False
        self._allowance -= cost
        table.measure([shorter, self._best], rows)
        return True

    def _shown(self, differences: Sequence[float]) -> bool:
        return len(differences) >= self._need and estimate(differences).below(-MARGIN) < 1 - CONFIDENCE

    def _hard(self, example: Example) -> bool:
        """Answered well by the best prompt and not by an ancestor: a row that some sentence is there for."""
        table, ancestor = self._state.table, self._state.archive.get(self._best.parent)
        if (table.quality(self._best, example) or 0.0) < GOOD:
            return False
        seen = {self._best.key}
        while ancestor is not None and ancestor.key not in seen:
            quality = table.quality(ancestor, example)
            if quality is not None and quality < GOOD:
                return True
            seen.add(ancestor.key)
            ancestor = self._state.archive.get(ancestor.parent)
        return False
