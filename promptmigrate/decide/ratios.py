"""Ratios of cost and of latency quantiles, with clustered bootstrap intervals.

Clusters are drawn with replacement and both variants of a row stay together (Davison & Hinkley 1997,
Bootstrap Methods and their Application, chapter 3); percentile interval (Efron & Tibshirani 1993, chapter
13); the seed is the caller's. For the 95th percentile of few rows (under about 60) the interval is too
narrow, since a resample never exceeds the largest value seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

_RESAMPLES = 2000
_CELLS = 2_000_000
"""Cells of one block of resamples: bounds memory to some 50 MB however many rows there are."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Candidate over baseline."""

    baseline: float
    candidate: float
    ratio: float | None
    """None where the baseline is 0."""
    interval: tuple[float, float] | None
    rows: int


def quantile(values: Sequence[float], q: float, weights: Sequence[float] | None = None) -> float:
    """The smallest value that at least a share ``q`` of the weight does not exceed (inverted CDF)."""
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    return float(_quantiles(x[order], w[order][None, :], q)[0])


def mean_ratio(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    clusters: Sequence[str],
    weights: Sequence[float],
    confidence: float,
    seed: int,
) -> Ratio:
    """Ratio of weighted means."""
    import numpy as np

    sides = np.asarray([baseline, candidate], dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    means = (sides * w).sum(axis=1) / w.sum()
    labels = np.unique(np.asarray(clusters), return_inverse=True)[1]
    sums = np.stack([np.bincount(labels, weights=w * side) for side in sides], axis=1)

    def resample(draws: Floats) -> tuple[Floats, Floats]:
        totals = draws @ sums
        return totals[:, 0], totals[:, 1]

    return _ratio(float(means[0]), float(means[1]), clusters, confidence, seed, resample)


def quantile_ratio(
    baseline: Sequence[float],
    candidate: Sequence[float],
    q: float,
    *,
    clusters: Sequence[str],
    weights: Sequence[float],
    confidence: float,
    seed: int,
) -> Ratio:
    """Ratio of weighted ``q`` quantiles."""
    import numpy as np

    sides = [np.asarray(side, dtype=np.float64) for side in (baseline, candidate)]
    w = np.asarray(weights, dtype=np.float64)
    orders = [np.argsort(side, kind="stable") for side in sides]
    labels = np.unique(np.asarray(clusters), return_inverse=True)[1]

    def resample(draws: Floats) -> tuple[Floats, Floats]:
        drawn = draws[:, labels] * w
        first, second = (
            _quantiles(side[order], drawn[:, order], q) for side, order in zip(sides, orders, strict=True)
        )
        return first, second

    return _ratio(
        quantile(baseline, q, weights), quantile(candidate, q, weights), clusters, confidence, seed, resample
    )


def _quantiles(ascending: Floats, weights: Floats, q: float) -> Floats:
    """One quantile of ``ascending`` for each row of ``weights`` (resamples x values)."""
    import numpy as np

    cumulated = np.cumsum(weights, axis=1)
    reached = cumulated >= q * cumulated[:, -1:] * (1.0 - 1e-12)
    found: Floats = ascending[reached.argmax(axis=1)]
    return found


def _ratio(
    baseline: float,
    candidate: float,
    clusters: Sequence[str],
    confidence: float,
    seed: int,
    resample: Callable[[Floats], tuple[Floats, Floats]],
) -> Ratio:
    """``resample`` maps draws (resamples x clusters, how often each was drawn) to both statistics."""
    import numpy as np

    labels = np.unique(np.asarray(clusters), return_inverse=True)[1]
    count = int(labels.max()) + 1
    if baseline <= 0 or count < 2:
        ratio = candidate / baseline if baseline > 0 else None
        return Ratio(baseline=baseline, candidate=candidate, ratio=ratio, interval=None, rows=len(labels))
    generator = np.random.default_rng(seed)
    ratios: list[Floats] = []
    block = max(1, _CELLS // len(labels))
    for start in range(0, _RESAMPLES, block):
        size = min(block, _RESAMPLES - start)
        draws = generator.multinomial(count, np.full(count, 1.0 / count), size=size)
        below, above = resample(draws.astype(np.float64))
        ratios.append(np.divide(above, below, out=np.full_like(above, np.inf), where=below > 0))
    low, high = np.quantile(
        np.concatenate(ratios), [0.5 - confidence / 2, 0.5 + confidence / 2], method="inverted_cdf"
    )
    interval = (float(low), float(high)) if np.isfinite(high) else None
    return Ratio(
        baseline=baseline,
        candidate=candidate,
        ratio=candidate / baseline,
        interval=interval,
        rows=len(labels),
    )
