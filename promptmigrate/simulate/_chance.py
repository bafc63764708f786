"""Randomness by content: the same words give the same number in every process, in any order, at any time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_SCALE32 = 1 / 2**32


def digest(*parts: str) -> bytes:
    """16 bytes that stand for ``parts``; no two different lists of parts share them by construction."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(raw))
        state.update(raw)
    return state.digest()


def _words(seed: bytes, key: str) -> tuple[float, float]:
    raw = hashlib.blake2b(key.encode(), digest_size=8, key=seed).digest()
    return int.from_bytes(raw[:4], "big") * _SCALE32, int.from_bytes(raw[4:], "big") * _SCALE32


def unit(seed: bytes, key: str) -> float:
    """A number in [0, 1) that belongs to ``seed`` and ``key``."""
    return _words(seed, key)[0]


def pick(seed: bytes, key: str, choices: Sequence[T]) -> T:
    """One of ``choices``, by ``seed`` and ``key``."""
    return choices[int(unit(seed, key) * len(choices))]


class Dice:
    """The luck of one call: partly the row's own, partly new for each wording of the request.

    A row that is hard stays hard under most prompts, as with real models, so two prompts agree on most rows;
    a share ``fresh`` of the draws belongs to this very request. The chance of an event is its nominal one
    either way.
    """

    __slots__ = ("_call", "_fresh", "_model_row", "_row")

    def __init__(self, *, model: str, row: str, call: bytes, fresh: float) -> None:
        self._row = digest(row)
        self._model_row = digest(model, row)
        self._call = call
        self._fresh = fresh

    def unit(self, key: str) -> float:
        """A number in [0, 1) for ``key``."""
        coin, value = _words(self._call, key)
        return value if coin < self._fresh else unit(self._model_row, key)

    def chance(self, key: str, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self.unit(key) < probability

    def shared(self, key: str, probability: float) -> bool:
        """The same for every model and prompt: a property of the row alone."""
        return unit(self._row, key) < probability

    def pick(self, key: str, choices: Sequence[T]) -> T:
        """One of ``choices``."""
        return choices[int(self.unit(key) * len(choices))]


def lognormal(seed: bytes, key: str, sigma: float) -> float:
    """A factor with median 1 and the given spread on the log scale."""
    first, second = _words(seed, key)
    return math.exp(sigma * math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(2.0 * math.pi * second))
