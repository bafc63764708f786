"""Exact McNemar test: a second opinion for 0/1 scores.

McNemar (1947), Psychometrika 12:153-157; the exact form is a binomial test on the discordant pairs.
"""

from __future__ import annotations


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided exact p-value against "as many rows are fixed as broken".

    Assumes independent rows: with clusters it is too optimistic, so it never decides alone.
    1.0 when no row differs.
    """
    from scipy.stats import binomtest

    if fixed + broken == 0:
        return 1.0
    return float(binomtest(fixed, fixed + broken, 0.5).pvalue)
