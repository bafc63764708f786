"""Student's t on the mean of clustered differences: the textbook second opinion.

Cluster-robust variance of a weighted mean (Liang & Zeger 1986, Biometrika 73:13-22) with the small-sample
factor G / (G - 1) and G - 1 degrees of freedom (Cameron & Miller 2015, Journal of Human Resources
50:317-372); without the factor and with the normal quantile it is what Miller advises for evals (2024,
"Adding Error Bars to Evals", arXiv 2411.00640). It never decides alone: rows that happen not to differ have
no spread, so that it "proves" any margin (:mod:`promptmigrate.decide.interval`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClusteredT:
    """A weighted mean with its cluster-robust standard error."""

    mean: float
    standard_error: float
    clusters: int

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Two-sided limits; of zero width where no difference is seen, None with one cluster."""
        from scipy.special import stdtrit

        if self.clusters < 2:
            return None
        half = float(stdtrit(self.clusters - 1, 0.5 + confidence / 2)) * self.standard_error
        return self.mean - half, self.mean + half

    def p_greater(self, threshold: float) -> float | None:
        """One-sided p-value against "the mean is ``threshold`` or less"; None without any spread."""
        from scipy.special import stdtr

        if self.clusters < 2 or self.standard_error <= 1e-15:
            return None
        return float(stdtr(self.clusters - 1, (threshold - self.mean) / self.standard_error))


def clustered_t(
    differences: Sequence[float],
    *,
    clusters: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
) -> ClusteredT:
    """The mean of ``differences``; ``clusters`` names each one's cluster (None: each its own).

    Raises:
        ValueError: no differences.
    """
    import numpy as np

    x = np.asarray(differences, dtype=np.float64)
    if x.size == 0:
        raise ValueError("needs at least one difference")
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    labels = (
        np.arange(x.size) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    )
    mean = float((w * x).sum() / w.sum())
    sums = np.bincount(labels, weights=w * (x - mean))
    count = int(sums.size)
    factor = count / (count - 1) if count > 1 else 1.0
    error = float(np.sqrt(factor * (sums**2).sum())) / float(w.sum())
    return ClusteredT(mean=mean, standard_error=error, clusters=count)
