"""What strategies share around their own idea: budget, guard, archive, the last comparison and the result.

A strategy that is somebody else's optimizer proposes candidates and reads scores; everything that decides
what is shipped happens here, on the exported plain prompts and on validation rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promptmigrate.errors import BudgetExceeded
from promptmigrate.search import choice
from promptmigrate.search.anatomy import Anatomy, Candidate
from promptmigrate.search.archive import front
from promptmigrate.search.base import CandidateRecord, Generation, Problem, SearchResult, StopCode
from promptmigrate.search.belief import Belief
from promptmigrate.search.given import given
from promptmigrate.search.guard import Guard
from promptmigrate.search.racing import race, stratified
from promptmigrate.search.state import expected_key
from promptmigrate.search.table import Table
from promptmigrate.types import Example

_FINALISTS = 3
_TOLD = 4
"""Refusals that a reflection model is told of."""
_DOUBT = 4
"""Rows of quality 0 that a mean is thought to rest on besides its own: few rows make luck."""


class Run:
    """One search by one strategy.

    Args:
        problem: What is searched.
        name: The strategy, for sentences and records.
        screen: Validation rows, at most, on which an optimizer compares its candidates.
        share: Share of the rows that is kept for the last comparison.
    """

    def __init__(self, problem: Problem, name: str, *, screen: int = 20, share: float = 0.15) -> None:
        self.problem, self.name = problem, name
        self.table = Table(problem)
        anatomy = Anatomy.of(problem.original.prompt)
        self.original = Candidate(
            anatomy=anatomy, base=problem.original, instructions=anatomy.instructions, origin="original"
        )
        self.base = self.original
        """Where the optimizer starts: the original, or a prompt of the user that does better."""
        self.train = stratified(problem.train, seed=problem.seed, stratum=expected_key)
        self.validation = stratified(problem.validation, seed=problem.seed, stratum=expected_key)
        self.rows = max(0, problem.calls) // problem.calls_per_row
        """How many (candidate, row) pairs all the calls would pay."""
        self.screen = self.validation[: max(3, min(screen, self.rows // 5))]
        rest = len(self.validation) - len(self.screen)
        self.reserve = min(_FINALISTS * rest, round(share * self.rows)) * problem.calls_per_row
        """Calls kept for the last comparison."""
        self.candidates: dict[str, Candidate] = {self.original.key: self.original}
        self.baseline = 0.0
        """Mean of the original on the screen."""
        self._guard = Guard.of(problem)
        self._refused: dict[str, tuple[Candidate, str]] = {}
        self._code: StopCode | None = None
        self._why = ""

    # -- candidates ------------------------------------------------------------------------------------

    def admit(self, candidate: Candidate) -> bool:
        """Whether ``candidate`` may be measured; what may is remembered for the last comparison."""
        key = candidate.key
        if key in self.candidates:
            return True
        if key in self._refused:
            return False
        if reason := self._refusal(candidate):
            self._refused[key] = candidate, reason
            return False
        origin = candidate.origin or f"{self.name} candidate {len(self.candidates)}"
        self.candidates[key] = candidate.but(parent=self.base.key, origin=origin)
        self.problem.log(f"{origin}, after {self.table.calls} of {self.problem.calls} calls")
        return True

    @property
    def refusals(self) -> str:
        """The last reasons for which candidates were refused, as a list for the reflection model."""
        reasons = dict.fromkeys(reason for _, reason in self._refused.values())
        return "\n".join(f"- A rewrite was refused because {reason}." for reason in [*reasons][-_TOLD:])

    def _refusal(self, candidate: Candidate) -> str | None:
        allowed = self.problem.may_change
        rewritten = (
            candidate.instructions != self.original.instructions
            or candidate.anatomy is not self.original.anatomy
        )
        if rewritten and "instructions" not in allowed:
            return "it changes the instructions, which may_change does not name"
        if candidate.demos and "demos" not in allowed:
            return "it has demos, which may_change does not name"
        if candidate.placement != self.original.placement and "format" not in allowed:
            return "it changes the format, which may_change does not name"
        given = candidate.anatomy is not self.original.anatomy
        return self._guard.refuse(candidate, proposed=not given)

    # -- start -----------------------------------------------------------------------------------------

    def start(self, *, changes: frozenset[str], train: bool = True) -> bool:
        """Measure the original, and the user's prompts, on the screen; False: the search is over already.

        ``changes``: what the strategy needs leave to change one of. ``train``: whether it needs train rows.
        """
        if not self.problem.may_change & changes:
            return self.stop("exhausted", f"{self.name} changes {' and '.join(sorted(changes))}; it may not")
        if train and not self.train:
            return self.stop("exhausted", f"{self.name} works on train rows; there are none")
        if not self.table.affordable([self.original], self.screen):
            calls = self.problem.calls
            return self.stop("budget", f"{calls} calls do not pay for {len(self.screen)} validation rows")
        self.table.measure([self.original], self.screen)
        mean = self.table.mean(self.original, self.screen)
        if mean is None:
            return self.stop("unmeasurable", f"none of the first {len(self.screen)} rows could be evaluated")
        self.baseline = mean
        if mean >= 1.0 and self.table.affordable([self.original], self.validation, spare=self.rows // 3):
            self.table.measure([self.original], self.validation)
            if self.table.mean(self.original, self.validation) == 1.0:
                return self.stop("perfect", "the original answers every validation row well")
        self._try_given()
        return True

    def _try_given(self) -> None:
        for start in given(self.problem):
            if self.table.affordable([start], self.screen, spare=self.rows // 2) and self.admit(start):
                self.table.measure([start], self.screen)
        self.base = max(self.candidates.values(), key=lambda c: self.table.mean(c, self.screen) or 0.0)

    # -- end -------------------------------------------------------------------------------------------

    def stop(self, code: StopCode, why: str) -> bool:
        """Remember why the search ends (the first reason counts); always False."""
        if self._code is None:
            self._code, self._why = code, why
        return False

    def compare(self) -> None:
        """The best candidates, and the original, on further validation rows."""
        seen = [*self.train, *self.validation]
        ranks = {key: self._rank(c, seen) for key, c in self.candidates.items() if c is not self.original}
        best = sorted((key for key, rank in ranks.items() if rank > 0), key=lambda key: (-ranks[key], key))
        finalists = [self.original, *(self.candidates[key] for key in best[:_FINALISTS])]
        race(
            self.table,
            finalists,
            self.validation,
            block=max(5, len(self.screen)),
            max_rows=self.table.rows_left,
            halve=False,
        )

    def _rank(self, candidate: Candidate, rows: Sequence[Example]) -> float:
        quoted = {demo.example for demo in candidate.demos}
        scored = self.table.scored(candidate, [e for e in rows if e.id not in quoted])
        return sum(scored) / (len(scored) + _DOUBT)

    def result(self) -> SearchResult:
        """The final choice among the exported prompts."""
        rows, table = self.validation, self.table
        # By key: the order in which threads came must not decide between equals.
        candidates = [self.candidates[key] for key in sorted(self.candidates)]
        counts = {c.key: len(table.scored(c, rows)) for c in candidates}
        most = max(counts.values())
        finalists = [c for c in candidates if counts[c.key] and 2 * counts[c.key] >= most]
        belief = Belief.of(table, candidates, rows, {})
        best = choice.choose(self.problem, table, finalists, rows, belief) if finalists else self.original
        quality = table.mean(best, rows)
        records = [
            CandidateRecord(
                variant=c.variant,
                origin=c.origin,
                parent=c.parent,
                quality=table.mean(c, rows) if counts[c.key] else table.mean(c, self.train),
                rows=counts[c.key] or len(table.scored(c, self.train)),
                fate="incumbent" if c is best else "kept",
            )
            for c in candidates
        ] + [
            CandidateRecord(
                variant=None, origin=f"{self.name} candidate", parent=self.base.key, fate=f"refused: {reason}"
            )
            for _, reason in self._refused.values()
        ]
        generation = Generation(
            index=0,
            phase="proposals",
            candidates=tuple(records),
            best=best.variant,
            quality=quality,
            calls=table.calls,
        )
        return SearchResult(
            best=best.variant,
            quality=quality,
            baseline=table.mean(self.original, rows),
            front=front(table, candidates, rows, min_rows=max(1, most // 2), winner=best),
            generations=(generation,),
            stopped=self._why or f"{self.name} is done",
            code=self._code or "exhausted",
            calls=table.calls,
            rows=counts[best.key],
        )


def conduct(
    run: Run, propose: Callable[[Run], None], *, changes: frozenset[str], train: bool = True
) -> SearchResult:
    """Start ``run``, let ``propose`` find candidates, compare the best of them, and give the result."""
    try:
        if run.start(changes=changes, train=train):
            propose(run)
            run.compare()
    except BudgetExceeded as error:
        run.stop("budget", f"the budget was exceeded: {error}")
    return run.result()
