"""JSON as a strict consumer reads it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal, TypeAlias

from scorers._extras import installed

MAX_DEPTH = 100
"""Levels of nesting; a deeper text is not read: it would exhaust the stack of whoever does."""

Problem: TypeAlias = Literal["", "empty", "fenced", "surrounded", "invalid", "too_deep"]


PROBLEMS: dict[str, tuple[str, str]] = {
    "empty": ("empty", "the answer is empty"),
    "fenced": ("fenced_json", "the JSON stands in a Markdown code block, which a JSON parser refuses"),
    "surrounded": ("text_around_json", "there is text around the JSON, which a JSON parser refuses"),
    "invalid": ("invalid_json", "the answer is not JSON"),
    "too_deep": ("invalid_json", "the JSON is nested too deeply to be read"),
}
"""The kind of evidence for each problem, and the reason in words."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value, or the problem that a strict parser has with the text."""

    value: Any = None
    problem: Problem = ""


def read(given: Any, *, allow_fences: bool = False) -> Parsed:
    """``given`` as JSON. A text is parsed strictly: no NaN, no fences, nothing around it.

    What is not a text is taken as the value itself. With ``allow_fences``, one Markdown code block that holds
    JSON is read, whatever is said around it.
    """
    if isinstance(given, bytes | bytearray):
        given = bytes(given).decode("utf-8", "replace")
    if not isinstance(given, str):
        return Parsed(given) if depth_within(given, MAX_DEPTH) else Parsed(problem="too_deep")
    strict = _parse(given)
    if not strict.problem or strict.problem in ("empty", "too_deep"):
        return strict
    fenced = _in_fence(given)
    if fenced is not None:
        inner = _parse(fenced)
        if not inner.problem:
            return inner if allow_fences else Parsed(problem="fenced")
    return Parsed(problem="surrounded") if _holds_object(given) else strict


def read_reference(given: Any) -> Parsed:
    """:func:`read` with fences allowed, remembering short texts: references are met once per variant.

    Nobody may change the value.
    """
    if isinstance(given, str) and len(given) <= _REMEMBERED:
        return _remembered(given)
    return read(given, allow_fences=True)


@lru_cache(maxsize=1024)
def _remembered(text: str) -> Parsed:
    return read(text, allow_fences=True)


def _parse(text: str) -> Parsed:
    if not text or text.isspace():
        return Parsed(problem="empty")
    try:
        value = scan(text)
    except RecursionError:
        return Parsed(problem="too_deep")
    except ValueError:  # includes integers with too many digits
        return Parsed(problem="invalid")
    flat = few_brackets(text) or depth_within(value, MAX_DEPTH)
    return Parsed(value) if flat else Parsed(problem="too_deep")


Kind: TypeAlias = Literal["object", "list", "invalid"]

_ENDS: dict[str, Kind] = {"{}": "object", "[]": "list"}
_SCALAR = frozenset('"-0123456789tfn')
"""What a JSON text of one value may start with."""


def quick_type(text: str) -> Kind | None:
    """What ``text`` certainly is as strict JSON; None where it takes a closer look."""
    bare = text.strip(_SPACE)
    kind = _ENDS.get(bare[:1] + bare[-1:])
    if kind is None:  # cut short, or talk around it: the most frequent faults need no parser
        return None if not bare or bare[0] in _SCALAR else "invalid"
    if not believable(text):
        return None
    try:
        validator()(text)
    except (ValueError, RecursionError):
        try:
            scan(text)
        except ValueError:
            return "invalid"
        except RecursionError:
            return None
    return kind


