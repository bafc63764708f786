"""The few statistics that agreement, bias and calibration of judges need, in the standard library."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its confidence interval; ``value`` is None where the data does not determine it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """How many rows it rests on."""
    confidence: float = 0.95
    method: str = ""
    """How the interval was made."""

    def __float__(self) -> float:
        return math.nan if self.value is None else self.value

    def __str__(self) -> str:
        if self.value is None:
            return f"not determined (n={self.n})"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (n={self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"

    def to_dict(self) -> dict[str, Any]:
        """The estimate as JSON values."""
        return {name: getattr(self, name) for name in ("value", "low", "high", "n", "confidence", "method")}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Estimate:
        """The estimate that :meth:`to_dict` wrote."""
        return cls(**given)


@cache
def normal_quantile(p: float) -> float:
    """The quantile of the standard normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def wilson(hits: float, n: float, *, confidence: float = 0.95) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927), which holds near 0 and 1 too."""
    if n <= 0:
        return Estimate(value=None, confidence=confidence, method="wilson")
    z = normal_quantile(0.5 + confidence / 2)
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if hits <= 0 else max(0.0, middle - half)
    high = 1.0 if hits >= n else min(1.0, middle + half)
    return Estimate(value=p, low=low, high=high, n=math.floor(n), confidence=confidence, method="wilson")


def labels_for_share(share: float, half_width: float, *, confidence: float = 0.95) -> int:
    """How many rows give Wilson's interval of ``share`` a half width of at most ``half_width``."""

    def wide(n: int) -> bool:
        found = wilson(share * n, n, confidence=confidence)
        assert found.low is not None and found.high is not None
        return (found.high - found.low) / 2 > half_width

    high = 1
    while wide(high) and high < 10_000_000:
        high *= 2
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def t_quantile(p: float, freedom: float) -> float:
    """The quantile of Student's t distribution, by bisection of its distribution function."""
    if p < 0.5:
        return -t_quantile(1 - p, freedom)
    low, high = 0.0, 1.0
    while _t_cdf(high, freedom) < p and high < 1e12:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _t_cdf(middle, freedom) < p else (low, middle)
    return (low + high) / 2


def _t_cdf(t: float, freedom: float) -> float:
    """For t >= 0, from the regularised incomplete beta function."""
    return 1 - 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) by its continued fraction (Abramowitz and Stegun 26.5.8, modified Lentz)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    tiny = 1e-300
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1 / max(tiny, 1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 500):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + step * d
            c = 1 + step / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return front * result / a


def slope(x: Sequence[float], y: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """The least-squares slope of ``y`` on ``x`` with an interval that allows unequal variances.

    The standard error is HC3 (MacKinnon and White 1985; as usual without their terms of order 1/n), the
    interval Student's t with n - 2 degrees of freedom. Not determined with fewer than 3 rows or without
    different ``x``.
    """
    n = len(x)
    undetermined = Estimate(value=None, n=n, confidence=confidence, method="least squares, HC3")
    if n < 3:
        return undetermined
    mean_x, mean_y = math.fsum(x) / n, math.fsum(y) / n
    spread = math.fsum((a - mean_x) ** 2 for a in x)
    if spread <= 0:
        return undetermined
    value = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    error = 0.0
    for a, b in zip(x, y, strict=True):
        leverage = 1 / n + (a - mean_x) ** 2 / spread
        if leverage > 1 - 1e-12:  # one row alone decides the slope
            return Estimate(value=value, n=n, confidence=confidence, method="least squares, HC3")
        rest = (b - mean_y - value * (a - mean_x)) / (1 - leverage)
        error += ((a - mean_x) * rest) ** 2
    half = t_quantile(0.5 + confidence / 2, n - 2) * math.sqrt(error) / spread
    return Estimate(
        value=value,
        low=value - half,
        high=value + half,
        n=n,
        confidence=confidence,
        method="least squares, HC3",
    )


def pearson(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's correlation; None if one side does not vary."""
    n = len(x)
    if n < 2:
        return None
    mean_x, mean_y = math.fsum(x) / n, math.fsum(y) / n
    xx = math.fsum((a - mean_x) ** 2 for a in x)
    yy = math.fsum((b - mean_y) ** 2 for b in y)
    xy = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return None if xx <= 0 or yy <= 0 else max(-1.0, min(1.0, xy / math.sqrt(xx * yy)))


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None if one side does not vary."""
    return pearson(_ranks(x), _ranks(y))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda i: values[i])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    return ranks


def bootstrap(
    clusters: Sequence[Sequence[_Row]],
    statistic: Callable[[Sequence[_Row]], float | None],
    *,
    resamples: int,
    seed: int,
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """The percentile interval of ``statistic`` over resampled ``clusters`` of rows.

    As in Efron and Tibshirani (1993, An Introduction to the Bootstrap, chapter 13). None if the
    statistic was undetermined in more than a tenth of the resamples.
    """
    import random

    chance = random.Random(seed)  # noqa: S311 - no secret: the same seed must give the same interval
    found: list[float] = []
    for _ in range(resamples):
        rows = [row for cluster in chance.choices(clusters, k=len(clusters)) for row in cluster]
        value = statistic(rows)
        if value is not None:
            found.append(value)
    if not found or len(found) < 0.9 * resamples:
        return None
    found.sort()
    tail = (1 - confidence) / 2
    last = len(found) - 1
    return found[math.floor(tail * last)], found[math.ceil((1 - tail) * last)]
