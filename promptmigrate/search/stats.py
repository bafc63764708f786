"""The paired test of the race, without scipy (which costs more to import than a whole race to compute)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; ``values`` must not be empty."""
    return math.fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float:
    """Standard error of the mean (0 for fewer than two values)."""
    n = len(values)
    if n < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (n - 1) / n)


def t_tail(t: float, freedom: int) -> float:
    """P(T > t) for Student's t, by the incomplete beta function (Abramowitz and Stegun 26.7.1)."""
    x = freedom / (freedom + t * t)
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, x)
    return tail if t >= 0 else 1 - tail


def paired_p(differences: Sequence[float]) -> float:
    """One-sided p-value that the true mean of paired ``differences`` is not above 0.

    Student's t over the pairs. Where all differences are equal the t statistic is undefined: then the sign
    test, 2 to the power of -n. Fewer than three pairs decide nothing (1.0).
    """
    n = len(differences)
    if n < 3:
        return 1.0
    centre, error = mean(differences), standard_error(differences)
    if error < 1e-12:
        return 2.0**-n if centre > 1e-12 else 1.0
    return t_tail(centre / error, n - 1)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and its variance."""

    mean: float
    variance: float

    @property
    def p_above(self) -> float:
        """One-sided p-value that the truth is not above 0 (normal)."""
        return self.below(0.0)

    def below(self, bound: float) -> float:
        """Probability, after normal theory, of such a mean where the truth is at most ``bound``."""
        return 0.5 * math.erfc((self.mean - bound) / math.sqrt(2 * self.variance))


def estimate(differences: Sequence[float], *, scale: float = 1.0) -> Estimate:
    """The mean of paired ``differences``, with half a gain and half a loss of size ``scale`` added.

    Few pairs that all agree have no variance, but are no certainty either (Agresti and Min 2005, Statistics
    in Medicine 24:729, for matched proportions; here for differences of any size).
    """
    n, total = len(differences), math.fsum(differences)
    squares = math.fsum(d * d for d in differences) + scale * scale
    return Estimate(mean=total / (n + 2), variance=(squares - total * total / (n + 2)) / (n + 2) ** 2)


def pooled(a: Estimate, b: Estimate) -> Estimate:
    """Two independent estimates of the same mean, weighted by their precision."""
    total = 1 / a.variance + 1 / b.variance
    return Estimate(mean=(a.mean / a.variance + b.mean / b.variance) / total, variance=1 / total)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta I_x(a, b) by Lentz's continued fraction (Numerical Recipes 6.4)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 300):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + numerator / c
            c = c if abs(c) > tiny else tiny
            value *= d * c
        if abs(d * c - 1.0) < 1e-12:
            break
    return front * value / a


def rows_to_exclude(loss: float, confidence: float) -> int:
    """Pairs without any difference from which a mean loss of ``loss`` is excluded (see :func:`estimate`)."""
    rows = 1
    while estimate([0.0] * rows).below(-loss) >= 1 - confidence:
        rows += 1
    return rows
