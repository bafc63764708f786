"""The default strategy: seeds without reflection, then rewrites from clustered failures, raced in blocks.

1. Seeds: the original, the contract mined from production's answers, step by step, placement, demos.
2. Generations: the incumbent (and, when that brings nothing, another parent by Pareto frequency) shows its
   failures on train rows to the reflection model. Proposals that pass the guard are tried on these failures;
   those that mend some, what all of them add, and a combination of rules and demos race with the incumbent.
3. When generations bring nothing: more combinations and removal tests.
4. The finalists meet once more on further validation rows, and the original with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promptmigrate.errors import BudgetExceeded
from promptmigrate.search import choice
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.archive import front
from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.combine import combinations
from promptmigrate.search.generation import Generations
from promptmigrate.search.racing import race
from promptmigrate.search.state import State
from promptmigrate.types import Example

_FAR = 0.15
"""A best that stays so far below the goal while rounds bring nothing counts as unreachable."""
_DOUBT = 4
"""Rows of quality 0 that a mean is thought to rest on besides its own, where finalists are picked."""
_ROOMY = 200
"""Rows from which long shots among the seeds are paid for."""
_COMBINATIONS = 6
_SEED_BLOCKS = 6
"""Blocks for the race of the seeds, besides one for each."""


class Reflective:
    """See the module's text."""

    name = "reflective"

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        run = _Run(State(problem))
        try:
            run.seeds()
            run.rounds()
            run.final()
        except BudgetExceeded as error:
            run.state.story.stop("budget", f"the budget was exceeded: {error}")
        return run.result()


