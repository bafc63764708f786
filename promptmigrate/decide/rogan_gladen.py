"""A judge's mistakes, counted against human labels, taken out of what it says.

A judge that calls a share Se of the good answers good (sensitivity) and a share Sp of the bad ones bad
(specificity) reports the rate p Se + (1 - p)(1 - Sp) where the true rate is p. Turned round (Rogan & Gladen
1978, American Journal of Epidemiology 107:71-76): p = (reported + Sp - 1) / (Se + Sp - 1). The difference of
two variants is the reported one over Se + Sp - 1 (Youden's J), if the judge errs alike on both.

Intervals carry both kinds of doubt, rows and labels. The rate: Lang & Reiczigel (2014, Preventive Veterinary
Medicine 113:13-22), who add z^2/2 successes and as many failures to the rate and one of each to Se and Sp,
and count them among the rows.
The difference: all D with (reported - D J)^2 <= t^2 (score variance of the reported difference at D J +
D^2 var J), the ratio interval of Fieller (1954, JRSS B 16:175-185) with the score variance of
:mod:`promptmigrate.decide.interval` and Lang and Reiczigel's J; so it is never of zero width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from promptmigrate.decide.interval import BoundedMean
from promptmigrate.errors import UsageError

if TYPE_CHECKING:
    from scorers import Calibration

_EDGE = 1e-9


@dataclass(frozen=True, kw_only=True)
class JudgeErrors:
    """How a judge fared on answers that people labelled: counts of answers."""

    true_positive: int
    """Good by the label, good by the judge."""
    false_negative: int
    false_positive: int
    true_negative: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise UsageError(f"judge_errors.{name} is {value!r}; it must be a count of 0 or more")
        if not self.good or not self.bad:
            raise UsageError(
                "judge_errors: the labels hold no "
                + ("good" if not self.good else "bad")
                + " answer, so one kind of the judge's mistakes is unknown; label some more answers"
            )

    @classmethod
    def of(cls, card: Calibration) -> JudgeErrors:
        """The counts of a calibration card."""
        return cls(
            true_positive=card.true_positive,
            false_negative=card.false_negative,
            false_positive=card.false_positive,
            true_negative=card.true_negative,
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> JudgeErrors:
        """What :meth:`to_json` wrote."""
        try:
            return cls(**found)
        except TypeError:
            raise UsageError(
                f"judge_errors holds {', '.join(sorted(map(str, found)))}; it must hold true_positive, "
                "false_negative, false_positive and true_negative"
            ) from None

    def to_json(self) -> dict[str, int]:
        """The counts."""
        return asdict(self)

    @property
    def good(self) -> int:
        """Answers that people called good."""
        return self.true_positive + self.false_negative

    @property
    def bad(self) -> int:
        """Answers that people called bad."""
        return self.false_positive + self.true_negative

    @property
    def sensitivity(self) -> float:
        """Share of the good answers that the judge calls good."""
        return self.true_positive / self.good

    @property
    def specificity(self) -> float:
        """Share of the bad answers that the judge calls bad."""
        return self.true_negative / self.bad

    @property
    def youden(self) -> float:
        """Sensitivity + specificity - 1: 1 for a perfect judge, 0 for a coin."""
        return self.sensitivity + self.specificity - 1.0

    @property
    def adjusted(self) -> tuple[float, float]:
        """Sensitivity and specificity with one success and one failure added (Lang & Reiczigel)."""
        return (self.true_positive + 1) / (self.good + 2), (self.true_negative + 1) / (self.bad + 2)

    @property
    def variances(self) -> tuple[float, float]:
        """Of the adjusted sensitivity and specificity."""
        sensitivity, specificity = self.adjusted
        return (
            sensitivity * (1 - sensitivity) / (self.good + 2),
            specificity * (1 - specificity) / (self.bad + 2),
        )

    @property
    def youden_error(self) -> float:
        """Standard error of the adjusted Youden's J."""
        return math.sqrt(sum(self.variances))


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """An estimate with the judge's mistakes taken out."""

    value: float
    interval: tuple[float, float]


def corrected_rate(good: float, rows: float, errors: JudgeErrors, *, confidence: float) -> Corrected | None:
    """The true share of good answers where a judge calls ``good`` of ``rows`` independent ones good.

    None where the judge is not shown to be better than a coin.
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    if not informative(errors, confidence=confidence):
        return None
    plain = (good / rows + errors.specificity - 1.0) / errors.youden
    size = rows + z * z
    rate = (good + z * z / 2) / size
    sensitivity, specificity = errors.adjusted
    youden = sensitivity + specificity - 1.0
    middle = (rate + specificity - 1.0) / youden
    sensitive, specific = errors.variances
    error = (
        math.sqrt(rate * (1 - rate) / size + middle**2 * sensitive + (1 - middle) ** 2 * specific) / youden
    )
    shift = 2 * z * z * (middle * sensitive - (1 - middle) * specific)
    low, high = (min(1.0, max(0.0, middle + shift + side * z * error)) for side in (-1, 1))
    return Corrected(value=min(1.0, max(0.0, plain)), interval=(low, high))


def informative(errors: JudgeErrors, *, confidence: float) -> bool:
    """Whether the labels show that the judge is better than a coin (J above 0 at ``confidence``)."""
    from scipy.special import ndtri

    sensitivity, specificity = errors.adjusted
    low = sensitivity + specificity - 1.0 - float(ndtri(0.5 + confidence / 2)) * errors.youden_error
    return errors.youden > 0.0 and low > 0.0


def p_corrected_greater(difference: BoundedMean, errors: JudgeErrors, threshold: float) -> float:
    """One-sided p-value against "the true difference is ``threshold`` or less"."""
    from scipy.special import stdtr

    if difference.df <= 0:
        return 1.0
    distance, error = _distance(difference, errors, threshold)
    return float(stdtr(difference.df, -distance / error)) if abs(distance) > 1e-12 else 0.5


def corrected_difference(
    difference: BoundedMean, errors: JudgeErrors, *, confidence: float
) -> Corrected | None:
    """The true difference of two variants, from the ``difference`` that a judge reports on paired rows.

    Assumes that the judge errs alike on both variants. None where the judge is not shown to be better than a
    coin, or where fewer than two clusters leave nothing to judge by.
    """
    from scipy.optimize import brentq
    from scipy.special import stdtrit

    if difference.df <= 0 or not informative(errors, confidence=confidence):
        return None
    critical = float(stdtrit(difference.df, 0.5 + confidence / 2))
    sensitivity, specificity = errors.adjusted
    middle = min(1.0, max(-1.0, difference.mean / (sensitivity + specificity - 1.0)))

    def excess(value: float) -> float:
        distance, error = _distance(difference, errors, value)
        return abs(distance) - critical * error

    def limit(end: float) -> float:
        far, near = end * (1 - _EDGE), middle
        if (end - middle) * end <= 2 * _EDGE or excess(far) <= 0:
            return end
        return float(brentq(excess, far, near, xtol=1e-9))

    value = min(1.0, max(-1.0, difference.mean / errors.youden))
    return Corrected(value=value, interval=(min(value, limit(-1.0)), max(value, limit(1.0))))


def _distance(difference: BoundedMean, errors: JudgeErrors, value: float) -> tuple[float, float]:
    """Reported difference minus what a true one of ``value`` leads to report, and its standard error."""
    sensitivity, specificity = errors.adjusted
    expected = value * (sensitivity + specificity - 1.0)
    spread = difference.standard_error(expected)
    return difference.mean - expected, math.hypot(spread, value * errors.youden_error)
