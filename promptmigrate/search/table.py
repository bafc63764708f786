"""What was measured, and the logical calls it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptmigrate.errors import PromptMigrateError
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.stats import mean
from promptmigrate.types import Example, Outcome


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one scorer said of an answer."""

    scorer: str
    value: float | None
    kind: str
    rationale: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One candidate's answer to one example. ``quality`` None: missing, say after an infrastructure error."""

    quality: float | None
    text: str
    cut: bool
    """The answer ended at the token limit."""
    cost_usd: float | None
    latency_s: float | None
    tokens: int
    findings: tuple[Finding, ...]


class OutOfCallsError(PromptMigrateError):
    """A measurement was asked for that the planned calls cannot pay: a mistake of the search itself."""


class Table:
    """Cells by (candidate, example), and the count of logical calls.

    A pair is evaluated once: asking for it again is free and gives the same cell. Every evaluated pair costs
    ``calls_per_row`` whether or not the call cache had it, so a resumed search counts as the first one did.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._cells: dict[tuple[str, str], Cell] = {}
        self.calls = 0

    @property
    def left(self) -> int:
        """Logical calls left."""
        return self._problem.calls - self.calls

    @property
    def rows_left(self) -> int:
        """How many (candidate, row) pairs the calls left can pay."""
        return max(0, self.left) // self._problem.calls_per_row

    def missing(self, candidates: Iterable[Candidate], examples: Sequence[Example]) -> int:
        """How many pairs of the grid are not measured yet."""
        candidates = list(candidates)
        self._take_known(candidates, examples)
        return sum((c.key, e.id) not in self._cells for c in candidates for e in examples)

    def affordable(
        self, candidates: Iterable[Candidate], examples: Sequence[Example], *, spare: int = 0
    ) -> bool:
        """Whether the grid can be measured with ``spare`` rows left over."""
        return self.missing(candidates, examples) + spare <= self.rows_left

    def charge(self, calls: int) -> None:
        """Count ``calls`` that are about to be made.

        Raises:
            OutOfCallsError: they would go over the plan.
        """
        if calls > self.left:
            raise OutOfCallsError(
                f"the search wanted {calls} calls with {self.left} of {self._problem.calls} left"
            )
        self.calls += calls

    def measure(self, candidates: Sequence[Candidate], examples: Sequence[Example]) -> None:
        """Measure what is missing of the grid; candidates that lack the same rows go together.

        Raises:
            OutOfCallsError: see :meth:`charge`.
            BudgetExceeded: from the problem's ``evaluate``.
        """
        self._take_known(candidates, examples)
        batches: dict[tuple[str, ...], dict[str, Candidate]] = {}
        for candidate in candidates:
            lacking = tuple(e.id for e in examples if (candidate.key, e.id) not in self._cells)
            if lacking:
                batches.setdefault(lacking, {})[candidate.key] = candidate
        by_id = {e.id: e for e in examples}
        for ids, group in batches.items():
            rows = [by_id[i] for i in ids]
            members = list(group.values())
            self.charge(len(rows) * len(members) * self._problem.calls_per_row)
            result = self._problem.evaluate([c.variant for c in members], rows)
            for candidate in members:
                for row in rows:
                    quality = result.quality(candidate.variant, row)
                    outcome = result.outcome(candidate.variant, row)
                    self._cells[candidate.key, row.id] = _cell(quality, outcome)

    def _take_known(self, candidates: Iterable[Candidate], examples: Sequence[Example]) -> None:
        known = self._problem.known
        if known is None:
            return
        for candidate in candidates:
            for example in examples:
                pair = candidate.key, example.id
                if (
                    pair not in self._cells
                    and (outcome := known.outcome(candidate.variant, example)) is not None
                ):
                    self._cells[pair] = _cell(known.quality(candidate.variant, example), outcome)

    def cell(self, candidate: Candidate, example: Example) -> Cell | None:
        """The measured cell, or None."""
        return self._cells.get((candidate.key, example.id))

    def quality(self, candidate: Candidate, example: Example) -> float | None:
        """Quality of one pair; None if not measured or missing."""
        cell = self.cell(candidate, example)
        return cell.quality if cell else None

    def scored(self, candidate: Candidate, examples: Iterable[Example]) -> list[float]:
        """The known qualities of ``candidate`` on ``examples``."""
        return [q for e in examples if (q := self.quality(candidate, e)) is not None]

    def mean(self, candidate: Candidate, examples: Iterable[Example]) -> float | None:
        """Mean quality over the scored rows; None without any."""
        scored = self.scored(candidate, examples)
        return mean(scored) if scored else None

    def differences(self, a: Candidate, b: Candidate, examples: Iterable[Example]) -> list[float]:
        """Quality of ``a`` minus ``b`` on the rows where both are known: missing rows leave no pair."""
        pairs = ((self.quality(a, e), self.quality(b, e)) for e in examples)
        return [x - y for x, y in pairs if x is not None and y is not None]

    def cells(self, candidate: Candidate, examples: Iterable[Example]) -> list[Cell]:
        """The measured and scored cells."""
        found = (self.cell(candidate, e) for e in examples)
        return [c for c in found if c is not None and c.quality is not None]

    def cost(self, candidate: Candidate, examples: Iterable[Example]) -> float | None:
        """Mean USD per call; None if unknown."""
        costs = [c.cost_usd for c in self.cells(candidate, examples)]
        known = [c for c in costs if c is not None]
        return mean(known) if known and len(known) == len(costs) else None

    def latency(self, candidate: Candidate, examples: Iterable[Example]) -> float | None:
        """Mean seconds per call; None if unknown."""
        known = [c.latency_s for c in self.cells(candidate, examples) if c.latency_s is not None]
        return mean(known) if known else None

    def prices(self, candidates: Sequence[Candidate], examples: Sequence[Example]) -> list[float]:
        """What a call costs, in one unit for all: USD where known for all, else tokens, else characters."""
        costs = [self.cost(c, examples) for c in candidates]
        if all(cost is not None and cost > 0 for cost in costs):
            return [cost or 0.0 for cost in costs]
        cells = [self.cells(c, examples) for c in candidates]
        if all(row and all(cell.tokens for cell in row) for row in cells):
            return [mean([float(cell.tokens) for cell in row]) for row in cells]
        return [float(sum(len(m.content) for m in c.prompt.messages)) for c in candidates]


def _cell(quality: float | None, outcome: Outcome | None) -> Cell:
    if outcome is None or not outcome.reply.answered:
        return Cell(quality=None, text="", cut=False, cost_usd=None, latency_s=None, tokens=0, findings=())
    reply = outcome.reply
    return Cell(
        quality=quality,
        text=reply.text or "",
        cut=reply.kind == "truncated",
        cost_usd=reply.cost_usd,
        latency_s=reply.latency_s or None,
        tokens=reply.input_tokens + reply.output_tokens,
        findings=tuple(
            Finding(
                scorer=score.name,
                value=score.value,
                kind=str(score.evidence.get("kind") or ""),
                rationale=score.rationale,
            )
            for score in outcome.scores
        ),
    )
