"""contains: certain texts stand in the output, or do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._text import as_text, clip, composed, contains_word
from scorers._types import Sample, Score, late


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains(Measure):
    """1.0 where the output has all, any or none of the given texts, else 0.0.

    Kinds of evidence: ``match``, ``empty``, ``missing`` (all, any), ``forbidden`` (none). ``found`` and
    ``missing`` list the texts.

    Example:
        >>> from scorers import contains
        >>> contains(texts=["refund", "sorry"], mode="any")(output="We are sorry.").value
        1.0
        >>> contains(mode="none")(output="As an AI model ...", expected="as an AI").value
        0.0
    """

    name: str = "contains"
    texts: tuple[str, ...] | None = None
    """What to look for; by default the expected value (a text or a list of texts)."""
    mode: Literal["all", "any", "none"] = "all"
    ignore_case: bool = True
    whole_words: bool = False
    """Only where it is not a part of a longer word."""

    _wanted: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())
    """``texts`` in the form in which they are looked for."""

    def _check(self) -> None:
        if self.texts is not None and not all(self.texts):
            raise ScorerSpecError(f"{self.name}: option 'texts' holds an empty text", key="texts")
        if self.texts == ():
            raise ScorerSpecError(f"{self.name}: option 'texts' is empty", key="texts")
        object.__setattr__(self, "_wanted", tuple(map(self._folded, self.texts or ())))

    def _needs_expected(self) -> bool:
        return self.texts is None

    def _quick(self, output: Any, expected: Any) -> Score | None:
        if output.__class__ is not str or self.whole_words or not output.isascii():
            return None  # accents may have to be composed
        texts = self._wanted
        if not texts:
            if expected.__class__ is not str or not expected or self.texts is not None:
                return None
            texts = (self._folded(expected),)
        folded = output.lower() if self.ignore_case else output
        if self.mode == "all":
            met = all(text in folded for text in texts)
        else:
            met = any(text in folded for text in texts) is (self.mode == "any")
        return late(self, float(met), output, expected)

    def _score(self, sample: Sample) -> Score:
        texts = self.texts
        if texts is None:
            many = isinstance(sample.expected, list | tuple)
            texts = tuple(as_text(t) for t in sample.expected) if many else (as_text(sample.expected),)
            if not texts or not all(texts):
                return self._unscored("bad_expected", "the expected value holds no text to look for")
        output = as_text(sample.output)
        folded = self._folded(output)
        found = [text for text in texts if self._has(folded, self._folded(text))]
        missing = [text for text in texts if text not in found]
        if (not missing) if self.mode == "all" else bool(found) is (self.mode == "any"):
            kind, rationale = "match", ""
        elif self.mode == "none":
            kind, rationale = "forbidden", f"the answer holds {_listed(found)}, which it must not"
        else:
            kind = "missing" if output.strip() else "empty"
            rationale = f"the answer lacks {_listed(missing)}: {clip(output.strip())!r}"
        return self._found(
            float(kind == "match"),
            kind,
            rationale,
            found=[clip(text) for text in found],
            missing=[clip(text) for text in missing],
        )

    def _folded(self, text: str) -> str:
        text = composed(text)
        return text.casefold() if self.ignore_case else text

    def _has(self, output: str, text: str) -> bool:
        return contains_word(output, text) if self.whole_words else text in output


def _listed(texts: list[str]) -> str:
    shown = ", ".join(repr(clip(text, 40)) for text in texts[:5])
    return shown + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


contains = Contains
