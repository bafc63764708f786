"""chrf: which character sequences the output shares with its references."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from scorers._errors import ScorerSpecError
from scorers._measures._similar import Similar
from scorers._similarity import TooLongError, shared

_CHARACTERS = 6
_LONGEST = 300_000
"""Characters; the counts of more n-grams would fill the memory."""
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chrf(Similar):
    """chrF (Popović 2015) of one text as sacreBLEU computes it, divided by 100.

    F-score of runs of one to six characters without whitespace, recall counting ``beta`` times as much as
    precision. With ``words=2`` it is chrF++ (Popović 2017), which adds runs of words. It needs no
    tokeniser, so it serves every script. Of several references (a list) the closest counts.

    Kinds of evidence: ``match``, ``partial``, ``different``, ``empty``; ``precision`` and ``recall``.

    Example:
        >>> from scorers import chrf
        >>> round(chrf()(output="The cat sat on the mat.", expected="The cat is on the mat.").value, 4)
        0.6717
    """

    name: str = "chrf"
    words: int = 0
    """Longest run of words that counts too: 0 for chrF, 2 for chrF++."""
    beta: int = 2
    ignore_case: bool = False

    def _check(self) -> None:
        Similar._check(self)
        if not 0 <= self.words <= 4:
            raise ScorerSpecError(f"{self.name}: option 'words' must be from 0 to 4", key="words")
        if not 1 <= self.beta <= 10:
            raise ScorerSpecError(f"{self.name}: option 'beta' must be from 1 to 10", key="beta")

    def _one(self, output: str, reference: str) -> tuple[float, dict[str, Any]]:
        if self.ignore_case:
            output, reference = output.lower(), reference.lower()
        a, b = "".join(output.split()), "".join(reference.split())
        if not a and not b:
            return 1.0, {}
        if max(len(a), len(b)) > _LONGEST:
            raise TooLongError(f"more than {_LONGEST} characters")
        found = [_shares(_runs(a, order), _runs(b, order)) for order in range(1, _CHARACTERS + 1)]
        if self.words:
            x, y = _words(output), _words(reference)
            found += [_shares(_word_runs(x, n), _word_runs(y, n)) for n in range(1, self.words + 1)]
        both = [share for share in found if share is not None]
        if not both:
            return 0.0, {"precision": 0.0, "recall": 0.0}
        precision = sum(share[0] for share in both) / len(both)
        recall = sum(share[1] for share in both) / len(both)
        factor = self.beta**2
        weighed = factor * precision + recall
        evidence = {"precision": round(precision, 6), "recall": round(recall, 6)}
        return ((1 + factor) * precision * recall / weighed if weighed else 0.0), evidence


def _shares(a: Counter[Any], b: Counter[Any]) -> tuple[float, float] | None:
    if not a or not b:
        return None
    hits = shared(a, b)
    return hits / a.total(), hits / b.total()


def _runs(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))


def _word_runs(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _words(text: str) -> list[str]:
    """Words with one punctuation mark split off, at the end or else at the start, as the authors' tool
    does."""
    found: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            found += (word[:-1], word[-1])
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            found += (word[0], word[1:])
        else:
            found.append(word)
    return found


chrf = Chrf
