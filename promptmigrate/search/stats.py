"""The paired test of the race, without scipy (which costs more to import than a whole race to compute)."""

from __future__ import annotations

import math
from collections.abc import Sequence


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
