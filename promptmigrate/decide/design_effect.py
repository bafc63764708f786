"""How much less rows in clusters say than as many independent ones, and how sure that is.

The design effect (Kish 1965, Survey Sampling, Wiley) is the variance of a mean over clusters relative to that
of independent rows. It is estimated by the ratio of the jackknife cluster variance CR3 (Bell & McCaffrey
2002, Survey Methodology 28:169-181; MacKinnon, Nielsen & Webb 2023, Journal of Applied Econometrics
38:671-694) to the plain one. While differences are rare this ratio says little, so it starts from two pseudo-
rows (as many as Agresti & Min add) in which a whole cluster moves together, and is never below independence.

That is the design effect of the differences *seen*. A test of "worse by the margin" needs that of the loss
that such a candidate has beyond what was seen; and where clusters break as a whole among stray differences,
the samples in which few or none of them turned up are just those that look good and independent at once. Two
corrections, both zero for clusters of one row:

- *What breaks, breaks like this.* Re-weighting clusters until their mean is the value under test moves weight
  in proportion to each cluster's loss (the first order of empirical likelihood over clusters; Owen 1988), so
  the loss beyond what was seen takes the correlation that the *broken* clusters show, weighted by the square
  of their loss: one cluster that broke on all of its rows outweighs many stray ones. The correlation is a
  moment estimate by pairs of rows (Ridout, Demetrio & Firth 1999, Biometrics 55:137-148), without their
  correction for pairs that break together by chance, so that it is a little too high. It replaces the design
  effect on five times what the tested mean adds to the losses (at most on all of the variance): once
  would be right on average, but the distribution of a mean with a few large breaks is skewed. It is what is
  added to the losses that counts, not to the variance: among many stray differences a worse mean trades
  gains for losses, which hardly changes the variance and does change what it is made of.
- *What was not seen, may still be there.* Up to 2.5 clusters may break as a whole unseen, an upper limit at
  92 % (as the rule of three, Hanley & Lippman-Hand 1983, JAMA 249:1743-1745, is at 95 %), less what one row
  of each already stands for. So the correlation is shrunk toward full by a weight that falls with the number
  of clusters and of rows that differ. Only clusters of several rows count here: a row that is a cluster of
  its own can say whether rows break, and nothing on whether they break together, so that 400 single rows tell
  nothing of the eight large clusters beside them. The two variances, of the rows and of this doubt, are
  joined by the root of the sum of their squares, not added: where one of them is large it stops most samples
  alone.

What may be unseen counts only as far as the correlation of the broken does not cover it already: where no
loss was seen there is nothing that it could be applied to. Where a candidate has to be better, so that no
margin forgives what was not seen, 3.7 clusters take the place of 2.5 (an upper limit at 97.5 %), passing from
one to the other over the last point before 0.

Five and 2.5 are chosen by simulation, as about the least that keep a level of 3 % where whole clusters break
among stray differences (tests/decide/test_groups.py). In 400 worlds drawn by lot, at the limit of what is
tolerated (benchmarks/level.py --worlds 400 --seed 2), the highest rate is 2.9 % on a second look. Where
single rows counted as clusters that broke alone, it was 30.1 %, in six clusters of 60 rows beside 397 single
ones; of candidates as good as production 59.9 % pass now, 62.7 % did. In 96 worlds of candidates that have to
be better and are not (40-180 clusters of 3-12 rows that break on 60 or 100 % of their rows, 3 to 20 % of
them, and mend as many single rows; 1000 runs each) none passes more often than 2.8 % (3.9 % with 2.5
clusters); a gain of 10 points in 80 groups of 10 is proven in 99 % of the runs, one of 6 points in 67 groups
of about 3, a third of them single rows, in 26 %: where single rows counted it was 41 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

_PSEUDO_ROWS = 2.0
_SKEW = 5.0
_UNSEEN_CLUSTERS, _UNSEEN_STRICT = 2.5, 3.7


@dataclass(frozen=True, kw_only=True)
class DesignEffect:
    """Variance inflation by clusters: of what was seen, and of what a tested mean adds to it."""

    seen: float
    """Relative to independent rows; includes the small-sample factor n / (n - 1)."""
    losses: float
    """Of a loss beyond what was seen; at least ``seen``."""
    gains: float
    """Of a gain beyond what was seen; at least ``seen``."""
    cluster: float
    """Rows of a cluster, by weight (Kish): the design effect where clusters move as one."""
    group: float
    """The same of the clusters with several rows alone, relative to all rows: what a loss that sits in them
    counts."""
    mean_group: float
    """Rows of a cluster with several rows, on average."""
    unit: float
    """Size of one whole change, a score going from 0 to 1."""

    def null_variance(
        self, *, null: float, added: float, gap: float, rows: float, strict: float, growth: float = 1.0
    ) -> float:
        """Variance of one row, inflated, if the true mean were the observed one plus ``gap``.

        ``null`` is the variance of one row under that hypothesis, ``added`` how much more of it lies on the
        far side of the mean than was observed, ``rows`` the effective number of rows; ``growth`` plans for
        that many times as many. ``strict`` in [0, 1]: how far the tested mean is one that leaves no margin.
        """
        beyond = self.losses if gap < 0 else self.gains
        added = min(null, _SKEW * added)
        clusters = _UNSEEN_CLUSTERS + strict * (_UNSEEN_STRICT - _UNSEEN_CLUSTERS)
        unseen = clusters * (self.mean_group - 1.0) / (rows * growth)
        unseen = min(unseen, abs(gap) / self.unit) * self.unit**2
        shown = null * self.seen + added * (beyond - self.seen)
        # What is unseen may break whole, less what the correlation of the broken covers of it already.
        covered = self.seen + (beyond - self.seen) * (min(1.0, added / unseen) if unseen else 0.0)
        doubt = max(0.0, 1.0 - (covered - 1.0) / (self.cluster - 1.0)) if self.cluster > 1.0 else 0.0
        return math.hypot(shown, unseen * (self.group - 1.0) * doubt)


def design_effect(
    residuals: Floats, weights: Floats, labels: NDArray[np.intp], *, unit: float
) -> DesignEffect:
    """From each row's deviation from the mean, its weight, and the number of its cluster (from 0)."""
    import numpy as np

    cluster_weights = np.bincount(labels, weights=weights)
    clusters = cluster_weights.size
    if clusters < 2:
        return DesignEffect(
            seen=1.0, losses=1.0, gains=1.0, cluster=1.0, group=1.0, mean_group=1.0, unit=unit
        )
    total = float(weights.sum())
    effective_rows = total**2 / float((weights**2).sum())
    effective_clusters = total**2 / float((cluster_weights**2).sum())
    sums = np.bincount(labels, weights=weights * residuals)
    left_out = sums / (1.0 - cluster_weights / total)
    clustered = (clusters - 1) / clusters * float((left_out**2).sum()) / total**2 * effective_rows
    independent = float((weights * residuals**2).sum()) / total
    small_sample = effective_rows / (effective_rows - 1.0)
    pseudo = _PSEUDO_ROWS * unit**2 / effective_rows
    size = effective_rows / effective_clusters
    seen = max(small_sample, (clustered + pseudo * size * small_sample) / (independent + pseudo))
    losses, gains = (
        max(seen, 1.0 + _together(side * weights * residuals, labels) * (size - 1.0)) for side in (-1.0, 1.0)
    )
    sizes = np.bincount(labels)
    several = sizes > 1
    group = mean_group = 1.0
    if several.any():
        held = cluster_weights[several]
        group = float((held**2).sum()) * total / (float(held.sum()) * float((weights**2).sum()))
        mean_group = float(sizes[several].mean())
    return DesignEffect(
        seen=seen,
        losses=losses,
        gains=gains,
        cluster=size,
        group=group,
        mean_group=mean_group,
        unit=unit,
    )


def _together(amounts: Floats, labels: NDArray[np.intp]) -> float:
    """How far clusters with a positive sum of ``amounts`` move as one: 0 (a single row each) to 1 (all)."""
    import numpy as np

    rows = np.bincount(labels)
    own = np.maximum(amounts, 0.0)
    sums = np.maximum(np.bincount(labels, weights=amounts), 0.0)
    square = float((own**2).sum())
    moved = (rows > 1) & (sums > 0.0)
    if square <= 0.0 or not moved.any():
        return 0.0
    typical = float((own**3).sum()) / square  # what one row changes, by weight of its square
    share = np.clip((sums[moved] / typical - 1.0) / (rows[moved] - 1), 0.0, 1.0)
    return float(np.average(share, weights=sums[moved] ** 2))
