"""Cheap checks that settle the clear cases, so that a judge is asked only about the others."""

from __future__ import annotations

import re
from typing import Any

from scorers._json import Parsed, read
from scorers._json_compare import Comparison
from scorers._numbers import ROUNDING, Number, close, whole
from scorers._text import as_text, normalise_prose

_EXACT = Comparison()
_BARE = re.compile(r"[-+−]?(?!0\d)[\d,]{1,40}(?:\.\d{1,40})?(?:[eE][-+]?\d{1,3})?")


def settled(output: Any, expected: Any) -> tuple[bool, str] | None:
    """Whether the two are certainly the same or certainly not, and the check that says so; else None.

    Same: both empty, equal numbers, equal JSON, identical but for case, whitespace and marks around (JSON
    must be equal as JSON). Not the same: one empty, two numbers that differ.
    """
    left, right = as_text(output), as_text(expected)
    if not left.strip() or not right.strip():
        both = not left.strip() and not right.strip()
        return both, "both_empty" if both else "empty"
    if left == right:
        return True, "identical"
    a, b = _number(output), _number(expected)
    if a is not None and b is not None:
        equal = close(a, b, absolute=0.0, relative=ROUNDING)
        return equal, "equal_number" if equal else "other_number"
    wanted = container(expected)
    if wanted is not None:
        got = container(output)
        same_json = got is not None and _EXACT.same(got.value, wanted.value)
        return (True, "equal_json") if same_json else None
    return (True, "identical") if normalise_prose(left) == normalise_prose(right) else None


def _number(value: Any) -> Number | None:
    """``value`` as a bare number. With a unit, a currency or leading zeros (a code) it may mean more."""
    text = "" if isinstance(value, bool) else as_text(value).strip()
    return whole(text) if _BARE.fullmatch(text) else None


def container(value: Any) -> Parsed | None:
    """``value`` as a JSON object or array, or None if it is not one."""
    if isinstance(value, str) and not value.lstrip().startswith(("{", "[")):
        return None
    parsed = read(value)
    return parsed if not parsed.problem and isinstance(parsed.value, dict | list | tuple) else None
