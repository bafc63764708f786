"""JSON as a strict consumer reads it, and comparing two JSON values."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, Literal, TypeAlias

from scorers._extras import installed
from scorers._text import composed

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How leaf values are compared."""

    tolerance: float = 0.0
    ignore_case: bool = False
    ignore_order: bool = False

    def same(self, a: Any, b: Any) -> bool:
        """Whether two JSON values are equal. True is not 1; 1 is 1.0; keys have no order."""
        if a.__class__ is b.__class__ and a.__class__ in SCALARS and a == b:
            return True
        if isinstance(a, Mapping):
            return isinstance(b, Mapping) and a.keys() == b.keys() and all(self.same(a[k], b[k]) for k in a)
        if isinstance(a, list | tuple):
            if not isinstance(b, list | tuple) or len(a) != len(b):
                return False
            if self.ignore_order:
                return self.shared(a, b) == len(a)
            return all(self.same(x, y) for x, y in zip(a, b, strict=True))
        if isinstance(a, str):
            return isinstance(b, str) and self._folded(a) == self._folded(b)
        if a is None or isinstance(a, bool):
            return a is b
        if isinstance(a, int | float):
            number = isinstance(b, int | float) and not isinstance(b, bool)
            return number and (a == b or abs(a - b) <= self.tolerance)
        return bool(a == b)

    def shared(self, a: Any, b: Any) -> int:
        """How many items of the list ``a`` have an equal one in ``b``, each used once.

        With a tolerance each is compared with each, up to 200 values in a list; longer lists are compared
        without it.
        """
        if self.tolerance and size(a) <= _PAIRWISE and size(b) <= _PAIRWISE:
            return self._shared_pairwise(a, list(b))
        return len(a) - len(self.unmatched(a, b)[0])

    def unmatched(self, a: Any, b: Any) -> tuple[list[Any], list[Any]]:
        """The items of two lists that have no equal one in the other, each used once, without tolerance."""
        places: dict[Any, list[int]] = {}
        for index, item in enumerate(b):
            places.setdefault(self._key(item), []).append(index)
        left, used = [], set()
        for item in a:
            same = places.get(self._key(item))
            if same:
                used.add(same.pop())
            else:
                left.append(item)
        return left, [item for index, item in enumerate(b) if index not in used]

    def repeats(self, items: Any) -> bool:
        """Whether two of ``items`` are equal."""
        return len({self._key(item) for item in items}) < len(items)

    def unordered(self) -> Comparison:
        """The same comparison, with lists in any order."""
        return self if self.ignore_order else replace(self, ignore_order=True)

    def _shared_pairwise(self, a: Any, left: list[Any]) -> int:
        found = 0
        for item in a:
            for index, other in enumerate(left):
                if self.same(item, other):
                    del left[index]
                    found += 1
                    break
        return found

    def _key(self, value: Any) -> Any:
        """Something hashable that is equal for equal values."""
        if isinstance(value, str):
            return self._folded(value)
        if isinstance(value, Mapping):
            return "object", frozenset((key, self._key(child)) for key, child in value.items())
        if isinstance(value, list | tuple):
            keys = [self._key(child) for child in value]
            if not self.ignore_order:
                return "list", tuple(keys)
            counts: dict[Any, int] = {}
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
            return "list", frozenset(counts.items())
        return ("bool", value) if isinstance(value, bool) else ("value", value)

    def _folded(self, text: str) -> str:
        text = composed(text)
        return text.casefold() if self.ignore_case else text


_PAIRWISE = 200


def size(value: Any) -> int:
    """How many values ``value`` holds, at whatever depth."""
    if isinstance(value, Mapping):
        return 1 + sum(map(size, value.values()))
    return 1 + sum(map(size, value)) if isinstance(value, list | tuple) else 1
