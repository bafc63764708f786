"""The mean difference people would find, from a judge on all rows and people on some (PPI++).

Prediction-powered inference for a mean with a tuned weight (Angelopoulos, Duchi & Zrnic 2023, "PPI++:
Efficient Prediction-Powered Inference", arXiv 2311.01453): the judge's mean over the rows without a label,
times a weight, plus the mean over the labelled rows of what people say less that weight times what the judge
says. Right whatever the judge is worth, because its errors are measured on the labelled rows; a good judge
narrows the interval, a useless one gets the weight 0 and changes nothing.

Whoever labels must choose rows without regard to the answers. Clusters: both means are of independent
clusters, so variances are those of cluster sums; a cluster with any label counts with its labelled rows only.
Student's t with (labelled clusters - 1) degrees of freedom, since at 80 labels the normal interval of the
paper is a little narrow, and four whole changes are added to the labels' spread: where the labels happen to
agree, their spread says nothing about the answers that nobody looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

_PSEUDO_CHANGES = 4.0
LEAST_LABELS = 20
"""With fewer labelled clusters nothing is corrected."""


@dataclass(frozen=True, kw_only=True)
class LabelledMean:
    """A corrected mean and its standard error."""

    mean: float
    standard_error: float
    df: float
    weight: float
    """How far the judge is trusted: 0 not at all, 1 fully."""
    labelled: int
    """Rows with a label."""
    judged: int
    """Rows without one."""

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided limits."""
        from scipy.special import stdtrit

        half = float(stdtrit(self.df, 0.5 + confidence / 2)) * self.standard_error
        return max(-1.0, self.mean - half), min(1.0, self.mean + half)

    def p_greater(self, threshold: float) -> float:
        """One-sided p-value against "the mean is ``threshold`` or less"."""
        from scipy.special import stdtr

        return float(stdtr(self.df, (threshold - self.mean) / self.standard_error))


def labelled_mean(
    judged: Sequence[float],
    truths: Sequence[float | None],
    *,
    clusters: Sequence[str],
    weights: Sequence[float] | None = None,
) -> LabelledMean:
    """The corrected mean of values in [-1, 1]: ``judged`` for every row, ``truths`` where a person looked.

    Raises:
        ValueError: fewer than two labelled clusters.
    """
    import numpy as np

    known = np.array([truth is not None for truth in truths])
    labels = np.unique(np.asarray(clusters), return_inverse=True)[1]
    touched = np.isin(labels, labels[known])
    f = np.asarray(judged, dtype=np.float64)
    y = np.array([0.0 if truth is None else truth for truth in truths])
    w = np.ones_like(f) if weights is None else np.asarray(weights, dtype=np.float64)
    ours, others = known, ~touched
    count = len(np.unique(labels[ours]))
    if count < 2:
        raise ValueError("needs labels in at least two clusters")
    truth, truth_parts = _parts(y[ours], w[ours], labels[ours])
    same, same_parts = _parts(f[ours], w[ours], labels[ours])
    weight, there, there_parts = 0.0, 0.0, np.zeros(0)
    if len(np.unique(labels[others])) >= 2:
        there, there_parts = _parts(f[others], w[others], labels[others])
        both = float((same_parts**2).sum() + (there_parts**2).sum())
        # The weight that makes the variance least, as in the paper; outside [0, 1] it only fits noise.
        if both > 0:
            weight = min(1.0, max(0.0, float((truth_parts * same_parts).sum()) / both))
    variance = float(((truth_parts - weight * same_parts) ** 2).sum() * count / (count - 1))
    if there_parts.size:
        others_count = there_parts.size
        variance += weight**2 * float((there_parts**2).sum()) * others_count / (others_count - 1)
    return LabelledMean(
        mean=truth + weight * (there - same),
        standard_error=math.sqrt(variance + _PSEUDO_CHANGES / count**2),
        df=count - 1.0,
        weight=weight,
        labelled=int(ours.sum()),
        judged=int(others.sum()),
    )


def _parts(values: Floats, weights: Floats, labels: NDArray[np.intp]) -> tuple[float, Floats]:
    """The weighted mean, and each cluster's part in its error."""
    import numpy as np

    total = float(weights.sum())
    mean = float((weights * values).sum()) / total
    index = np.unique(labels, return_inverse=True)[1]
    return mean, np.bincount(index, weights=weights * (values - mean)) / total
