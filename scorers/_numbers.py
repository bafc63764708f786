"""Numbers as people and models write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

_LONGEST = 300
"""Digits; a longer run is no number that anybody means, and reading it costs quadratic time."""
_REMEMBERED = 100
"""Characters; expected values are met once per variant, but a cache must not keep long texts."""
_GROUP = "\u00a0\u202f\u2009_'’"
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}


def _pattern(group: str, point: str) -> re.Pattern[str]:
    group, point = re.escape(group + _GROUP), re.escape(point)
    plain = rf"(?:\d{{1,3}}(?:[{group}]\d{{3}})+(?!\d)|\d+)(?:{point}\d+)?|{point}\d+"
    return re.compile(
        # Not inside a word, a version or a date; a sign behind a number or a bracket is an operator.
        rf"(?<!\w)(?<!\w{point})(?<!\d/)(?P<sign>(?:(?<!\))[-−–+])?)(?:[$€£¥₹]\s?)?(?P<number>{plain})"
        rf"(?P<exponent>[eE][-+]?\d{{1,3}}(?!\w))?"
        rf"(?:/(?P<divisor>\d{{1,15}})(?![\d/]))?"
        rf"(?:\s?(?P<percent>%|percent\b|per cent\b)|\s(?P<scale>thousand|million|billion|trillion)\b)?",
        re.IGNORECASE,
    )


_POINT = _pattern(",", ".")
_COMMA = _pattern(".", ",")
_MARKER = re.compile(r"####|\\boxed\s*\{|\banswer\b[*_]*\s*(?:is\b\s*:?|[:=])[*_]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that stands in a text."""

    value: float | int
    percent: bool = False
    start: int = 0
    end: int = 0


def numbers(text: str, *, decimal_comma: bool = False) -> list[Number]:
    """All numbers in ``text``, in order. Digits inside words ("GPT4", "v2.0") are none."""
    found = []
    for match in (_COMMA if decimal_comma else _POINT).finditer(text):
        value = _value(match, decimal_comma)
        if value is not None:
            found.append(Number(value, match["percent"] is not None, match.start(), match.end()))
    return found


def _value(match: re.Match[str], decimal_comma: bool) -> float | int | None:
    digits = match["number"]
    if len(digits) > _LONGEST:
        return None
    digits = "".join(c for c in digits if c not in _GROUP and c != ("." if decimal_comma else ","))
    if decimal_comma:
        digits = digits.replace(",", ".")
    value: float | int
    if match["exponent"] is None and "." not in digits:
        value = int(digits)
    else:
        value = float(digits + (match["exponent"] or ""))
    if match["divisor"] is not None:
        if int(match["divisor"]) == 0:
            return None
        value = value / int(match["divisor"])
    if match["scale"] is not None:
        value = value * _SCALES[match["scale"].lower()]
    if match["sign"] in ("-", "−", "–"):
        value = -value
    return value if math.isfinite(value) else None


def whole(text: str, *, decimal_comma: bool = False) -> Number | None:
    """The number that ``text`` is, with nothing else but currency, unit sign of percent and a full stop."""
    bare = text.strip().removesuffix(".").rstrip(" €£¥₹$")
    if len(bare) > _LONGEST:
        return None
    found = numbers(bare, decimal_comma=decimal_comma)
    whole = len(found) == 1 and not bare[: found[0].start].strip() and not bare[found[0].end :].strip()
    return found[0] if whole else None


def answer(text: str, *, marker: str | None = None, decimal_comma: bool = False) -> tuple[Number | None, str]:
    """The number that ``text`` gives as its answer, and how it was found: ``marked`` or ``last``.

    After the last marker ("####", "answer:", "the answer is", a box in LaTeX, or ``marker``): the number that
    follows at once (behind the last equals sign of the line, if there is one), else the last one of the line.
    Without a marker, the last number of all.
    """
    pattern = re.compile(re.escape(marker), re.IGNORECASE) if marker else _MARKER
    end = -1
    for match in pattern.finditer(text):
        end = match.end()
    if end >= 0:
        line = text[end:].lstrip().split("\n", 1)[0]
        for part in (line.rpartition("=")[2], line):
            found = numbers(part, decimal_comma=decimal_comma)
            if found:
                at_once = not any(c.isalnum() for c in part[: found[0].start])
                return found[0 if at_once else -1], "marked"
    found = numbers(text, decimal_comma=decimal_comma)
    return (found[-1], "last") if found else (None, "last")


def given(value: Any, *, marker: str | None = None, decimal_comma: bool = False) -> Number | None:
    """The number meant by an expected value or an output that need not be a text."""
    if isinstance(value, bool):
        return None
    value = plain(value)
    if isinstance(value, int | float):
        # A whole number is finite, however long: isfinite() would refuse one that no float can hold.
        return Number(value) if isinstance(value, int) or math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    read = _given if len(value) <= _REMEMBERED else _given.__wrapped__
    return read(value, marker, decimal_comma)


def plain(value: Any) -> Any:
    """A number of another library (NumPy's, a Fraction, a Decimal) as Python's; anything else as it is."""
    if isinstance(value, int | float | str | bytes | None):
        return value
    from decimal import Decimal

    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real | Decimal) else value


@lru_cache(maxsize=4096)
def _given(text: str, marker: str | None, decimal_comma: bool) -> Number | None:
    return answer(text, marker=marker, decimal_comma=decimal_comma)[0]


def close(a: Number, b: Number, *, absolute: float, relative: float) -> bool:
    """Whether two numbers are equal within the tolerances.

    Where only one has a percent sign, 12 % is both 12 and 0.12: whichever the other one means.
    """
    if _close(a.value, b.value, absolute, relative):
        return True
    if a.percent == b.percent:
        return False
    left, right = (a.value / 100, b.value) if a.percent else (a.value, b.value / 100)
    return _close(left, right, absolute, relative)


def _close(a: float | int, b: float | int, absolute: float, relative: float) -> bool:
    if a == b:
        return True
    exact = isinstance(a, int) and isinstance(b, int)  # so that long identifiers are not equal as floats
    return abs(a - b) <= max(absolute, (0.0 if exact and relative <= ROUNDING else relative) * abs(b))


ROUNDING = 1e-9
"""Relative difference that is put down to how floats are written."""
