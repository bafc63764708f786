"""Several hypotheses at once: Holm's step-down, and for each the confidence at which its interval decides.

Holm (1979), Scandinavian Journal of Statistics 6:65-70. It keeps the chance of even one false rejection at
the level, whatever the dependence between the tests: here all candidates meet the same production rows.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: to be compared with the level itself."""
    count = len(p_values)
    adjusted = [0.0] * count
    highest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: (p_values[i], i))):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def holm_confidence(p_values: Sequence[float], confidence: float) -> list[float]:
    """The two-sided confidence at which each interval excludes what Holm's test rejects, and nothing else.

    ``p_values`` are one-sided, tested at (1 - confidence) / 2. The k-th smallest meets its level divided by
    (count - k + 1); from the first that misses on, all keep that one's.
    """
    count, level = len(p_values), 1.0 - confidence
    found = [confidence] * count
    stopped: int | None = None
    for rank, index in enumerate(sorted(range(count), key=lambda i: (p_values[i], i))):
        divisor = count - (rank if stopped is None else stopped)
        found[index] = 1.0 - level / divisor if divisor > 1 else confidence
        if stopped is None and p_values[index] >= level / 2 / divisor:
            stopped = rank
    return found


def bonferroni_confidence(count: int, confidence: float) -> float:
    """The confidence of each of ``count`` intervals that all hold at once with ``confidence``."""
    return confidence if count <= 1 else 1.0 - (1.0 - confidence) / count
