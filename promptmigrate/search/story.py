"""What a search tells: its rounds, and why it ended."""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import CandidateRecord, Generation, Phase, Problem, StopCode
from promptmigrate.search.racing import Standing
from promptmigrate.search.table import Table
from promptmigrate.types import Example


class Story:
    """Rounds and the reason of the end, in the order in which they come."""

    def __init__(self, problem: Problem, table: Table, rows: Sequence[Example]) -> None:
        self._problem, self._table, self._rows = problem, table, rows
        self.generations: list[Generation] = []
        self.code: StopCode | None = None
        self.why = ""

    def stop(self, code: StopCode, why: str) -> None:
        """Remember why the search ends; the first reason counts."""
        if self.code is None:
            self.code, self.why = code, why

    def record(
        self,
        phase: Phase,
        incumbent: Candidate,
        standings: Sequence[Standing],
        others: Sequence[CandidateRecord] = (),
    ) -> None:
        """Add a round: who raced, and ``others`` that were refused or dropped before."""
        records = [self._raced(standing, incumbent) for standing in standings]
        self.generations.append(
            Generation(
                index=len(self.generations),
                phase=phase,
                candidates=(*records, *others),
                best=incumbent.variant,
                quality=self._table.mean(incumbent, self._rows),
                calls=self._table.calls,
            )
        )
        self.tell(f"{phase}: best is {incumbent.origin}", incumbent, self._rows)

    def tell(self, what: str, candidate: Candidate, rows: Sequence[Example]) -> None:
        """Log a candidate's quality."""
        scored = self._table.scored(candidate, rows)
        quality = f"{sum(scored) / len(scored):.2f} on {len(scored)} rows" if scored else "not measured"
        self._problem.log(f"{what}: {quality} ({self._table.calls} of {self._problem.calls} calls)")

    def _raced(self, standing: Standing, incumbent: Candidate) -> CandidateRecord:
        candidate = standing.candidate
        scored = self._table.scored(candidate, self._rows)
        fate = "kept" if standing.alive else "eliminated"
        return CandidateRecord(
            variant=candidate.variant,
            origin=candidate.origin,
            parent=candidate.parent,
            quality=self._table.mean(candidate, self._rows) if scored else standing.quality,
            rows=len(scored) or standing.rows,
            fate="incumbent" if candidate.key == incumbent.key else fate,
            note=candidate.note,
        )
