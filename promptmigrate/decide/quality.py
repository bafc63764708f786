"""The paired difference of quality: estimated, corrected where a judge's mistakes are known, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from promptmigrate.decide.interval import BoundedMean, bounded_mean
from promptmigrate.decide.ppi import LEAST_LABELS, LabelledMean, labelled_mean
from promptmigrate.decide.rogan_gladen import JudgeErrors, corrected_difference, p_corrected_greater
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Corrected, Interval, Quality

Correction: TypeAlias = Literal["rogan_gladen", "ppi"]
_SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What the rows say about the difference of quality."""

    difference: BoundedMean
    """As measured."""
    interval: Interval
    errors: JudgeErrors | None
    labelled: LabelledMean | None
    corrected: Corrected | None
    """What decides where it is there; None where nothing was to be, or could be, corrected."""

    @property
    def delta(self) -> float:
        """The difference that decides."""
        return self.corrected.delta if self.corrected else self.difference.mean

    @property
    def limits(self) -> Interval:
        """The interval that decides."""
        return self.corrected.interval if self.corrected else self.interval

    def p_greater(self, threshold: float) -> float:
        """One-sided p-value against "the difference is ``threshold`` or less"."""
        if self.corrected and self.labelled is not None:
            return self.labelled.p_greater(threshold)
        if self.corrected and self.errors is not None:
            return p_corrected_greater(self.difference, self.errors, threshold)
        return self.difference.p_greater(threshold)


def weighted_mean(rows: Sequence[PairedRow], values: Sequence[float], *, lower: float) -> BoundedMean | None:
    """Mean of one value per row, in [lower, 1]; None without rows."""
    if not rows:
        return None
    return bounded_mean(
        # 0.9 - 0.3 carries rounding; equal changes must count as equal values.
        [round(value, 12) for value in values],
        lower=lower,
        upper=1.0,
        clusters=[row.cluster for row in rows],
        weights=[row.weight for row in rows],
    )


def estimate(used: Sequence[PairedRow], rules: Rules, *, confidence: float) -> Estimated | None:
    """The difference over paired rows; None with fewer than two clusters.

    Labels on the rows themselves correct best (PPI++: they need no assumption on the judge); else the counts
    of a calibration card do (Rogan-Gladen).
    """
    difference = weighted_mean(used, [row.difference for row in used], lower=-1.0)
    limits = difference.interval(confidence) if difference else None
    if difference is None or limits is None:
        return None
    errors = rules.judge_errors
    labelled = _labelled(used)
    corrected = None
    if labelled is not None:
        corrected = Corrected(
            method="ppi", delta=labelled.mean, interval=Interval(*labelled.interval(confidence))
        )
    elif errors is not None:
        found = corrected_difference(difference, errors, confidence=confidence)
        if found is not None:
            corrected = Corrected(
                method="rogan_gladen", delta=found.value, interval=Interval(*found.interval)
            )
    return Estimated(
        difference=difference,
        interval=Interval(*limits),
        errors=errors,
        labelled=labelled,
        corrected=corrected,
    )


def _labelled(used: Sequence[PairedRow]) -> LabelledMean | None:
    truths = [
        row.candidate_label - row.baseline_label
        if row.candidate_label is not None and row.baseline_label is not None
        else None
        for row in used
    ]
    known = {row.cluster for row, truth in zip(used, truths, strict=True) if truth is not None}
    if len(known) < LEAST_LABELS:
        return None
    return labelled_mean(
        [row.difference for row in used],
        truths,
        clusters=[row.cluster for row in used],
        weights=[row.weight for row in used],
    )


def status(delta: float, interval: Interval, *, margin: float, superiority: bool) -> Quality:
    """Whether an interval settles the question."""
    if superiority:
        if interval.low > 0.0:
            return "pass"
        return "fail" if interval.high <= 0.0 or delta <= _SAME else "open"
    if interval.low > -margin:
        return "pass"
    return "fail" if interval.high < -margin else "open"
