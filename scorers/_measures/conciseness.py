"""conciseness: the output is no longer than it has to be."""

from __future__ import annotations

from dataclasses import dataclass

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._text import as_text, clip
from scorers._types import Sample, Score
from scorers._words import count_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Conciseness(Measure):
    """1.0 up to the allowed number of words, then falling evenly to 0.0 at twice as many.

    Allowed is ``max_words``, else ``ratio`` times the words of the expected answer. Nothing but words is
    counted; ``judged_conciseness`` asks a model whether they were needed.

    Kinds of evidence: ``match``, ``empty``, ``too_long``; ``words`` and ``allowed``.

    Example:
        >>> from scorers import conciseness
        >>> conciseness(max_words=4)(output="It is in Rome.").value
        1.0
        >>> conciseness(ratio=1.0)(output="Well, it is in Rome.", expected="It is in Rome").value
        0.75
    """

    name: str = "conciseness"
    max_words: int | None = None
    ratio: float = 1.5
    """How many times the words of the expected answer are still concise."""

    def _check(self) -> None:
        if self.max_words is not None and self.max_words < 1:
            raise ScorerSpecError(f"{self.name}: option 'max_words' must be at least 1", key="max_words")
        if self.ratio <= 0:
            raise ScorerSpecError(f"{self.name}: option 'ratio' must be above 0", key="ratio")

    def _needs_expected(self) -> bool:
        return self.max_words is None

    def _score(self, sample: Sample) -> Score:
        text = as_text(sample.output)
        words = count_words(text)
        if self.max_words is not None:
            allowed = float(self.max_words)
        else:
            allowed = self.ratio * count_words(as_text(sample.expected))
            if not allowed:
                return self._unscored("bad_expected", "the expected value has no words to compare with")
        evidence = {"words": words, "allowed": round(allowed, 3)}
        if not text.strip():
            return self._found(0.0, "empty", "the answer is empty", **evidence)
        if words <= allowed:
            return self._found(1.0, "match", "", **evidence)
        told = f"{words} words, {allowed:g} are allowed: {clip(text.strip())!r}"
        return self._found(max(0.0, 2 - words / allowed), "too_long", told, **evidence)


conciseness = Conciseness
