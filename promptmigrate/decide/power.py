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
    be excluded, but at least s1, the spread as observed (Lachin 1981, Controlled Clinical Trials 2:93-113;
    for matched pairs Lu & Bean 1995, Statistics in Medicine 14:1831-1839; t in place of a normal quantile).
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri, stdtrit

    truth = measured.mean if truth is None else truth
    gap = truth - threshold
    if gap <= 1e-9 or measured.df <= 0:
        return None
    observed = math.sqrt(measured.inflated_variance())

    def enough(rows: float) -> float:
        """Rows needed with the t quantile and the doubt about clusters that ``rows`` would leave."""
        growth = rows / measured.rows
        t = float(stdtrit(max(1.0, measured.effective_clusters * growth - 1.0), 0.5 + confidence / 2))
        excluded = observed
        if measured.mean > threshold:
            excluded = max(observed, math.sqrt(measured.inflated_variance(threshold, growth=growth)))
        effective = ((t * excluded + float(ndtri(power)) * observed) / gap) ** 2
        return max(2.0, effective * measured.rows / measured.effective_rows)

    # It falls with the rows, so that there is exactly one number that is enough for itself.
    needed = float(brentq(lambda rows: enough(rows) - rows, 1.0, enough(1.0) + 1.0, xtol=1e-6))
    return max(0, math.ceil(needed - 1e-6) - measured.rows)
