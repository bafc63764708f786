"""The opening of a search: the original and the seeds, screened on train rows and raced on validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import CandidateRecord
from promptmigrate.search.generation import Generations
from promptmigrate.search.racing import race
from promptmigrate.search.state import State
from promptmigrate.types import Example

_ROOMY = 200
"""Rows from which long shots among the seeds are paid for."""
_HINTS_FROM = 400
"""Rows from which a rewrite without a look at failures is paid for."""
_RACED_FROM = 300
"""Rows from which seeds race apart; in a smaller search they meet only with what was made of them."""
_SEED_BLOCKS = 2
"""Blocks for the race of the seeds, besides one for each."""


class Opening:
    """Plays the seeds on a State."""

    def __init__(self, state: State, generations: Generations) -> None:
        self._state, self._generations = state, generations
        self._refused: list[CandidateRecord] = []
        self.bare: Candidate = state.original
        """The most promising seed without demos."""

    def play(self) -> None:
        """The original and the seeds, on a block of train rows and then on validation."""
        state, plan, table = self._state, self._state.plan, self._state.table
        screen = state.free[: plan.block]
        if len(screen) < min(4, plan.block):
            screen = []
        # The screening rows count too: seeds were not made from their failures.
        rows = [*screen, *state.validation]
        first = rows[: plan.block]
        state.admit(state.original)
        if not table.affordable([state.original], first):
            calls = state.problem.calls
            state.story.stop("budget", f"{calls} calls do not pay for one block of {len(first)} rows")
            return
        table.measure([state.original], first)
        if not table.scored(state.original, first):
            state.story.stop("unmeasurable", f"none of the first {len(first)} rows could be evaluated")
            return
        state.story.tell("the original", state.original, first)
        entrants = [state.original]
        if table.mean(state.original, first) != 1.0:
            # Where all are level, the original stays; else demos lead: they say what no rule here says yet.
            entrants += sorted(self._screened(first), key=lambda c: not c.demos)
        standings = race(
            table,
            entrants,
            rows,
            block=len(first),
            # Seeds that stay level are told apart later, on the rows that proposals race on anyway.
            max_rows=min(self._seed_rows_left(), (len(entrants) + _SEED_BLOCKS) * len(first))
            if state.plan.rows >= _RACED_FROM
            else 0,
            allowed=state.allowed,
        )
        living = [s.candidate for s in standings if s.alive and s.quality is not None]
        state.incumbent = living[0] if living else state.original
        block = state.validation[: plan.block]
        if table.affordable([state.incumbent], block):
            table.measure([state.incumbent], block)
        state.confirm_perfect()
        state.story.record("seeds", state.incumbent, standings, self._refused)

    def _screened(self, rows: Sequence[Example]) -> list[Candidate]:
        """Seeds one after the other, each answering what the last showed; measured on ``rows``."""
        state = self._state
        seeds = self._measured(state.seeds.first(), rows)
        best = self._ahead([*seeds, state.original], rows)
        report = state.report(best)
        form = report.failed * report.form_share > 0.2 * len(rows)
        wrong = report.failed * (1 - report.form_share) > 0.2 * len(rows) and state.plan.rows >= _ROOMY
        seeds += self._measured(state.seeds.second(best, form=form, wrong=wrong), rows)
        best = self._ahead([*seeds, state.original], rows)
        if state.plan.rows >= _HINTS_FROM and best.key != state.original.key:
            seeds += self._hinted(best, rows)
            best = self._ahead([*seeds, state.original], rows)
        if best.steps and not state.seeds.worked:
            # Worked demos come later, from the model's own answers; plain ones may do as well as working.
            best = self._ahead([c for c in [*seeds, state.original] if not c.steps], rows)
        if best.demos:
            # A prompt that was handed in may show worked examples, which hide what its rules do not say.
            seeds += self._measured([best.but(demos=(), origin=f"{best.origin} - demos")], rows)
            best = self._ahead([c for c in [*seeds, state.original] if not c.demos], rows)
        self.bare = best
        seeds += self._measured(state.seeds.shots(best, state.plan.shots), rows)
        if best.key != state.original.key:
            # Demos may say all that the rules say, and rules that stand in their way do harm.
            seeds += self._measured(state.seeds.shots(state.original, 1), rows)
        return seeds

    def _hinted(self, parent: Candidate, rows: Sequence[Example]) -> list[Candidate]:
        """``parent`` rewritten for the model's family, measured on ``rows``; it has seen none of them."""
        room = min(self._seed_rows_left(), self._state.table.rows_left)
        if room <= len(rows) + 1:
            return []
        made, self._refused = self._generations.hinted(parent)
        self._state.table.measure(made, rows)
        return made

    def _ahead(self, candidates: Sequence[Candidate], rows: Sequence[Example]) -> Candidate:
        """The most promising on ``rows``; the first of those that are level.

        A few rows tell little of how many answers are right, but much of their form: a wrong answer in the
        right form counts half, for a model that keeps the form can be taught the rest.
        """
        state = self._state

        def promise(candidate: Candidate) -> float:
            report = state.report(candidate)
            formed = report.failed * (1 - report.form_share)
            return (state.table.mean(candidate, rows) or 0.0) + 0.5 * formed / max(1, len(rows))

        return max(candidates, key=lambda c: (state.allowed(c), promise(c)))

    def _measured(self, seeds: Iterable[Candidate], rows: Sequence[Example]) -> list[Candidate]:
        """The seeds that the guard lets pass and that can be paid, measured on ``rows``."""
        room = min(self._seed_rows_left(), self._state.table.rows_left) // max(1, len(rows))
        passed = self._state.admitted(seeds, room)
        self._state.table.measure(passed, rows)
        return passed

    def _seed_rows_left(self) -> int:
        used = self._state.table.calls // self._state.problem.calls_per_row
        return max(0, self._state.plan.seed_rows - used)
