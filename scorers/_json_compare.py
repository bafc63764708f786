"""Comparing two JSON values: what is equal, and how much of two lists is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scorers._json import SCALARS
from scorers._text import composed


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
