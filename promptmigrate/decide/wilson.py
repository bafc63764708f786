"""Wilson's score interval for a share of independent rows (Wilson 1927, JASA 22:209-212)."""

from __future__ import annotations

import math


def wilson(successes: float, rows: float, *, confidence: float) -> tuple[float, float]:
    """Two-sided limits of a share; holds near 0 and 1 too. (0, 1) without rows."""
    from scipy.special import ndtri

    if rows <= 0:
        return 0.0, 1.0
    z = float(ndtri(0.5 + confidence / 2))
    share = successes / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(0.0, middle - half), min(1.0, middle + half)
