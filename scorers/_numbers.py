"""Numbers as people and models write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real
from typing import Any
from unicodedata import numeric

_LONGEST = 300
"""Digits; a longer run is no number that anybody means, and reading it costs quadratic time."""
_REMEMBERED = 100
"""Characters; expected values are met once per variant, but a cache must not keep long texts."""
_GROUP = "\u00a0\u202f\u2009_'’"
_SCALES = {
    "hundred": 1e2, "dozen": 12.0, "thousand": 1e3, "lakh": 1e5, "million": 1e6, "crore": 1e7,
    "billion": 1e9, "trillion": 1e12,
}  # fmt: skip
_SUFFIXES = {"k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "‰": 1e-3, "bps": 1e-4}
"""What may be a unit as well ("5m")."""
_FRACTIONS = {c: numeric(c) for c in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−", "0123456789-+-")


def _pattern(group: str, point: str) -> re.Pattern[str]:
    # Only where the decimals are set off by a comma may thousands be by a plain space: "1 234" else is two.
    spaced = " " if point == "," else ""
    groups, point, other = re.escape(group + _GROUP + spaced), re.escape(point), re.escape(group)
    plain = (
        rf"\d{{1,3}}(?:{point}\d{{3}})+{other}\d{{1,2}}(?!\d)"  # 1.234,50 among 1,234.50: no other reading
        rf"|(?:\d{{1,2}}(?:{other}\d\d)+{other}\d{{3}}(?!\d)"  # 12,34,567
        rf"|\d{{1,3}}(?:[{groups}]\d{{3}})+(?!\d)|\d+)(?:{point}\d+)?|{point}\d+"
    )
    halves = "".join(_FRACTIONS)
    return re.compile(
        # Not inside a word, a version or a date, nor an exponent ("cm^2"); a sign behind a number or a
        # bracket is an operator.
        rf"(?<!\w)(?<!\w{point})(?<!\d/)(?<!\^)(?<!\^\{{)(?P<sign>(?:(?<!\))[-−–+])?)"
        rf"(?:(?:[$€£¥₹]|USD|EUR|GBP|CHF|INR|JPY|CNY|CAD|AUD)\s?)?"
        rf"(?:(?P<number>{plain})(?P<half>[{halves}])?|(?P<part>[{halves}]))"
        rf"(?P<exponent>[eE][-+]?\d{{1,3}}(?!\w))?"
        rf"(?:\s?[×x*·]\s?10(?:\^\{{?(?P<ten>[-+−]?\d{{1,3}})\}}?|(?P<raised>[⁻⁺−]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}})))?"
        rf"(?:\^\{{?(?P<power>[-+−]?\d{{1,3}})\}}?)?"
        rf"(?:/(?P<divisor>\d{{1,15}})(?![\d/])|\s(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,3}})(?![\d/]))?"
        rf"(?:\s?(?P<percent>%|percent\b|per cent\b)|\s(?P<scale>{'|'.join(_SCALES)})\b"
        rf"|(?P<suffix>[kmb]|mn|bn|\s(?:mn|bn|bps)|‰)(?!\w))?",
        re.IGNORECASE,
    )


_POINT = _pattern(",", ".")
_COMMA = _pattern(".", ",")
_MARKER = re.compile(r"####|\\boxed\s*\{|\banswer\b[*_]*\s*(?:is\b\s*:?|[:=])[*_]*", re.IGNORECASE)
_BRACKETED = re.compile(r"(?:^|[:=|])[ \t$]*\([ \t]*\Z", re.MULTILINE)
"""What stands before a number in brackets that may be a negative one, as in accounts: "Loss: (1,234)"."""
_LATEX = re.compile(
    r"(?P<digit>\d?)\\[dt]?frac\{(?P<sign>-?)(?P<top>\d{1,15})\}\{(?P<bottom>\d{1,15})\}"
    r"|\{,\}|\\(?P<space>[,;! ])|\\(?P<times>times|cdot)\b|\\(?P<mark>[%$])"
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that stands in a text."""

    value: float | int
    percent: bool = False
    start: int = 0
    end: int = 0
    other: float | int | None = None
    """Another reading of it: 2.5M is 2.5 (of some unit) or 2,500,000; (500) in an account is -500."""


def numbers(text: str, *, decimal_comma: bool = False) -> list[Number]:
    """All numbers in ``text``, in order. Digits inside words ("GPT4", "v2.0") are none."""
    pattern, found, position = _COMMA if decimal_comma else _POINT, [], 0
    while match := pattern.search(text, position):
        position = match.end()
        if match["top"] is not None and not _mixed(match):
            position = match.start("top")  # two numbers: "in 2020 1/2 of them"
            match = pattern.search(text, match.start(), position) or match
        value = _value(match, decimal_comma)
        if value is not None:
            other = _other(match, value)
            found.append(Number(value, match["percent"] is not None, match.start(), match.end(), other))
    return found


