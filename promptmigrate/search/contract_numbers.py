"""The contract of numbers and dates: how production writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from promptmigrate.search.text import most

_SIGNS = "$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba\u20ab\u0e3f\u20b4\u20aa"
_SPACES = " \u00a0\u202f"
_LETTER = r"[^\W\d_]"


def _notation(groups: str, point: str) -> re.Pattern[str]:
    """Matches a number with a sign out of ``groups`` between thousands and ``point`` before decimals."""
    return re.compile(
        rf"(?P<sign>[-+\u2212])?(?P<currency>[{_SIGNS}]|[A-Z]{{3}}(?=[\s\d]))?\s?"
        rf"(?P<digits>(?P<whole>\d{{1,3}}(?P<group>[{groups}])(?:\d{{2,3}}(?P=group))*\d{{3}}|\d+)"
        rf"(?:{point}(?P<decimals>\d+))?|{point}(?P<only>\d+))"
        rf"\s?(?P<unit>%|[{_SIGNS}]|(?:{_LETTER}|[\u00b0/]){{1,12}})?\.?"
    )


_NOTATIONS = (
    (_notation(",", r"\."), "commas", "point"),
    (_notation(".", ","), "points", "comma"),
    (_notation(_SPACES, ","), "spaces", "comma"),
    (_notation(_SPACES, r"\."), "spaces", "point"),
    (_notation("'\u2019", r"\."), "apostrophes", "point"),
)
"""How the world writes numbers; the first that fits is taken, so the one of English wins where several do."""
_AMBIGUOUS = re.compile(r"\D*[1-9]\d{0,2}\.\d{3}\D*")
"""A thousand in German and a fraction in English."""
_ENGLISH = _NOTATIONS[0][0]

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATES = (
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "a date written YYYY-MM-DD"),
    (
        re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?"),
        "an ISO 8601 date and time",
    ),
    (re.compile(r"\d{4}-\d{2}"), "a month written YYYY-MM"),
    (re.compile(r"\d{4}/\d{2}/\d{2}"), "a date written YYYY/MM/DD"),
    (re.compile(r"\d{2}\.\d{2}\.\d{4}"), "a date written DD.MM.YYYY"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "a date written D.M.YYYY"),
    (re.compile(rf"(?:{_MONTHS}) \d{{1,2}}, \d{{4}}"), 'a date written like "March 5, 2024"'),
    (re.compile(rf"\d{{1,2}} (?:{_MONTHS}) \d{{4}}"), 'a date written like "5 March 2024"'),
    (re.compile(r"\d{4}\u5e74\d{1,2}\u6708\d{1,2}\u65e5"), "a date written YYYY\u5e74M\u6708D\u65e5"),
    (re.compile(r"\d{2}:\d{2}"), "a time written HH:MM"),
    (re.compile(r"\d{2}:\d{2}:\d{2}"), "a time written HH:MM:SS"),
)
_PARTED = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2\d{4}")
"""Day and month in the order of the country."""


def date_form(values: Sequence[str]) -> str | None:
    """How ``values`` (some) are written, if all of them are dates or times of one form."""
    for pattern, name in _DATES:
        if all(map(pattern.fullmatch, values)):
            return name
    parted = [m for m in map(_PARTED.fullmatch, values) if m]
    if len(parted) < len(values) or len({m[2] for m in parted}) > 1:
        return None
    digits = 2 if all(len(m[1]) == len(m[3]) == 2 for m in parted) else 1
    day, month, sign = "D" * digits, "M" * digits, parted[0][2]
    if any(int(m[1]) > 12 for m in parted):
        return f"a date written {sign.join((day, month, 'YYYY'))}"
    if any(int(m[3]) > 12 for m in parted):
        return f"a date written {sign.join((month, day, 'YYYY'))}"
    return f"a date with {'slashes' if sign == '/' else 'hyphens'}, year last"


def is_number(text: str) -> bool:
    """Whether ``text`` is a number, with a currency or a unit at most."""
    return any(pattern.fullmatch(text) for pattern, _, _ in _NOTATIONS)


def number_form(texts: Sequence[str]) -> tuple[str, str] | None:
    """How ``texts`` (some) are written, and a short one of them; None where less than nine in ten are
    numbers of one notation."""
    fitting = (
        (pattern, matches, thousands, point)
        for pattern, thousands, point in _NOTATIONS
        if len(matches := [m for m in map(pattern.fullmatch, texts) if m]) >= 0.9 * len(texts)
    )
    found = next(fitting, None)
    if found is None:
        return None
    pattern, matches, thousands, point = found
    sample = min((m[0] for m in matches), key=lambda t: (len(t), t))
    decimals = [len(m["decimals"] or m["only"] or "") for m in matches]
    # None: some have it and some have not, which is nothing to be told.
    currency = most([m["currency"] or "" for m in matches], 0.8)
    unit = most([m["unit"] or "" for m in matches], 0.8)
    fractions = [m[0] for m in matches if m["decimals"] or m["only"]]
    if pattern is _ENGLISH and fractions and all(map(_AMBIGUOUS.fullmatch, fractions)):
        parts = [f'a number in digits, written like "{min(fractions, key=lambda t: (len(t), t))}"']
        thousands = ""
    elif not any(decimals):
        parts = ["a whole number in digits"]
    elif len(set(decimals)) == 1:
        parts = [f"a number in digits with exactly {decimals[0]} decimal place{'s' * (decimals[0] > 1)}"]
    else:
        parts = ["a number in digits"]
    if any(decimals) and point != "point":
        parts.append(f"with a decimal {point}")
    if currency is not None:
        parts.append(f"with the sign {currency} before it" if currency else "without a currency sign")
    if unit is not None:
        parts.append(f"with {unit!r} after it" if unit else "without a unit")
    if unit and not currency and unit in _SIGNS:
        parts.remove("without a currency sign")
    if thousands and (told := _thousands(matches, thousands)):
        parts.append(told)
    return ", ".join(parts), sample


def _thousands(matches: Sequence[re.Match[str]], sign: str) -> str:
    """What is so of numbers above a thousand; nothing where there are some of both."""
    grouped = any(m["group"] for m in matches)
    plain = any(len(m["whole"] or "") > 3 and not m["group"] for m in matches)
    if grouped:
        return "" if plain else f"with {sign} between thousands"
    return f"without {sign} between thousands" if plain or sign == "commas" else ""
