"""Interval for the mean of clustered values that lie between known bounds; never of zero width.

A t interval trusts the spread it happened to see. Forty rows without any difference have none, so it would
"prove" any margin; and where a candidate breaks 2 % of rows, the samples in which few broken rows turned up
are exactly those that look steady. So the variance is not taken from the sample as it is but from the sample
re-weighted until its mean is the value under test, with the worst possible row (a lower bound nobody
observed) allowed to carry weight: the nonparametric likelihood closest to the data under that hypothesis.

- 0/1 values: this is Wilson's score interval (Wilson 1927, JASA 22:209-212).
- paired 0/1 differences: the score interval for matched pairs of Tango (1998, Statistics in Medicine
  17:891-908), the standard for non-inferiority with pairs. The simpler adjustment of Agresti & Min (2005,
  Statistics in Medicine 24:729-740) widens too little at the margin: where a candidate breaks exactly the
  tolerated share of rows and mends none, it passes 10-14 % of them (tests/decide/test_interval.py).
- anything else in the bounds: empirical likelihood under a mean constraint (Owen 1988, Biometrika
  75:237-249; Qin & Lawless 1994, Annals of Statistics 22:300-325) plus an atom at the bound.

Clusters: the variance is inflated by the design effect, with doubt about what was not seen
(:mod:`promptmigrate.decide.design_effect`), and is at least that of whole clusters re-weighted until their
mean is the value under test (empirical likelihood over clusters, as above over rows). Where clusters that
break are few and large the distribution of the mean is skewed, and an estimate that does not know the
hypothesis is small in just the samples that look good.
Student's t has G* - 1 degrees of freedom, G* = W^2 / sum W_g^2 being the equivalent number of clusters, which
is G for equal ones: the "equivalent sample size" of Potthoff, Woodbury & Manton (1992, JASA 87) for clusters
in place of rows, less one in place of their "equivalent degrees of freedom". (That of Carter, Schnepel &
Steigerwald 2017, Review of Economics and Statistics 99:698-709, is smaller where clusters move as one.)

What clusters cost. A candidate that breaks 5 % of the groups whole is unseen in 40 groups once in 8 times, in
67 once in 31, in 100 once in 170; a rule that promotes such samples whenever they look good cannot keep a
level of 2.5 % with fewer than 72 groups. So a candidate that is as good as production and differs on single
rows (6-8 % of them) passes a margin of five points less often than by a rule that takes the rows at their
word and ships 3-11 % of the bad ones: in 40 groups of ten one time in twenty as often, in 40 of five one in
four, in 67 of three three in four, in 100 of three or four one in fifteen less. Where rows of a group are
copies of each other nothing changes: one broken row of 141 in groups of three counts as one of 60, and the
interval reaches 7.6 points down.

What remains: where hardly a row differs but some do, and groups that break whole are unseen a little more
often than 2.5 % of the time (67 groups of ten and five points, 30 groups of ten and ten points), 2.8-3.5 % of
such candidates pass; the gate warns where so few groups could hide so much. benchmarks/level.py draws worlds.

On fifteen groups or fewer the far end of the interval may reach the bound. No shorter interval was found that
holds: where a tenth or a fifth of 6 to 15 groups breaks whole, the wild cluster bootstrap-t with Webb's six
weights (Webb 2023, Canadian Journal of Economics 56:839-858) and flipped signs both pass 3-52 % of what is
worse by the margin, most often on the fewest groups, since samples without a broken group have no spread to
draw from; they hold (2-4 %) only where groups differ by normal noise. This one passes none of either.

Consequence to know: an interval reaches at least about 4/n below a mean of n identical values, so a margin
of 2 points cannot be proven with fewer than about 190 rows in which nothing changes (5 points: 77).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from promptmigrate.decide.design_effect import DesignEffect, design_effect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

_ROUNDING = 1e-12
_NO_MARGIN = 0.01
"""From here up to 0, a tested mean is more and more one that asks for a gain."""
_EDGE = 1e-10
"""How close to its ends the search for a limit goes, relative to the width of the bounds."""


@dataclass(frozen=True, kw_only=True)
class BoundedMean:
    """A weighted mean of clustered values in [lower, upper], and what its interval is made of."""

    mean: float
    lower: float
    upper: float
    rows: int
    clusters: int
    effective_rows: float
    """Kish: (sum w)^2 / sum w^2; the number of rows when all weights are equal."""
    effective_clusters: float
    inflation: DesignEffect
    values: tuple[float, ...]
    """Distinct values, ascending."""
    shares: tuple[float, ...]
    """Share of the weight at each distinct value."""
    groups: tuple[tuple[float, float], ...] = ()
    """Sum and weight of each cluster; empty where each row is one."""

    @property
    def df(self) -> float:
        """Degrees of freedom of Student's t; 0 or less where no interval exists."""
        return self.effective_clusters - 1.0

    @property
    def design_effect(self) -> float:
        """Variance of the mean, as seen, relative to independent rows."""
        return self.inflation.seen

    @cached_property
    def variance(self) -> float:
        """Variance of one row around the mean."""
        return sum(p * (x - self.mean) ** 2 for x, p in zip(self.values, self.shares, strict=True))

    def null_variance(self, mean: float) -> float:
        """Variance of one row if the true mean were ``mean`` (strictly inside the bounds)."""
        return self._tilted(mean).variance

    def _tilted(self, mean: float) -> _Spread:
        """The spread of one row if the true mean were ``mean``, and of what lies on its far side."""
        import numpy as np

        values, shares = np.asarray(self.values), np.asarray(self.shares)
        if mean <= self.mean:
            return _constrained(values, shares, mean, self.lower)
        return _constrained(-values[::-1], shares[::-1], -mean, -self.upper)

    def inflated_variance(self, mean: float | None = None, *, growth: float = 1.0) -> float:
        """Variance of one row times the design effect, as observed or if the true mean were ``mean``.

        ``growth``: as it would be with that many times as many rows.
        """
        if mean is None or abs(mean - self.mean) <= _ROUNDING:
            return self.variance * self.design_effect
        import numpy as np

        off = (np.asarray(self.values) - self.mean) * (1.0 if mean < self.mean else -1.0)
        null = self._tilted(mean)
        inflated = self.inflation.null_variance(
            null=null.variance,
            added=max(0.0, null.far - _far(np.asarray(self.shares), off)),
            gap=mean - self.mean,
            rows=self.effective_rows,
            strict=self._strict(mean),
            growth=growth,
        )
        return max(inflated, self._by_clusters(mean))

    def _strict(self, mean: float) -> float:
        """How far ``mean`` asks for a gain (from below) or a loss (from above) of differences."""
        if not self.lower < 0.0 < self.upper:
            return 0.0
        side = 1.0 if mean < self.mean else -1.0
        return min(1.0, max(0.0, 1.0 + side * mean / _NO_MARGIN))

    def _by_clusters(self, mean: float) -> float:
        """Variance of one row, inflated, by whole clusters re-weighted until their mean is ``mean``."""
        import numpy as np

        if not self.groups:
            return 0.0
        sums, weights = np.asarray(self.groups).T
        total = float(weights.sum())
        off = np.sort((sums - mean * weights) * (1.0 if mean < self.mean else -1.0))
        count = off.size
        variance = _constrained(off, np.full(count, 1.0 / count), 0.0, float(off[0])).variance
        return variance * count / total**2 * self.effective_rows

    def standard_error(self, mean: float | None = None) -> float:
        """Standard error of the mean, as observed or if the true mean were ``mean``."""
        return math.sqrt(self.inflated_variance(mean) / self.effective_rows)

    def p_greater(self, mean: float) -> float:
        """One-sided p-value against "the true mean is ``mean`` or less"."""
        return self._tail(mean, sign=-1.0)

    def p_less(self, mean: float) -> float:
        """One-sided p-value against "the true mean is ``mean`` or more"."""
        return self._tail(mean, sign=1.0)

    def _tail(self, mean: float, *, sign: float) -> float:
        from scipy.special import stdtr

        if not self.lower < mean < self.upper:
            raise ValueError(f"the tested mean {mean} must lie between {self.lower} and {self.upper}")
        if self.df <= 0:
            return 1.0
        distance = self.mean - mean
        statistic = distance / self.standard_error(mean) if abs(distance) > 1e-12 else 0.0
        return float(stdtr(self.df, sign * statistic))

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Two-sided limits: all means that a one-sided test at (1 - confidence) / 2 does not exclude.

        None where fewer than two clusters leave nothing to judge by.
        """
        from scipy.special import stdtrit

        if self.df <= 0:
            return None
        critical = float(stdtrit(self.df, 0.5 + confidence / 2))
        return self._limit(critical, below=True), self._limit(critical, below=False)

    def _limit(self, critical: float, *, below: bool) -> float:
        from scipy.optimize import brentq

        edge = _EDGE * (self.upper - self.lower)
        end = self.lower if below else self.upper
        far, near = (end + edge, self.mean - edge) if below else (end - edge, self.mean + edge)

        def excess(mean: float) -> float:
            return abs(self.mean - mean) - critical * self.standard_error(mean)

        if abs(self.mean - end) <= 2 * edge or excess(far) <= 0:
            return end
        if excess(near) >= 0:  # only by rounding: the null variance is positive away from the mean
            return near
        return float(brentq(excess, far, near, xtol=1e-9))


def bounded_mean(
    values: Sequence[float],
    *,
    lower: float,
    upper: float,
    clusters: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
) -> BoundedMean:
    """The weighted mean of ``values``, ready to give intervals and p-values.

    ``clusters`` names each value's cluster (None: each its own), ``weights`` defaults to 1.

    Raises:
        ValueError: no values, or a value outside the bounds.
    """
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    if x.size == 0 or not (np.all(x >= lower) and np.all(x <= upper)):
        raise ValueError(f"needs at least one value, all within [{lower}, {upper}]")
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    labels = (
        np.arange(x.size) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    )
    total = float(w.sum())
    mean = float(np.clip((w * x).sum() / total, lower, upper))
    cluster_weights = np.bincount(labels, weights=w)
    effective_rows = total**2 / float((w**2).sum())
    effective_clusters = total**2 / float((cluster_weights**2).sum())
    distinct, inverse = np.unique(x, return_inverse=True)
    shares = np.bincount(inverse, weights=w) / total
    return BoundedMean(
        mean=mean,
        lower=lower,
        upper=upper,
        rows=int(x.size),
        clusters=int(cluster_weights.size),
        effective_rows=effective_rows,
        effective_clusters=effective_clusters,
        inflation=design_effect(x - mean, w, labels, unit=max(abs(lower), abs(upper))),
        values=tuple(distinct.tolist()),
        shares=tuple(shares.tolist()),
        groups=()
        if cluster_weights.size == x.size
        else tuple(zip(np.bincount(labels, weights=w * x).tolist(), cluster_weights.tolist(), strict=True)),
    )


class _Spread(NamedTuple):
    """Second moment around the mean of a distribution, and the part of it that lies below."""

    variance: float
    far: float


def _constrained(values: Floats, shares: Floats, mean: float, bound: float) -> _Spread:
    """Spread of the likeliest distribution with the given ``mean``, which is not above the observed one.

    Maximises sum(shares * log p) subject to the mean, over the ascending ``values`` and ``bound`` (the least
    possible value). By Lagrange p = share / (1 + l (x - mean)); where even the largest l that keeps weights
    positive does not pull the mean down far enough, the bound takes the rest of the probability.
    """
    from scipy.optimize import brentq

    away = values - mean
    if values[0] > bound:
        p = shares * (mean - bound) / (values - bound)
        rest = 1.0 - float(p.sum())
        if rest >= 0.0:
            unseen = rest * (bound - mean) ** 2
            return _Spread(float((p * away**2).sum()) + unseen, _far(p, away) + unseen)
    if away[0] >= 0.0:  # nothing lies below the mean, as where all groups are above it: at least this much
        return _Spread(float((shares * away**2).sum()), 0.0)

    def pull(multiplier: float) -> float:
        return float((shares * away / (1.0 + multiplier * away)).sum())

    largest = -1.0 / float(away[0]) * (1.0 - 1e-12)
    multiplier = brentq(pull, 0.0, largest, xtol=1e-12) if pull(largest) < 0.0 else largest
    p = shares / (1.0 + multiplier * away)
    p /= p.sum()
    return _Spread(float((p * away**2).sum()), _far(p, away))


def _far(shares: Floats, away: Floats) -> float:
    """The part of the second moment that lies below 0."""
    return float((shares * away**2)[away < 0.0].sum())
