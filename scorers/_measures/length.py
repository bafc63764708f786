"""length: the output is neither too short nor too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import compress, repeat
from typing import Any

from scorers._base import Measure, only
from scorers._errors import ScorerSpecError
from scorers._text import as_text
from scorers._traced import output_tokens
from scorers._types import Sample, Score, late, late_all
from scorers._words import count_words, estimate_tokens, sentences

_COUNTS: dict[str, Callable[[str], int]] = {
    "chars": len,
    "words": count_words,
    "sentences": lambda text: len(sentences(text)),
}


_OTHER_SPACES = "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"
"""What else than a space stands between words, in ASCII."""
_OTHERS = ("chars", "sentences", "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Length(Measure):
    """1.0 where the output keeps all the given limits, else 0.0. Whitespace around it does not count.

    Words stand between spaces; in scripts without spaces (Chinese, Japanese, Thai, ...) each character is
    one. Tokens are those that the trace reports, else an estimate (a quarter of the characters).

    Kinds of evidence: ``match``, ``empty``, ``too_short``, ``too_long``; the counts that have a limit.

    Example:
        >>> from scorers import length
        >>> length(max_words=5)(output="Yes, we can do that.").value
        1.0
        >>> length(min_sentences=2)(output="Yes, we can do that.").evidence["kind"]
        'too_short'
    """

    name: str = "length"
    min_chars: int | None = None
    max_chars: int | None = None
    min_words: int | None = None
    max_words: int | None = None
    min_sentences: int | None = None
    max_sentences: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None

    def _check(self) -> None:
        given = False
        for unit in (*_COUNTS, "tokens"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            given = given or low is not None or high is not None
            if (low or 0) < 0 or (high is not None and high < (low or 0)):
                raise ScorerSpecError(
                    f"{self.name}: 'min_{unit}' must be from 0 to 'max_{unit}'", key=f"min_{unit}"
                )
        if not given:
            raise ScorerSpecError(f"{self.name}: give at least one limit, such as max_words", key="max_words")
        others = ("min_words", *(f"{end}_{unit}" for unit in _OTHERS for end in ("min", "max")))
        alone = all(getattr(self, name) is None for name in others)
        object.__setattr__(self, "_words_only", self.max_words is not None and alone)
        object.__setattr__(self, "_most", self.max_words or 0)

    _words_only: bool = field(init=False, repr=False, compare=False, default=False)
    """Whether ``max_words`` is the one limit."""
    _most: int = field(init=False, repr=False, compare=False, default=0)

    def _needs_expected(self) -> bool:
        return False

    def _quick(self, output: Any, expected: Any) -> Score | None:  # noqa: ARG002 - nothing is expected
        if not self._words_only or output.__class__ is not str or not output.isascii():
            return None
        # There are at most as many words as what stands between spaces. Where that is few enough, no word
        # need be looked at before somebody asks how many there are.
        most = self._most
        few = (output.count(" ") < most and output.isprintable()) or count_words(output) <= most
        return late(self, 1.0 if few else 0.0, output, None)

    def _all_quick(self, outputs: list[Any], expected: list[Any]) -> list[Score | None]:
        everything = "".join(outputs) if self._words_only and only(str, outputs) else "é"
        if not everything.isascii() or any([space in everything for space in _OTHER_SPACES]):  # noqa: C419
            return Measure._all_quick(self, outputs, expected)
        values = [1.0] * len(outputs)
        spaces = map(str.count, outputs, repeat(" "))
        most = self._most
        for index in compress(range(len(outputs)), map(most.__le__, spaces)):
            values[index] = float(count_words(outputs[index]) <= most)
        return [*late_all(self, values, outputs, repeat(None))]

    def _score(self, sample: Sample) -> Score:
        text = as_text(sample.output).strip()
        counts: dict[str, Any] = {}
        broken: list[tuple[str, str]] = []
        for unit in (*_COUNTS, "tokens"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if low is None and high is None:
                continue
            if unit == "tokens":
                reported = output_tokens(sample.trace)
                count = estimate_tokens(text) if reported is None else reported
                counts["tokens_from"] = "estimate" if reported is None else "trace"
            else:
                count = _COUNTS[unit](text)
            counts[unit] = count
            if low is not None and count < low:
                broken.append(("too_short", f"{count} {unit}, at least {low}"))
            elif high is not None and count > high:
                broken.append(("too_long", f"{count} {unit}, at most {high}"))
        if not broken:
            return self._found(1.0, "match", "", **counts)
        kind = "empty" if not text else broken[0][0]
        return self._found(0.0, kind, "; ".join(told for _, told in broken), **counts)


length = Length
