"""How alike two texts are: edit distance, longest common subsequence, shared words and n-grams.

The quadratic ones work on whole rows of the table at once, as bits of one long integer.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache, partial
from itertools import compress
from typing import Any, TypeVar

from scorers._extras import installed

_T = TypeVar("_T", bound=Hashable)
MAX_CELLS = 2_500_000_000
"""Length times length of what is compared letter by letter or word by word; more takes seconds."""


class TooLongError(ValueError):
    """The texts are too long to be compared in bounded time."""


def edit_distance(a: str, b: str) -> int:
    """The least number of insertions, deletions and substitutions that turn ``a`` into ``b`` (Levenshtein).

    rapidfuzz counts, where it is installed; else the bit-parallel method of Hyyrö (2003) on Python integers.

    Raises:
        TooLongError: more than :data:`MAX_CELLS` pairs of characters.
    """
    a, b = _differing(a, b)
    if not a or not b:
        return len(a) + len(b)
    _check_size(a, b)
    return affordable_distance(a, b)


def affordable_distance(a: str, b: str) -> int:
    """:func:`edit_distance` of two texts that are known to be :func:`affordable`."""
    count = counter()
    return distance_by_bits(a, b) if count is None else _within_bands(count, a, b, _BANDS)


def edit_distances(a: Sequence[str], b: Sequence[str]) -> list[int]:
    """:func:`affordable_distance` of each pair; with rapidfuzz the loop runs in C."""
    count = counter()
    if count is None:
        return list(map(distance_by_bits, a, b))
    near, *wider = _BANDS
    found = list(map(partial(count, score_cutoff=near), a, b))
    for index in compress(range(len(found)), map(near.__lt__, found)):
        found[index] = _within_bands(count, a[index], b[index], wider)
    return found


_BANDS = (31, 127, 511)
"""Up to how many edits are looked for first. Only a band along the table's diagonal is filled for that
(Ukkonen 1985). The first fits one machine word: texts that are alike take a fraction of the time, others lose
little."""


def _within_bands(count: Callable[..., int], a: str, b: str, bands: Iterable[int]) -> int:
    longest = max(len(a), len(b))
    for most in bands:
        if 2 * most >= longest:
            break  # the whole table is hardly more
        distance = count(a, b, score_cutoff=most)
        if distance <= most:
            return distance
    return count(a, b)


@cache
def counter() -> Callable[..., int] | None:
    """rapidfuzz's count of edits, if it is installed. With ``score_cutoff``, more than that is told as one
    more than that."""
    if not installed("rapidfuzz"):
        return None
    fast: Any = importlib.import_module("rapidfuzz.distance.Levenshtein")
    count: Callable[..., int] = fast.distance
    return count


def distance_by_bits(a: str, b: str) -> int:
    """:func:`edit_distance` by the standard library only, of texts of whatever length."""
    if len(a) > len(b):
        a, b = b, a
    if not a:
        return len(b)
    where = _positions(a)
    everything = (1 << len(a)) - 1
    last = 1 << (len(a) - 1)
    up, down, distance = everything, 0, len(a)
    for character in b:
        same = where.get(character, 0)
        diagonal = (((same & up) + up) ^ up) | same | down
        right_up = down | (everything & ~(diagonal | up))
        right_down = up & diagonal
        if right_up & last:
            distance += 1
        elif right_down & last:
            distance -= 1
        right_up = (right_up << 1) | 1
        right_down <<= 1
        up = (right_down | ~(diagonal | right_up)) & everything
        down = right_up & diagonal & everything
    return distance


def common_subsequence(a: Sequence[_T], b: Sequence[_T]) -> int:
    """The length of the longest common subsequence, bit-parallel (Hyyrö 2004).

    Raises:
        TooLongError: more than :data:`MAX_CELLS` pairs of items.
    """
    shorter, longer = (a, b) if len(a) <= len(b) else (b, a)
    left, right = _differing(shorter, longer)
    outside = len(shorter) - len(left)
    if not left or not right:
        return outside
    _check_size(left, right)
    where = _positions(left)
    everything = (1 << len(left)) - 1
    row = everything
    for item in right:
        hit = row & where.get(item, 0)
        if hit:
            row = ((row + hit) | (row - hit)) & everything
    return outside + len(left) - row.bit_count()


def affordable(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two sequences can be compared in bounded time."""
    return len(a) * len(b) <= MAX_CELLS


def _check_size(a: Sequence[Any], b: Sequence[Any]) -> None:
    if not affordable(a, b):
        raise TooLongError(f"{len(a)} times {len(b)} is more than can be compared in bounded time")


def _positions(items: Sequence[_T]) -> dict[_T, int]:
    """For each item, the places where it stands, as bits."""
    if len(items) <= 64:
        short: dict[_T, int] = {}
        for index, item in enumerate(items):
            short[item] = short.get(item, 0) | 1 << index
        return short
    places: dict[_T, bytearray] = {}
    for index, item in enumerate(items):
        row = places.setdefault(item, bytearray())
        byte = index >> 3
        if len(row) <= byte:
            row.extend(bytes(byte + 1 - len(row)))
        row[byte] |= 1 << (index & 7)
    return {item: int.from_bytes(row, "little") for item, row in places.items()}


_S = TypeVar("_S", bound=Sequence[Any])


def _differing(a: _S, b: _S) -> tuple[_S, _S]:
    """What is left of both without a common start and a common end."""
    start = _alike(len(a), len(b), lambda low, high: a[low:high] == b[low:high])
    a, b = a[start:], b[start:]  # type: ignore[assignment]
    n, m = len(a), len(b)
    end = _alike(n, m, lambda low, high: a[n - high : n - low] == b[m - high : m - low])
    return a[: n - end], b[: m - end]  # type: ignore[return-value]


def _alike(n: int, m: int, same: Any) -> int:
    low, high = 0, min(n, m)
    if same(0, high):
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if same(low, middle):
            low = middle
        else:
            high = middle - 1
    return low


def f_measure(right: float, given: float, expected: float) -> tuple[float, float, float]:
    """Precision, recall and F1 of ``right`` items out of those given and those expected (both empty: all
    1)."""
    precision = right / given if given else float(not expected)
    recall = right / expected if expected else float(not given)
    f1 = 2 * right / (given + expected) if given + expected else 1.0
    return precision, recall, f1


def shared(a: dict[_T, int], b: dict[_T, int]) -> int:
    """How many items two counts have in common."""
    if len(a) > len(b):
        a, b = b, a
    return sum(min(count, b[item]) for item, count in a.items() if item in b)


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of the angle between two vectors; 0.0 if one has no length.

    Raises:
        ValueError: they differ in length, or hold something that is not a finite number.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"the vectors have {len(a)} and {len(b)} values")
    x, y = [float(v) for v in a], [float(v) for v in b]
    norm = math.hypot(*x) * math.hypot(*y)
    if not math.isfinite(norm):
        raise ValueError("a vector holds a value that is not a finite number")
    return math.fsum(p * q for p, q in zip(x, y, strict=True)) / norm if norm else 0.0