def _mixed(match: re.Match[str]) -> bool:
    """Whether a number before a fraction and the fraction are one: 1 1/2."""
    whole = match["number"] or ""
    return len(whole) <= 3 and whole.isdecimal() and int(match["top"]) < int(match["bottom"])


def _value(match: re.Match[str], decimal_comma: bool) -> float | int | None:
    digits = match["number"] or ""
    if len(digits) > _LONGEST:
        return None
    value: float | int = _read(digits, "," if decimal_comma else ".", match["exponent"] or "")
    value += _FRACTIONS.get(match["half"] or match["part"], 0)
    divisor, top, bottom = match["divisor"], match["top"], match["bottom"]
    try:
        ten = match["ten"] or (match["raised"] or "").translate(_RAISED)
        if ten:
            value *= 10.0 ** int(ten.replace("−", "-"))
        if match["power"]:
            value = _raised(value, int(match["power"].replace("−", "-")))
        if divisor is not None:
            value = value / int(divisor)
        elif top is not None:
            value = value + int(top) / int(bottom)
        if match["scale"] is not None:
            value *= _SCALES[match["scale"].lower()]
    except (OverflowError, ZeroDivisionError):
        return None
    if match["sign"] in _MINUS:
        value = -value
    return value if isinstance(value, int) or math.isfinite(value) else None


def _read(digits: str, point: str, exponent: str) -> float | int:
    """A run of digits and separators. Of two kinds of separators, the last one is before the decimals."""
    if digits.rfind(".") >= 0 and digits.rfind(",") >= 0:
        point = max(".,", key=digits.rfind)
    digits = "".join(c for c in digits if c in "0123456789" or c == point or c.isdigit()).replace(point, ".")
    if not digits:
        return 0
    return float(digits + exponent) if exponent or "." in digits else int(digits)


def _raised(value: float | int, power: int) -> float | int:
    raised = float(value) ** power
    exact = isinstance(value, int) and power >= 0 and raised < 2**53
    return int(raised) if exact else raised


_MINUS = frozenset("-−–")


def _other(match: re.Match[str], value: float | int) -> float | int | None:
    suffix = match["suffix"]
    if suffix is not None:
        return value * _SUFFIXES[suffix.strip().lower()]
    text, start, end = match.string, match.start(), match.end()
    if match["sign"] or text[end : end + 1] != ")":
        return None
    before, after = text[max(0, start - 20) : start], text[end + 1 : end + 20].lstrip(" .€$%")
    alone = _BRACKETED.search(before) if start <= 20 else _BRACKETED.search("…" + before)
    return -value if alone and (not after or after[0] in "\n|") else None


def _without_latex(text: str) -> str:
    """``text`` with the fractions, spaces, products and escapes of LaTeX written plainly."""
    if "\\" not in text and "{,}" not in text:
        return text

    def plainly(match: re.Match[str]) -> str:
        if match["top"] is not None:
            gap = f"{match['digit']} " if match["digit"] else ""
            return f"{gap}{match['sign']}{match['top']}/{match['bottom']}"
        if match["space"] is not None:
            return "\u2009"
        if match["times"] is not None:
            return "×"
        return match["mark"] or ","

    return _LATEX.sub(plainly, text)


def whole(text: str, *, decimal_comma: bool = False) -> Number | None:
    """The number that ``text`` is, with nothing else but currency, unit sign of percent and a full stop."""
    bare = _without_latex(text).strip().removesuffix(".").rstrip(" €£¥₹$")
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
    text = _without_latex(text)
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

    Where only one has a percent sign, 12 % is both 12 and 0.12: whichever the other one means. So are the two
    readings of a number that has two, unless both have: then they are to be read alike.
    """
    if a.other is not None and b.other is not None:
        return _close(a.other, b.other, absolute, relative)
    if _close(a.value, b.value, absolute, relative):
        return True
    if a.other is not None or b.other is not None:
        left, right = (a.value, b.other) if a.other is None else (a.other, b.value)
        return right is not None and _close(left, right, absolute, relative)
    if a.percent == b.percent:
        return False
    left, right = (a.value / 100, b.value) if a.percent else (a.value, b.value / 100)
    return _close(left, right, absolute, relative)


def _close(a: float | int, b: float | int, absolute: float, relative: float) -> bool:
    if a == b:
        return True
    # So that long identifiers are not equal as floats.
    if isinstance(a, int) and isinstance(b, int) and relative <= ROUNDING:
        return abs(a - b) <= absolute
    try:
        return abs(a - b) <= max(absolute, relative * abs(b))
    except OverflowError:  # a whole number that no float can hold
        return False


ROUNDING = 1e-9
"""Relative difference that is put down to how floats are written."""
