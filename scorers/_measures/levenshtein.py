"""levenshtein: how few characters would have to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scorers._measures._similar import Similar
from scorers._similarity import edit_distance
from scorers._text import composed


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

    def _one(self, output: str, reference: str) -> tuple[float, dict[str, Any]]:
        a, b = self._folded(output), self._folded(reference)
        if a == b:
            return 1.0, {"distance": 0}
        distance = edit_distance(a, b)
        return 1 - distance / max(len(a), len(b)), {"distance": distance}

    def _folded(self, text: str) -> str:
        text = composed(text.strip() if self.strip else text)
        return text.casefold() if self.ignore_case else text


levenshtein = Levenshtein
