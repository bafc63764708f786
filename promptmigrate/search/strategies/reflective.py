"""The default strategy: seeds without reflection, then rewrites from clustered failures, raced in blocks.

1. Seeds: the original, the contract mined from production's answers, step by step, placement; with demos too.
2. Chains: the best bare seed is rewritten from its failures on train rows, again and again; the ends race,
   bare and with demos. Then generations: the incumbent (and, when that brings nothing, another parent by
   Pareto frequency) shows its failures; proposals that pass the guard are tried on these failures; those that
   mend some, what all of them add, and a combination of rules and demos race with the incumbent.
3. When generations bring nothing: settings of the bounded knobs, more combinations and removal tests.
4. The finalists meet once more on further validation rows, and the original with them. What calls that leaves
   go into more generations.
5. What buys nothing is dropped from the winner.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.errors import BudgetExceeded
from promptmigrate.search import choice
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.archive import front
from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.combine import combinations
from promptmigrate.search.generation import Generations
from promptmigrate.search.knobs import Knobs
from promptmigrate.search.mending import Mending
from promptmigrate.search.minimise import minimise, worth
from promptmigrate.search.opening import Opening
from promptmigrate.search.racing import Standing, race
from promptmigrate.search.reach import Reach
from promptmigrate.search.state import FRESH_FROM, State
from promptmigrate.search.text import tokens_of
from promptmigrate.types import Example

_ENCORES = 8
"""Times that rounds go on after a comparison of finalists."""
_COMBINATIONS = 6
_SETTINGS = 3
"""Settings of the knobs in one round."""
_TURNS = 2
"""Rounds of settings around one incumbent in a larger search; the second is modelled on the first."""
_KNOBS_FROM = 150
"""Rows of a search from which knobs are turned."""


class Reflective:
    """See the module's text."""

    name = "reflective"
    deterministic = True

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        run = _Run(State(problem))
        try:
            opening = Opening(run.state, run.generations)
            opening.play()
            run.play(opening.bare)
        except BudgetExceeded as error:
            run.state.story.stop("budget", f"the budget was exceeded: {error}")
            # No comparison was paid for: the best by all that is known, which may be its train rows alone.
            run.finalists = run.finalists or run.state.finalists()
        finally:
            run.knobs.close()
        return run.result()


