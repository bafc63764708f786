"""Test rows as the gate sees them: both variants' numbers side by side, and which of them can be paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from promptmigrate.errors import DataError


@dataclass(frozen=True, kw_only=True)
class PairedRow:
    """One test row measured under production and under the candidate, repeats already averaged."""

    example: str
    """Id of the Example; unique."""
    cluster: str
    """The unit that was sampled as a whole (session or user); rows of one cluster may agree."""
    weight: float = 1.0
    baseline: float | None
    """Quality under production in [0, 1]; None is missing (infrastructure error or unscored), never 0."""
    candidate: float | None
    """Quality under the candidate, likewise."""
    baseline_cost_usd: float | None = None
    """USD per call; None where the price is not known."""
    candidate_cost_usd: float | None = None
    baseline_latency_s: float | None = None
    candidate_latency_s: float | None = None

    @property
    def paired(self) -> bool:
        """Whether quality was measured on both sides."""
        return self.baseline is not None and self.candidate is not None

    @property
    def difference(self) -> float:
        """Candidate minus production, in [-1, 1]; only for a :attr:`paired` row."""
        assert self.baseline is not None and self.candidate is not None
        return self.candidate - self.baseline


def check_rows(rows: Sequence[PairedRow]) -> None:
    """Refuse rows that would make any statistic meaningless.

    Raises:
        DataError: an example appears twice, a quality is outside [0, 1], or a weight, cost or latency is
            negative or not finite; with the 1-based row.
    """
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if row.example in seen:
            raise DataError(f"example {row.example!r} appears twice; average its repeats first", row=number)
        seen.add(row.example)
        if not (math.isfinite(row.weight) and row.weight > 0):
            raise DataError(f"weight is {row.weight!r}; it must be a positive number", row=number)
        for name in ("baseline", "candidate"):
            value = getattr(row, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise DataError(f"{name} quality is {value!r}; it must be within [0, 1] or None", row=number)
        for name in (
            "baseline_cost_usd",
            "candidate_cost_usd",
            "baseline_latency_s",
            "candidate_latency_s",
        ):
            value = getattr(row, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise DataError(f"{name} is {value!r}; it must be a number of at least 0 or None", row=number)
