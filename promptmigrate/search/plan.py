"""How many calls go where. Everything follows from the number of rows that the calls can pay."""

from __future__ import annotations

from dataclasses import dataclass

from promptmigrate.search.base import Problem


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes for one search; see :meth:`of`."""

    rows: int
    """(candidate, row) pairs that all calls together can pay."""
    block: int
    """Rows of one racing block."""
    shots: int
    """Demo sets tried on the best seed."""
    seed_rows: int
    """Pairs that seeds may use, screening and race together."""
    proposals: int
    """Proposals of one generation; one more for a second parent."""
    trial: int
    """Failing rows on which a proposal is tried first."""
    passing: int
    """Passing rows on which it is tried as well."""
    kept: int
    """Proposals that go on to validation."""
    finalists: int
    patience: int
    """Rounds without improvement after which the search stops."""
    failures: int
    """Failing train rows that are enough to write proposals from."""
    evidence: int
    """Blocks of train rows that may be measured in one round to find them."""

    @classmethod
    def of(cls, problem: Problem) -> Plan:
        """The plan for ``problem``.

        Blocks of 10 rows where there is money for at least 50 of them, down to 5. Seeds come first and
        take at most half: the mined contract and demos cost no reflection. The rest goes to generations.
        """
        rows = max(0, problem.calls) // problem.calls_per_row
        small = rows < 150
        block = min(max(5, min(10, rows // 100)), len(problem.validation))
        return cls(
            rows=rows,
            block=block,
            shots=1 if small else 2,
            seed_rows=max(rows // 2, min(rows, 3 * block)),
            proposals=2 if rows < 80 else 3,
            trial=4 if small else 6,
            passing=1 if small else 2,
            kept=1,
            finalists=2 if rows < 80 else 3,
            patience=2 if rows < 400 else 3 if rows < 900 else 5,
            failures=6 if rows < 400 else 8,
            evidence=4 if rows < 400 else 8,
        )

    def final_rows(self, validation: int) -> int:
        """Pairs kept back for the last comparison: a quarter or a seventh of all, or every row of them."""
        return min(
            self.finalists * validation,
            max(self.block, round((0.25 if self.rows < 300 else 0.15) * self.rows)),
        )
