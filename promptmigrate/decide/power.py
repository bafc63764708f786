"""How many more rows an open question needs."""

from __future__ import annotations

import math

from promptmigrate.decide.interval import BoundedMean

_POWER = 0.8


def rows_needed(
    measured: BoundedMean,
    *,
    threshold: float,
    confidence: float,
    truth: float | None = None,
    power: float = _POWER,
) -> int | None:
    """Further rows after which the interval clears ``threshold`` from above with probability ``power``.

    Plans for a true mean of ``truth`` (default: the mean as observed) and for rows that come in clusters like
    those seen. None if the truth is not above the threshold: then more rows will not help. 0 if there are
    enough already.

    The sample size of a score test, n = ((t s0 + z s1) / gap)^2, with s0 the spread under the hypothesis to
    be excluded and s1 the spread as observed (Lachin 1981, Controlled Clinical Trials 2:93-113; for matched
    pairs Lu & Bean 1995, Statistics in Medicine 14:1831-1839).
    """
    from scipy.special import ndtri, stdtrit

    truth = measured.mean if truth is None else truth
    gap = truth - threshold
    if gap <= 1e-9 or measured.df <= 0:
        return None
    null = measured.null_variance(threshold) if measured.mean > threshold else measured.variance
    excluded = math.sqrt(max(null, measured.variance) * measured.design_effect)
    observed = math.sqrt(measured.variance * measured.design_effect)
    needed = float(measured.rows)
    for _ in range(8):  # the t quantile depends on the answer; it settles at once
        df = max(1.0, measured.effective_clusters * needed / measured.rows - 1.0)
        t = float(stdtrit(df, 0.5 + confidence / 2))
        effective = ((t * excluded + float(ndtri(power)) * observed) / gap) ** 2
        needed = max(2.0, effective * measured.rows / measured.effective_rows)
    return max(0, math.ceil(needed) - measured.rows)