class _Run:
    def __init__(self, state: State) -> None:
        self.state = state
        state.kept_back = worth(state)
        self.generations = Generations(state)
        self.knobs = Knobs(state.problem, state.seeds)
        self._turned = ""
        self._reach = Reach(state)
        self._index = 0
        self.finalists: list[Candidate] = []
        self.chosen: Candidate | None = None
        self.shortened: Candidate | None = None
        self.removed: tuple[str, ...] = ()

    def play(self, bare: Candidate) -> None:
        """Chains from ``bare``; rounds and a comparison of finalists, while calls are left; the minimiser."""
        state = self.state
        if state.story.code is None:
            self._reach.limits()
        if state.story.code is None and not state.perfect:
            Mending(state, self.generations).play(bare)
        for _ in range(_ENCORES):
            stale = self.rounds()
            self.final()
            state.compared = True
            over = state.story.code or state.hopeless or stale >= state.plan.patience
            if over or self.generations.payable() < 1:
                break
            best = self._best()
            state.incumbent = best if best.key != state.original.key else state.incumbent
        self._reach.end(stale, payable=self.generations.payable() >= 1)
        self.shorten()

    # -- rounds ----------------------------------------------------------------------------------------

    def rounds(self) -> int:
        """Proposals while they help; combinations when they do not; until nothing helps or pays.

        How many rounds of proposals in a row brought nothing at the end.
        """
        state = self.state
        stale = 0
        combined = ""
        while state.story.code is None:
            if state.perfect:
                rows = len(state.table.scored(state.incumbent, state.validation))
                state.story.stop("perfect", f"{rows} of {rows} validation rows are answered well")
                break
            if self._reach.too_slow():
                break
            self._index += 1
            # A model that is far from the goal even with the best seed is given up at once.
            patience = 1 if state.hopeless else state.plan.patience
            improved = self.generations.run(self._index, stale=stale) if stale < patience else None
            if improved is not None:
                stale = 0 if improved else stale + 1
                if stale < patience:
                    continue
            if combined == state.incumbent.key or state.hopeless:
                break
            if self._turn_knobs():
                stale = 0
                continue
            combined = state.incumbent.key
            if not self._combine():
                break
            stale = 0
        return stale

    def _turn_knobs(self) -> bool:
        """Race settings of the bounded knobs around the incumbent; whether one improves it."""
        state = self.state
        if state.plan.rows < _KNOBS_FROM or self._turned == state.incumbent.key:
            return False
        self._turned = state.incumbent.key
        return any(self._set() for _ in range(_TURNS if state.plan.rows >= FRESH_FROM else 1))

    def _set(self) -> bool:
        """One round of settings; whether the incumbent is another now."""
        state, incumbent = self.state, self.state.incumbent
        limit = min(_SETTINGS, state.spare_rows // (3 * state.plan.block))
        settings = self.knobs.ask(incumbent, state.report(incumbent), limit) if limit > 0 else []
        made = state.admitted(s.candidate for s in settings)
        improved, standings = state.race(made) if made else (False, [])
        self.knobs.tell(settings, incumbent, state.table, state.validation)
        if standings:
            state.story.record("knobs", state.incumbent, standings)
        return improved and state.incumbent.key != incumbent.key

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

    # -- the end ---------------------------------------------------------------------------------------

    def final(self) -> None:
        """The finalists, and the original, on more validation rows."""
        state, table, rows = self.state, self.state.table, self.state.validation
        lost = state.story.code == "unreachable" and not state.improved
        if state.story.code == "unmeasurable" or state.hopeless or lost:
            return
        finalists = state.finalists()
        if state.original.key not in {c.key for c in finalists}:
            short = rows[: 2 * state.plan.block]
            if table.affordable([state.original], short, spare=len(finalists) * state.plan.block):
                table.measure([state.original], short)
        standings = race(
            table,
            finalists,
            state.fresh(),
            block=state.plan.block,
            max_rows=self._final_rows(),
            halve=False,
            protect=state.incumbent,
            allowed=state.allowed,
            belief=lambda: state.belief,
        )
        most = max(s.rows for s in standings)
        # The incumbent first: where all are level, it has its trials to show besides.
        self.finalists = sorted(
            (s.candidate for s in standings if 2 * s.rows >= most and s.quality is not None),
            key=lambda c: c.key != state.incumbent.key,
        )
        state.story.record("final", state.incumbent, standings)

    def _final_rows(self) -> int:
        """Rows for the last comparison: what is left, but for what a proof of the minimiser takes."""
        state = self.state
        wanted = max(state.plan.final_rows(len(state.validation)), state.plan.rows // 4)
        return min(wanted, max(state.plan.block, state.table.rows_left - state.kept_back))

    def shorten(self) -> None:
        """Drop from the chosen prompt what buys nothing."""
        state = self.state
        self.chosen = self._best()
        if state.story.code in ("unmeasurable", "unreachable") or self.chosen.key == state.original.key:
            return  # nothing will be shipped that would be worth shortening
        shortened = minimise(state, self.chosen)
        if shortened.removed:
            self.shortened, self.removed = shortened.candidate, shortened.removed
            rows = state.validation
            state.story.record(
                "minimise",
                self.shortened,
                [
                    Standing(
                        candidate=c,
                        quality=state.table.mean(c, rows),
                        rows=len(state.table.scored(c, rows)),
                        alive=True,
                    )
                    for c in (self.shortened, self.chosen)
                ],
            )

    def _best(self) -> Candidate:
        """The final choice."""
        state, table, rows = self.state, self.state.table, self.state.validation
        if self.shortened is not None:
            return self.shortened
        if not self.finalists:
            return state.incumbent
        finalists = [*self.finalists]
        enough = max(1, min(state.plan.block, len(table.scored(state.incumbent, rows))))
        if (
            state.original.key not in {c.key for c in finalists}
            and len(table.scored(state.original, rows)) >= enough
            and not state.improves(state.incumbent, state.original)
        ):
            finalists.append(state.original)
        return choice.choose(state.problem, table, finalists, rows, state.belief)

    def result(self) -> SearchResult:
        """The final choice and the story."""
        state, table = self.state, self.state.table
        best = self._best()
        rows: Sequence[Example] = state.validation
        if not any(table.scored(c, rows) for c in state.archive.values()):
            rows = state.free  # the calls ended before validation: train rows are better than nothing
        enough = max(1, min(state.plan.block, len(table.scored(best, rows))))
        return SearchResult(
            best=best.variant,
            quality=table.mean(best, state.validation),
            baseline=table.mean(state.original, state.validation),
            front=front(table, list(state.archive.values()), state.validation, min_rows=enough, winner=best),
            generations=tuple(state.story.generations),
            stopped=self._reach.told(best),
            code=state.story.code or "exhausted",
            calls=table.calls,
            rows=len(table.scored(best, state.validation)),
            facts=state.contract.facts if state.contract else (),
            removed=self.removed,
            tokens=(tokens_of(self.chosen.prompt), tokens_of(best.prompt)) if self.chosen else None,
        )
