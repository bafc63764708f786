"""Repeats of one example are one measurement, not several: they are averaged inside the example.

Twelve runs of four tasks are four rows: counted as twelve, p = 1/16 becomes p = 1/4096. A clustered variance
would mostly save that, the mean does so by construction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def averaged(values: Sequence[float | None], *, least: int = 1) -> float | None:
    """The mean of the repeats that were measured; None with fewer than ``least`` of them.

    A repeat that failed is missing, never 0; those that worked stand for the example.
    """
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) >= least else None


def spread(repeats: Sequence[Sequence[float | None]]) -> float | None:
    """Standard deviation of one answer around its example's mean, pooled over examples.

    ``repeats`` holds one sequence per example. None where no example was measured twice.
    """
    squares, freedom = 0.0, 0
    for values in repeats:
        known = [value for value in values if value is not None]
        if len(known) > 1:
            mean = math.fsum(known) / len(known)
            squares += math.fsum((value - mean) ** 2 for value in known)
            freedom += len(known) - 1
    return math.sqrt(squares / freedom) if freedom else None
