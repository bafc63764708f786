"""Random paired differences with a known true mean, for simulations."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from promptmigrate.decide import BoundedMean, bounded_mean


def draw(
    rng: np.random.Generator,
    rows: int,
    *,
    mean: float,
    changed: float,
    size: float = 1.0,
    together: float = 0.0,
    scores: str = "binary",
) -> tuple[Any, Any]:
    """Differences and cluster numbers of one sample.

    ``changed`` is the share of rows that differ (binary) or twice the standard deviation (continuous,
    skewed to the left), ``size`` the mean cluster size (geometric), ``together`` the probability that two
    rows of one cluster share their fate.
    """
    clusters = np.arange(rows)
    if size > 1:
        clusters = np.repeat(np.arange(rows), rng.geometric(1 / size, size=rows))[:rows]
    own, shared = rng.random(rows), rng.random(clusters[-1] + 1)[clusters]
    fate = np.where(rng.random(rows) < np.sqrt(together), shared, own)
    if scores == "binary":
        broken, fixed = (changed - mean) / 2, (changed + mean) / 2
        return np.where(fate < broken, -1.0, np.where(fate > 1 - fixed, 1.0, 0.0)), clusters
    skewed = (2.0 - special.gdtrix(1.0, 2.0, np.clip(fate, 1e-9, 1 - 1e-9))) / np.sqrt(2.0)
    return np.clip(mean + skewed * changed / 2, -1.0, 1.0), clusters


def measure(differences: Any, clusters: Any) -> BoundedMean:
    return bounded_mean(differences, lower=-1.0, upper=1.0, clusters=clusters)


def error_rates(
    runs: int, rows: int, *, seed: int, confidence: float = 0.95, **world: Any
) -> tuple[float, float]:
    """How often the interval lies wholly above, and wholly below, the true mean.

    The first is the rate of false promotions where the true difference is exactly minus the margin.
    """
    rng = np.random.default_rng(seed)
    limit = (1 - confidence) / 2
    above = below = 0
    for _ in range(runs):
        measured = measure(*draw(rng, rows, **world))
        above += measured.p_greater(world["mean"]) < limit
        below += measured.p_less(world["mean"]) < limit
    return above / runs, below / runs
