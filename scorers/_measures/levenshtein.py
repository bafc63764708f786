"""levenshtein: how few characters would have to change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import compress, repeat
from operator import le, not_
from typing import Any

from scorers._base import Measure, only
from scorers._measures._similar import Similar
from scorers._similarity import MAX_CELLS, affordable, affordable_distance, edit_distance, edit_distances
from scorers._text import composed
from scorers._types import Score, late, late_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Levenshtein(Similar):
    """1 minus the edit distance as a share of the longer text: 1.0 for equal texts, 0.0 where nothing is
    left.

    Insertions, deletions and substitutions cost one each. rapidfuzz is used where it is installed
    (``promptmigrate[text]``); without it the values are the same. Texts whose lengths multiply to more than
    2.5 billion are unscored (``timeout``).

    Kinds of evidence: ``match``, ``partial``, ``different``, ``empty``; ``distance`` is the number of
    changes.

    Example:
        >>> from scorers import levenshtein
        >>> score = levenshtein()(output="kitten", expected="sitting")
        >>> round(score.value, 4), score.evidence["distance"]
        (0.5714, 3)
        >>> levenshtein(threshold=0.9)(output="Main Street 12", expected="Main Street 13").value
        1.0
    """

    name: str = "levenshtein"
    ignore_case: bool = False
    strip: bool = True
    """Whitespace around both texts does not count."""

    _same: Score = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Similar.__post_init__(self)
        object.__setattr__(self, "_same", self._shared("match", similarity=1.0, distance=0))

    def _quick(self, output: Any, expected: Any) -> Score | None:
        if output.__class__ is not str or expected.__class__ is not str or self.ignore_case:
            return None
        if not (output.isascii() and expected.isascii()):
            return None  # accents may have to be composed
        a, b = (output.strip(), expected.strip()) if self.strip else (output, expected)
        if a == b:
            return self._same
        n, m = len(a), len(b)
        if not n or not m or not affordable(a, b):
            return None
        value = _similarity(affordable_distance(a, b), n if n > m else m)
        if self.threshold is not None:
            value = float(value >= self.threshold)
        return late(self, value, output, expected)

    def _all_quick(self, outputs: list[Any], expected: list[Any]) -> list[Score | None]:
        if self.ignore_case or not (_ascii(outputs) and _ascii(expected)):
            return Measure._all_quick(self, outputs, expected)
        a, b = outputs, expected
        if self.strip:
            a, b = list(map(str.strip, outputs)), list(map(str.strip, expected))
        n, m = list(map(len, a)), list(map(len, b))
        if max(n, default=0) * max(m, default=0) > MAX_CELLS:
            return Measure._all_quick(self, outputs, expected)
        distances = edit_distances(a, b)
        values: Iterable[float] = map(_similarity, distances, map(max, n, m, repeat(1)))
        if self.threshold is not None:
            values = map(float, map(partial(le, self.threshold), values))
        scores: list[Score | None] = [*late_all(self, values, outputs, expected)]
        for index in compress(range(len(scores)), map(not_, distances)):
            scores[index] = self._same
        return scores

    def _one(self, output: str, reference: str) -> tuple[float, dict[str, Any]]:
        a, b = self._folded(output), self._folded(reference)
        if a == b:
            return 1.0, {"distance": 0}
        distance = edit_distance(a, b)
        return 1 - distance / max(len(a), len(b)), {"distance": distance}

    def _folded(self, text: str) -> str:
        text = composed(text.strip() if self.strip else text)
        return text.casefold() if self.ignore_case else text


@lru_cache(maxsize=1 << 16)
def _similarity(distance: int, longest: int) -> float:
    return round(1 - distance / longest, 12)  # rounding takes longer than looking it up


def _ascii(texts: Sequence[Any]) -> bool:
    """Whether there are only texts, and no accents that may have to be composed."""
    return only(str, texts) and "".join(texts).isascii()


levenshtein = Levenshtein
