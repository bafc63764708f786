"""Outcomes -> Verdict: PROMOTE, REJECT or INCONCLUSIVE, with the numbers that say why.

:func:`decide` is the gate; the estimators behind it are usable alone. Each names its source and carries a
simulation of its coverage among the tests.
"""

from promptmigrate.decide.gate import decide
from promptmigrate.decide.interval import BoundedMean, bounded_mean
from promptmigrate.decide.mcnemar import mcnemar
from promptmigrate.decide.openings import Opening, open_test, read_openings
from promptmigrate.decide.power import rows_needed
from promptmigrate.decide.ratios import Ratio, mean_ratio, quantile, quantile_ratio
from promptmigrate.decide.reasons import MIN_CLUSTERS
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.verdict import Guardrail, Interval, Missing, Side, Verdict

__all__ = [
    "MIN_CLUSTERS",
    "BoundedMean",
    "Guardrail",
    "Interval",
    "Missing",
    "Opening",
    "PairedRow",
    "Ratio",
    "Side",
    "Verdict",
    "bounded_mean",
    "decide",
    "mcnemar",
    "mean_ratio",
    "open_test",
    "quantile",
    "quantile_ratio",
    "read_openings",
    "rows_needed",
]
