"""What the rounds of the reflective strategy share: rows, table, archive, incumbent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from promptmigrate import template
from promptmigrate.search import choice
from promptmigrate.search.anatomy import Anatomy, Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.contract import mine
from promptmigrate.search.failures import Report, analyse
from promptmigrate.search.guard import Guard
from promptmigrate.search.plan import Plan
from promptmigrate.search.racing import ALPHA, Standing, race, stratified
from promptmigrate.search.seeds import Seeds
from promptmigrate.search.stats import mean, paired_p
from promptmigrate.search.story import Story
from promptmigrate.search.table import Table
from promptmigrate.search.text import one_line
from promptmigrate.types import Example

PERFECT_ROWS = 100
"""Validation rows without a failure that end the search: more would hardly find one."""
_LEVEL_ROWS = 10
"""Shared validation rows from which being level with the incumbent means something."""


class State:
    """One search: its incumbent, everything that was measured, and what every kind of round does."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.plan = Plan.of(problem)
        self.table = Table(problem)
        self.contract = mine((*problem.train, *problem.validation))
        self.seeds = Seeds(problem, Anatomy.of(problem.original.prompt), self.contract)
        self.guard = Guard(problem.original.prompt, max_tokens=problem.max_prompt_tokens, train=problem.train)
        self.original = self.seeds.original()
        self.incumbent = self.original
        self.archive: dict[str, Candidate] = {}
        self.validation = stratified(problem.validation, seed=problem.seed, stratum=expected_key)
        # Rows quoted as demos come last: a candidate that quotes them cannot be judged on them.
        reserved = {d.example for d in self.seeds.demos(max(4, len(problem.train) // 5))}
        self.train = stratified(problem.train, seed=problem.seed, stratum=expected_key)
        self.train.sort(key=lambda e: e.id in reserved)
        self.free = [e for e in self.train if e.id not in reserved]
        self.trials: dict[str, list[Example]] = {}
        """The rows whose failures a proposal was written from, by candidate."""
        self.improved = False
        """Whether any round has improved on the seeds."""
        self.story = Story(problem, self.table, self.validation)

    @property
    def goal(self) -> float:
        """The quality to reach."""
        return 1.0 if self.problem.goal is None else self.problem.goal

    @property
    def spare_rows(self) -> int:
        """Rows left for rounds: the last comparison's are kept back."""
        return self.table.rows_left - self.plan.final_rows(len(self.validation))

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

    def race(self, field: Sequence[Candidate]) -> tuple[bool, list[Standing]]:
        """Race ``field`` with the incumbent on validation: whether it is improved on, and the standings."""
        standings = race(
            self.table,
            [self.incumbent, *field],
            self.validation,
            block=self.plan.block,
            max_rows=max(0, min(self.spare_rows, 2 * (len(field) + 1) * self.plan.block)),
            protect=self.incumbent,
            allowed=self.allowed,
        )
        before = self.incumbent
        rivals = [s.candidate for s in standings if s.alive and s.candidate.key != before.key]
        for rival in rivals:
            level = self.incumbent is before and self._mends(rival)
            if level or choice.improves(self.table, rival, self.incumbent, self.validation):
                self.incumbent = rival
        improved = self.incumbent is not before
        self.improved |= improved
        if not improved:
            enough = min(len(self.validation), 2 * self.plan.block)
            for rival in rivals:
                if choice.replaces(self.table, rival, self.incumbent, self.validation, enough=enough):
                    self.incumbent = rival
        self.confirm_perfect()
        return improved, standings

    def allowed(self, candidate: Candidate) -> bool:
        """Whether the gate's limits on cost and latency would let ``candidate`` pass."""
        return choice.admissible(self.problem, self.table, candidate, [*self.train, *self.validation])

    def _mends(self, rival: Candidate) -> bool:
        """Level with the incumbent on validation, and clearly better on the failures it was written from.

        One new rule touches a few rows in a hundred: a block of validation cannot show its gain, only that
        it does no harm.
        """
        shared = self.table.differences(rival, self.incumbent, self.validation)
        mended = self.table.differences(rival, self.incumbent, self.trials.get(rival.key, []))
        enough = min(len(self.validation), _LEVEL_ROWS)
        return len(shared) >= enough and mean(shared) >= 0 and paired_p(mended) < ALPHA

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
        """Whether the incumbent answers every validation row well, or the first hundred of many."""
        asked = sum(self.table.cell(self.incumbent, e) is not None for e in self.validation)
        enough = asked >= min(len(self.validation), PERFECT_ROWS)
        return enough and self.table.mean(self.incumbent, self.validation) == 1.0

    @property
    def hopeless(self) -> bool:
        """Whether the best seed is less than halfway to the goal and no round has improved on it."""
        quality = self.table.mean(self.incumbent, self.validation)
        return not self.improved and quality is not None and quality < 0.5 * self.goal


def expected_key(example: Example) -> str:
    """What rows are stratified by: their expected answer."""
    if example.expected is None:
        return ""
    return one_line(template.as_text(example.expected), 60).lower()
