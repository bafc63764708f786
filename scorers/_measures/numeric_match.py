"""numeric_match: the number that the output gives is the expected one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import ne
from typing import Any, ClassVar

from scorers import _numbers
from scorers._base import Measure, only
from scorers._errors import ScorerSpecError
from scorers._text import as_text, clip
from scorers._types import Sample, Score, late, late_all


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericMatch(Measure):
    """1.0 where the number in the output equals the expected one, else 0.0.

    The number is the marked one ("#### 42", "Answer: 42", "the answer is 42", a LaTeX box), else the last
    one. Thousands separators, currency signs, units, percent signs, fractions (3/4, 1 1/2, ½, LaTeX),
    powers (1e3, 1.5 × 10^3, 2^10) and the words hundred to trillion are understood. What can be read in two
    ways matches in either: 12 % is 12 or 0.12, 2.5M is 2.5 or 2,500,000, and "(500)" alone or behind a colon
    is 500 or -500. The expected value is a number or a text that holds one.

    Kinds of evidence: ``match``, ``empty``, ``no_number``, ``not_a_number`` (``strict``), ``sign``, ``scale``
    (wrong by a power of ten), ``close`` (within 1 %), ``different``.

    Example:
        >>> from scorers import numeric_match
        >>> numeric_match()(output="3 boxes of 14 make 42 eggs, so $1,042.50 in all.", expected=1042.5).value
        1.0
        >>> numeric_match(tolerance=0.5)(output="Answer: 41.6 kg", expected="42").value
        1.0
    """

    version: ClassVar[str] = "2"

    name: str = "numeric_match"
    tolerance: float = 0.0
    """Largest absolute difference that is still equal."""
    relative_tolerance: float = _numbers.ROUNDING
    """Largest difference as a share of the expected value."""
    marker: str | None = None
    """The text that comes before the answer, instead of the usual ones."""
    strict: bool = False
    """The output must be the number and nothing else (currency and percent signs may stand with it)."""
    decimal_comma: bool = False
    """Numbers are written as 1.234,50."""

    def _check(self) -> None:
        for option in ("tolerance", "relative_tolerance"):
            if getattr(self, option) < 0:
                raise ScorerSpecError(f"{self.name}: option {option!r} must not be negative", key=option)

    _same: Score = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Measure.__post_init__(self)
        object.__setattr__(self, "_same", self._shared("match", how="number"))

    def _quick(self, output: Any, expected: Any) -> Score | None:
        # A bool is no number here; nor does NaN equal itself.
        if output.__class__ not in _NUMBERS or expected.__class__ not in _NUMBERS:
            return None
        try:
            apart = abs(output - expected)
            if apart - apart != 0:  # infinity is no number here
                return None
            if apart == 0:
                return self._same
            far = apart > self.tolerance and apart > self.relative_tolerance * abs(expected)
        except OverflowError:
            return None
        return late(self, 0.0, output, expected) if far else None

    def _all_quick(self, outputs: list[Any], expected: list[Any]) -> list[Score | None]:
        whole = only(int, outputs) and only(int, expected)
        if not (whole or (_finite(outputs) and _finite(expected))):
            return Measure._all_quick(self, outputs, expected)
        scores: list[Score | None] = [self._same] * len(outputs)
        missed = list(compress(range(len(outputs)), map(ne, outputs, expected)))
        got, wanted = [outputs[index] for index in missed], [expected[index] for index in missed]
        quick: Iterable[Score | None]
        if missed and whole and self._least_apart(wanted) < 1:
            quick = late_all(self, repeat(0.0), got, wanted)
        else:
            quick = map(self._quick, got, wanted)
        for index, score in zip(missed, quick, strict=True):
            scores[index] = score
        return scores

    def _least_apart(self, wanted: list[int]) -> float:
        """From how far apart on two whole numbers are different, for any of ``wanted``."""
        try:
            return max(self.tolerance, self.relative_tolerance * max(*wanted, -min(wanted)))
        except OverflowError:
            return math.inf

    def _score(self, sample: Sample) -> Score:
        wanted = _numbers.given(sample.expected, marker=self.marker, decimal_comma=self.decimal_comma)
        if wanted is None:
            return self._unscored(
                "bad_expected", f"the expected value {clip(sample.expected)!r} holds no number"
            )
        output = _numbers.plain(sample.output)
        how = "last"
        if isinstance(output, int | float):
            got, how = _numbers.given(output), "number"
        elif self.strict:
            got, how = _numbers.whole(as_text(output), decimal_comma=self.decimal_comma), "whole"
        else:
            got, how = _numbers.answer(as_text(output), marker=self.marker, decimal_comma=self.decimal_comma)
        if got is None:
            text = as_text(output).strip()
            kind = "empty" if not text else "not_a_number" if self.strict else "no_number"
            return self._found(0.0, kind, f"expected {_shown(wanted)}, got {clip(text)!r}")
        evidence = {"got": _shown(got), "expected": _shown(wanted), "how": how}
        if _numbers.close(got, wanted, absolute=self.tolerance, relative=self.relative_tolerance):
            return self._found(1.0, "match", "", **evidence)
        return self._found(
            0.0, _miss(got, wanted), f"expected {_shown(wanted)}, got {_shown(got)}", **evidence
        )


_NUMBERS: frozenset[Any] = frozenset({int, float})


def _finite(values: Sequence[Any]) -> bool:
    """Whether there are numbers only: no bool, infinity or NaN, and none that no float can hold."""
    try:
        return _NUMBERS.issuperset(map(type, values)) and all(map(math.isfinite, values))
    except OverflowError:
        return False


def _shown(number: _numbers.Number) -> str:
    return f"{clip(str(number.value), 40)}{'%' if number.percent else ''}"


def _miss(got: _numbers.Number, wanted: _numbers.Number) -> str:
    value, given = wanted.value, got.value
    if wanted.other is not None and got.other is not None:
        value, given = wanted.other, got.other

    def near(value: float, share: float) -> bool:
        return abs(given - value) <= share * abs(value)

    try:
        if value and near(-value, _numbers.ROUNDING):
            return "sign"
        if value and any(near(value * 10.0**power, _numbers.ROUNDING) for power in range(-9, 10) if power):
            return "scale"
        return "close" if value and near(value, 0.01) else "different"
    except OverflowError:  # a whole number that no float can hold
        return "different"


numeric_match = NumericMatch
