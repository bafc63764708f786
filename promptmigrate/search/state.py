"""What the rounds of the reflective strategy share: rows, table, archive, incumbent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice

from promptmigrate import template
from promptmigrate.search import choice
from promptmigrate.search.anatomy import Anatomy, Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.belief import Belief
from promptmigrate.search.contract import mine
from promptmigrate.search.failures import GOOD, Report, analyse
from promptmigrate.search.guard import Guard
from promptmigrate.search.plan import Plan
from promptmigrate.search.racing import Standing, race, stratified
from promptmigrate.search.seeds import Seeds
from promptmigrate.search.story import Story
from promptmigrate.search.table import Table
from promptmigrate.search.text import one_line
from promptmigrate.types import Example

PERFECT_ROWS = 100
"""Validation rows without a failure that end the search: more would hardly find one."""
FRESH_FROM = 400
"""Rows of a search from which races begin on new rows, for which the incumbent has to be paid again."""
SURE, VAIN = 0.2, 0.6
"""Probabilities that the best challenger is no better, below and above which a race is settled."""
_VAIN, _MOST_VAIN, _ROWS_A_REWRITE = 9, 24, 100
"""Rewrites that have to be tried in vain before a search gives up: one for so many of its rows, in these
bounds. Were one rewrite in ten of use, 9 would all miss with a chance of 39 %, 24 with one of 8 %."""
ENOUGH = 10
"""Rows that a race asks before it is found vain."""


class State:
    """One search: its incumbent, everything that was measured, and what every kind of round does."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.plan = Plan.of(problem)
        self.table = Table(problem)
        self.contract = mine((*problem.train, *problem.validation))
        self.seeds = Seeds(problem, Anatomy.of(problem.original.prompt), self.contract)
        self.guard = Guard.of(problem)
        self.original = self.seeds.original()
        self.incumbent = self.original
        self.archive: dict[str, Candidate] = {}
        self.validation = stratified(problem.validation, seed=problem.seed, stratum=expected_key)
        # Rows quoted as demos come last: a candidate that quotes them cannot be judged on them.
        reserved = {d.example for d in self.seeds.demos(max(4, len(problem.train) // 5))}
        reserved |= {d.example for start in self.seeds.given for d in start.demos}
        self.train = stratified(problem.train, seed=problem.seed, stratum=expected_key)
        self.train.sort(key=lambda e: e.id in reserved)
        self.free = [e for e in self.train if e.id not in reserved]
        self.hopes: dict[str, float] = {}
        """What train rows let hope of a candidate, in quality above the bare seed, by key."""
        self._believed: tuple[tuple[int, int], Belief] | None = None
        self.compared = False
        """Whether finalists have met; what they met on need not be paid again."""
        self.kept_back = 0
        """Rows that rounds leave for what comes after the last comparison."""
        self.improved = False
        """Whether any round has improved on the seeds."""
        self.mended = False
        """Whether any rewrite has gained on the failures that it was written from."""
        self.rewrites = 0
        """How many rewrites were fit to be tried."""
        self.tried = 0
        """How many of them were asked the failures that they were written from."""
        self.refused = ""
        """Why the last one that was not fit was none."""
        self.story = Story(problem, self.table, self.validation)

    @property
    def goal(self) -> float:
        """The quality to reach."""
        return 1.0 if self.problem.goal is None else self.problem.goal

    @property
    def spare_rows(self) -> int:
        """Rows left for rounds: what the last comparison will need is kept back."""
        needed = self.table.missing(self.finalists(), self.validation)
        most = 2 * self.plan.block if self.compared else self.plan.final_rows(len(self.validation))
        final = min(most, needed)
        return self.table.rows_left - final - self.kept_back

    def finalists(self) -> list[Candidate]:
        """The incumbent and its best rivals by all that is known of them, which may be a hope alone."""
        belief = self.belief
        rivals = [
            c
            for c in self.archive.values()
            if c.key != self.incumbent.key and (c.key in self.hopes or self.table.scored(c, self.validation))
        ]
        rivals.sort(key=lambda c: (-belief.quality(c), c.key))
        return [self.incumbent, *rivals[: self.plan.finalists - 1]]

    @property
    def belief(self) -> Belief:
        """What all validation rows asked so far say of all candidates."""
        mark = self.table.calls, len(self.archive)
        if self._believed is None or self._believed[0] != mark:
            hopes = {c.key: self.hope(c) for c in self.archive.values()}
            self._believed = mark, Belief.of(self.table, self.archive.values(), self.validation, hopes)
        return self._believed[1]

    def hope(self, candidate: Candidate) -> float:
        """What is hoped of ``candidate``: its own hope, or that of the nearest ancestor that has one."""
        seen: set[str] = set()
        found: Candidate | None = candidate
        while found is not None and found.key not in seen:
            if (hope := self.hopes.get(found.key)) is not None:
                return hope
            seen.add(found.key)
            found = self.archive.get(found.parent)
        return 0.0

    def admit(self, candidate: Candidate) -> bool:
        """Take ``candidate`` into the archive; always True."""
        self.guard.admit(candidate)
        self.archive[candidate.key] = candidate
        return True

    def admitted(self, candidates: Iterable[Candidate], limit: int | None = None) -> list[Candidate]:
        """The first ``limit`` of our own ``candidates`` that the guard lets pass, taken into the archive."""
        passed = (c for c in candidates if self.guard.refuse(c, proposed=False) is None and self.admit(c))
        return list(islice(passed, limit))

    def report(self, candidate: Candidate) -> Report:
        """How ``candidate`` does on the train rows on which it was measured."""
        return analyse(self.table, candidate, self.train, self.contract)

    def race(self, field: Sequence[Candidate], *, last: bool = False) -> tuple[bool, list[Standing]]:
        """Race ``field`` with the incumbent on validation: whether it is improved on, and the standings.

        ``last``: nothing comes after it that calls would have to be kept back for.
        """
        standings = race(
            self.table,
            [self.incumbent, *field],
            self.fresh(),
            block=self.plan.block,
            max_rows=self.table.rows_left
            if last
            else max(0, min(self.spare_rows, 4 * (len(field) + 1) * self.plan.block)),
            protect=None if last else self.incumbent,
            allowed=self.allowed,
            settled=None if last else self._settled,
            belief=lambda: self.belief,
        )
        before = self.incumbent
        rivals = [s.candidate for s in standings if s.alive and s.candidate.key != before.key]
        better = [c for c in rivals if self.improves(c, before)]
        self.incumbent = max(better, key=self._promise, default=before)
        improved = self.incumbent is not before
        self.improved |= improved
        if not improved:
            enough = min(len(self.validation), 2 * self.plan.block)
            for rival in rivals:
                if choice.replaces(self.table, rival, self.incumbent, self.validation, enough=enough):
                    self.incumbent = rival
        self.confirm_perfect()
        return improved, standings

    def fail_share(self, candidate: Candidate) -> float:
        """Share of rows that ``candidate`` fails, on validation: its train rows were chosen for failures."""
        scored = self.table.scored(candidate, self.validation)
        return (sum(q < GOOD for q in scored) + 0.5) / (len(scored) + 1)

    def fresh(self) -> list[Example]:
        """Validation rows, those first that have decided least so far.

        An incumbent that won on some rows looks better on them than it is, and a challenger would have to
        beat its luck: so every race begins on rows that chose nobody yet.
        """
        if self.plan.rows < FRESH_FROM:
            return self.validation
        used = {
            e.id: sum(self.table.cell(c, e) is not None for c in self.archive.values())
            for e in self.validation
        }
        return sorted(self.validation, key=lambda e: used[e.id])

    def allowed(self, candidate: Candidate) -> bool:
        """Whether the gate's limits on cost and latency would let ``candidate`` pass."""
        return choice.admissible(self.problem, self.table, candidate, [*self.train, *self.validation])

    def improves(self, challenger: Candidate, incumbent: Candidate) -> bool:
        """Whether ``challenger`` is taken for better than ``incumbent``; not without a shared row."""
        gained = self.table.differences(challenger, incumbent, self.validation)
        lead = self.belief.difference(challenger, incumbent)
        return choice.improves(lead, gained, exhausted=len(gained) >= len(self.validation))

    def _settled(self, alive: Sequence[Candidate]) -> bool:
        """Whether a challenger is better than the incumbent beyond doubt, or none is likely to be."""
        rivals = [c for c in alive if c.key != self.incumbent.key]
        found = [self.belief.difference(c, self.incumbent).below(0.0) for c in rivals]
        asked = min((len(self.table.scored(c, self.validation)) for c in rivals), default=0)
        return not found or min(found) < SURE or (min(found) > VAIN and asked >= ENOUGH)

    def _promise(self, rival: Candidate) -> float:
        """How much better than the incumbent ``rival`` is at least, give or take a standard error."""
        found = self.belief.difference(rival, self.incumbent)
        return found.mean - 0.5 * math.sqrt(found.variance)

    def confirm_perfect(self) -> None:
        """Measure an incumbent without a single failure on the rest of validation: it may end the search."""
        while self.table.mean(self.incumbent, self.validation) == 1.0:
            rest = [e for e in self.validation if self.table.cell(self.incumbent, e) is None]
            asked = len(self.validation) - len(rest)
            chunk = rest[: min(self.plan.block, max(0, PERFECT_ROWS - asked))]
            if not chunk or not self.table.affordable([self.incumbent], chunk):
                return
            self.table.measure([self.incumbent], chunk)

    @property
    def perfect(self) -> bool:
        """Whether the incumbent answers every validation row well, or the first hundred of many.

        Few rows prove little: of less than fifty, a known failure on a train row says more.
        """
        if len(self.validation) < PERFECT_ROWS // 2 and self.report(self.incumbent).failed:
            return False
        asked = sum(self.table.cell(self.incumbent, e) is not None for e in self.validation)
        enough = asked >= min(len(self.validation), PERFECT_ROWS)
        return enough and self.table.mean(self.incumbent, self.validation) == 1.0

    @property
    def hopeless(self) -> bool:
        """Whether the best seed is less than halfway to the goal and no rewrite has mended a failure.

        A small search has nothing to save by giving up, and a large one can pay for more rewrites; where the
        reflection model failed, so that hardly one was tried, the target model is not to blame.
        """
        wanted = min(_MOST_VAIN, max(_VAIN, self.plan.rows // _ROWS_A_REWRITE))
        if self.plan.rows < FRESH_FROM or self.tried < wanted:
            return False
        quality = self.table.mean(self.incumbent, self.validation)
        return not self.improved and not self.mended and quality is not None and quality < 0.5 * self.goal


def expected_key(example: Example) -> str:
    """What rows are stratified by: their expected answer."""
    if example.expected is None:
        return ""
    return one_line(template.as_text(example.expected), 60).lower()