class _Run:
    def __init__(self, state: State) -> None:
        self.state = state
        self.generations = Generations(state)

    # -- seeds -----------------------------------------------------------------------------------------

    def seeds(self) -> None:
        """The original and the seeds, on a block of train rows and then on validation."""
        state, plan, table = self.state, self.state.plan, self.state.table
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
            entrants += self._screened(first)
        standings = race(
            table,
            entrants,
            rows,
            block=len(first),
            # Seeds that stay level are told apart later, on the rows that proposals race on anyway.
            max_rows=min(self._seed_rows_left(), (len(entrants) + _SEED_BLOCKS) * len(first)),
            allowed=state.allowed,
        )
        living = [s.candidate for s in standings if s.alive and s.quality is not None]
        state.incumbent = living[0] if living else state.original
        block = state.validation[: plan.block]
        if table.affordable([state.incumbent], block):
            table.measure([state.incumbent], block)
        state.confirm_perfect()
        state.story.record("seeds", state.incumbent, standings)

    def _screened(self, rows: Sequence[Example]) -> list[Candidate]:
        """Seeds one after the other, each answering what the last showed; measured on ``rows``."""
        state = self.state
        seeds = self._measured(state.seeds.first(), rows)
        best = self._ahead([*seeds, state.original], rows)
        report = state.report(best)
        form = report.failed * report.form_share > 0.2 * len(rows)
        wrong = report.failed * (1 - report.form_share) > 0.2 * len(rows) and state.plan.rows >= _ROOMY
        seeds += self._measured(state.seeds.second(best, form=form, wrong=wrong), rows)
        best = self._ahead([*seeds, state.original], rows)
        if best.steps and not state.seeds.worked:
            # Worked demos come later, from the model's own answers; plain ones may do as well as working.
            best = self._ahead([c for c in [*seeds, state.original] if not c.steps], rows)
        return seeds + self._measured(state.seeds.shots(best, state.plan.shots), rows)

    def _ahead(self, candidates: Sequence[Candidate], rows: Sequence[Example]) -> Candidate:
        """The best on ``rows``; the first of those that are level."""
        state = self.state
        return max(candidates, key=lambda c: (state.allowed(c), state.table.mean(c, rows) or 0.0))

    def _measured(self, seeds: Iterable[Candidate], rows: Sequence[Example]) -> list[Candidate]:
        """The seeds that the guard lets pass and that can be paid, measured on ``rows``."""
        room = min(self._seed_rows_left(), self.state.table.rows_left) // max(1, len(rows))
        passed = self.state.admitted(seeds, room)
        self.state.table.measure(passed, rows)
        return passed

    def _seed_rows_left(self) -> int:
        used = self.state.table.calls // self.state.problem.calls_per_row
        return max(0, self.state.plan.seed_rows - used)

    # -- rounds ----------------------------------------------------------------------------------------

    def rounds(self) -> None:
        """Proposals while they help; combinations when they do not; until nothing helps or pays."""
        state = self.state
        stale = index = 0
        combined = ""
        while state.story.code is None:
            if state.perfect:
                rows = len(state.table.scored(state.incumbent, state.validation))
                state.story.stop("perfect", f"{rows} of {rows} validation rows are answered well")
                return
            index += 1
            # A model that is far from the goal even with the best seed is given up sooner.
            patience = min(2, state.plan.patience) if state.hopeless else state.plan.patience
            improved = self.generations.run(index, stale=stale) if stale < patience else None
            if improved is not None:
                stale = 0 if improved else stale + 1
                if stale < patience:
                    continue
            if combined == state.incumbent.key or state.hopeless:
                break
            combined = state.incumbent.key
            if not self._combine():
                break
            stale = 0
        self._say_why(stale)

    def _combine(self) -> bool:
        """Race combinations and removals around the incumbent; whether one improves it."""
        state = self.state
        limit = max(0, min(_COMBINATIONS, state.spare_rows // state.plan.block))
        report = state.report(state.incumbent)
        siblings = self.generations.siblings
        made = state.admitted(
            combinations(state.problem, state.seeds, state.incumbent, report, siblings), limit
        )
        if not made:
            return False
        improved, standings = state.race(made)
        state.story.record("combinations", state.incumbent, standings)
        return improved

    def _say_why(self, stale: int) -> None:
        state = self.state
        quality = state.table.mean(state.incumbent, state.validation)
        far = quality is not None and quality < state.goal - _FAR
        rounds = f"{stale} round{'' if stale == 1 else 's'} of rewriting brought no improvement"
        where = f"the best prompt is at {quality or 0:.2f} where production is at {state.goal:.2f}"
        if stale < state.plan.patience and self.generations.payable() < 1:
            state.story.stop(
                "budget",
                f"after {state.table.calls} of {state.problem.calls} calls the rest pays for a last "
                f"comparison only{f'; {where}' if far else ''}",
            )
        elif far:
            state.story.stop(
                "unreachable",
                f"{rounds if stale else 'nothing is left to try'} and {where}: this model does not seem to "
                "get there by its prompt",
            )
        elif stale:
            state.story.stop("no_improvement", rounds)
        else:
            state.story.stop("exhausted", "nothing is left to try: train rows show no failures")

    # -- the end ---------------------------------------------------------------------------------------

    def final(self) -> None:
        """The finalists, and the original, on more validation rows."""
        state, table, rows = self.state, self.state.table, self.state.validation
        if state.story.code == "unmeasurable" or (state.story.code == "unreachable" and state.hopeless):
            return
        measured = {c.key: table.scored(c, rows) for c in state.archive.values()}
        rivals = [c for c in state.archive.values() if c.key != state.incumbent.key and measured[c.key]]
        # Few rows make luck: a mean counts less the fewer rows it rests on.
        rivals.sort(key=lambda c: (-sum(measured[c.key]) / (len(measured[c.key]) + _DOUBT), c.key))
        finalists = [state.incumbent, *rivals[: state.plan.finalists - 1]]
        if state.original.key not in {c.key for c in finalists}:
            short = rows[: 2 * state.plan.block]
            if table.affordable([state.original], short, spare=len(finalists) * state.plan.block):
                table.measure([state.original], short)
        self._level(finalists)
        standings = race(
            table,
            finalists,
            rows,
            block=state.plan.block,
            max_rows=max(state.plan.final_rows(len(rows)), state.plan.rows // 4),
            halve=False,
            protect=state.incumbent,
            allowed=state.allowed,
        )
        state.story.record("final", state.incumbent, standings)

    def _level(self, finalists: Sequence[Candidate]) -> None:
        """Bring all finalists to the rows of the most measured one: luck on few rows is no comparison."""
        table, rows = self.state.table, self.state.validation
        asked = max(sum(table.cell(c, e) is not None for e in rows) for c in finalists)
        for candidate in finalists:
            if table.affordable([candidate], rows[:asked]):
                table.measure([candidate], rows[:asked])

    def result(self) -> SearchResult:
        """The final choice and the story."""
        state, table = self.state, self.state.table
        archive = list(state.archive.values())
        rows: Sequence[Example] = state.validation
        if not any(table.scored(c, rows) for c in archive):
            rows = state.free  # the calls ended before validation: train rows are better than nothing
        counts = {c.key: len(table.scored(c, rows)) for c in archive}
        level = counts.get(state.incumbent.key, 0) or max(counts.values(), default=0)
        enough = max(1, min(state.plan.block, level))
        finalists = [
            c
            for c in archive
            if counts[c.key] >= max(enough, level // 2)
            and (c is state.incumbent or not choice.improves(table, state.incumbent, c, rows))
        ]
        best = choice.choose(state.problem, table, finalists, rows) if finalists else state.incumbent
        return SearchResult(
            best=best.variant,
            quality=table.mean(best, state.validation),
            baseline=table.mean(state.original, state.validation),
            front=front(table, archive, state.validation, min_rows=enough),
            generations=tuple(state.story.generations),
            stopped=state.story.why or "the search ended",
            code=state.story.code or "exhausted",
            calls=table.calls,
            rows=len(table.scored(best, state.validation)),
            facts=state.contract.facts if state.contract else (),
        )