def quick_types(texts: Sequence[str]) -> tuple[list[Kind | None], list[int]]:
    """:func:`quick_type` of each text, and the indices of those that are neither object nor list."""
    valid, short = validator(), _SHORT
    found: list[Kind | None] = []
    others: list[int] = []
    kind: Kind | None
    for text in texts:  # the loop of quick_type without its calls: they would take most of the time
        try:
            first, last = text[0], text[-1]
            kind = (
                "object" if first == "{" and last == "}" else "list" if first == "[" and last == "]" else None
            )
            if kind is None or (len(text) > short and not believable(text)):
                kind = quick_type(text)
            else:
                valid(text)
        except (ValueError, RecursionError, IndexError):
            kind = quick_type(text)
        if kind is None or kind == "invalid":
            others.append(len(found))
        found.append(kind)
    return found, others


def believable(text: str) -> bool:
    """Whether all parsers agree on ``text``: it holds no number that int() refuses, and is not too deep."""
    return len(text) <= _SHORT or (len(text) <= _QUICK and few_brackets(text))


def few_brackets(text: str) -> bool:
    """Whether ``text`` has so few opening brackets that it cannot be deep; cheaper to see than to measure."""
    return text.count("{") + text.count("[") <= MAX_DEPTH


_SHORT = 2 * MAX_DEPTH
_QUICK = 4_000


@cache
def validator() -> Callable[[str], Any]:
    """What finds out fastest whether a :func:`believable` text is JSON; it raises ValueError where not.

    msgspec, where it is installed, checks the text without making a value of it (a tenth of the time of the
    standard library's scanner); orjson takes half the time. What they refuse, the standard library decides:
    they know no lone surrogates.
    """
    if installed("msgspec"):
        fast: Any = importlib.import_module("msgspec")
        check: Callable[[str], Any] = fast.json.Decoder(fast.Raw).decode
        return check
    if installed("orjson"):
        loads: Callable[[str], Any] = importlib.import_module("orjson").loads
        return loads
    return scan


def loads(text: str) -> Any:
    """:func:`scan`, in less than half the time where msgspec is installed."""
    if believable(text):
        try:
            return reader()(text)
        except ValueError:
            pass
    return scan(text)


@cache
def reader() -> Callable[[str], Any]:
    """What makes the value of a :func:`believable` JSON text fastest, exactly as the standard library would.

    orjson does not: it makes floats of whole numbers beyond 64 bits.
    """
    if installed("msgspec"):
        fast: Any = importlib.import_module("msgspec")
        read: Callable[[str], Any] = fast.json.Decoder().decode
        if read(str(_LONG)) == _LONG:  # old versions make a float of it, too
            return read
    return scan


_LONG = 2**64 + 1


def scan(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    bare = text.strip(_SPACE)
    try:
        value, end = _scan(bare, 0)
    except StopIteration:
        raise ValueError("not JSON") from None
    if end != len(bare):
        raise ValueError("more than JSON")
    return value


def _in_fence(text: str) -> str | None:
    """What stands in the first Markdown code block (no regular expression: a hostile text costs no more)."""
    start = text.find("```")
    begin = text.find("\n", start) if start >= 0 else -1
    end = text.find("```", begin) if begin >= 0 else -1
    return text[begin:end] if end >= 0 else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_decoder: Any = json.JSONDecoder(parse_constant=_refuse)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once
"""The C scanner itself: what the decoder adds to it costs as much again for a short text."""
_SPACE = " \t\n\r"
"""White space as JSON knows it."""
_REMEMBERED = 4_000
"""Characters; a cache must not keep long texts."""


def _holds_object(text: str) -> bool:
    """Whether there is prose around what would be a JSON object or array."""
    for opening, closing in ("{}", "[]"):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end and not _parse(text[start : end + 1]).problem:
            return True
    return False


SCALARS = frozenset({str, int, float, bool, type(None)})


def depth_within(value: Any, most: int) -> bool:
    """Whether ``value`` is nested at most ``most`` levels deep (one that holds itself is not)."""
    level = [value]
    for _ in range(most + 1):
        level = [
            child
            for item in level
            if item.__class__ not in SCALARS and isinstance(item, Mapping | list | tuple)
            for child in (item.values() if isinstance(item, Mapping) else item)
        ]
        if not level:
            return True
    return False
