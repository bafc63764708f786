"""Outcomes -> Verdict: PROMOTE, REJECT or INCONCLUSIVE, with the numbers that say why.

:func:`decide` is the gate; the estimators behind it are usable alone. Each names its source and carries a
simulation of its coverage among the tests.
"""

from promptmigrate.decide.bca import bca
from promptmigrate.decide.candidates import decide_all
from promptmigrate.decide.changes import differences
from promptmigrate.decide.clustered_t import ClusteredT, clustered_t
from promptmigrate.decide.gate import decide
from promptmigrate.decide.holm import holm
from promptmigrate.decide.interval import BoundedMean, bounded_mean
from promptmigrate.decide.mcnemar import mcnemar
from promptmigrate.decide.openings import (
    Looks,
    Opening,
    looks,
    open_test,
    read_openings,
    related,
    row_keys,
    settings_of,
)
from promptmigrate.decide.permutation import Permutation, permutation
from promptmigrate.decide.power import rows_needed
from promptmigrate.decide.ppi import LabelledMean, labelled_mean
from promptmigrate.decide.ratios import Ratio, mean_ratio, quantile, quantile_ratio
from promptmigrate.decide.reasons import MIN_CLUSTERS
from promptmigrate.decide.repeats import averaged, spread
from promptmigrate.decide.rogan_gladen import JudgeErrors, corrected_difference, corrected_rate
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.slicing import DERIVED, slices_of
from promptmigrate.decide.switch import switch_if
from promptmigrate.decide.verdict import (
    Breakage,
    Corrected,
    Guardrail,
    Interval,
    Joint,
    Missing,
    Noise,
    ScoreGuardrail,
    SelfTest,
    Side,
    Slice,
    Verdict,
    that_decided,
)
from promptmigrate.decide.wilson import wilson

__all__ = [
    "DERIVED",
    "MIN_CLUSTERS",
    "BoundedMean",
    "Breakage",
    "ClusteredT",
    "Corrected",
    "Guardrail",
    "Interval",
    "Joint",
    "JudgeErrors",
    "LabelledMean",
    "Looks",
    "Missing",
    "Noise",
    "Opening",
    "PairedRow",
    "Permutation",
    "Ratio",
    "Rules",
    "ScoreGuardrail",
    "SelfTest",
    "Side",
    "Slice",
    "Verdict",
    "averaged",
    "bca",
    "bounded_mean",
    "clustered_t",
    "corrected_difference",
    "corrected_rate",
    "decide",
    "decide_all",
    "differences",
    "holm",
    "labelled_mean",
    "looks",
    "mcnemar",
    "mean_ratio",
    "open_test",
    "permutation",
    "quantile",
    "quantile_ratio",
    "read_openings",
    "related",
    "row_keys",
    "rows_needed",
    "settings_of",
    "slices_of",
    "spread",
    "switch_if",
    "that_decided",
    "wilson",
]
