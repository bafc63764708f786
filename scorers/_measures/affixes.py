"""starts_with and ends_with: the output begins or ends with a certain text."""

from __future__ import annotations

from dataclasses import dataclass

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._text import as_text, clip, composed
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class _Affix(Measure):
    texts: tuple[str, ...] | None = None
    """Any of these will do; by default the expected value (a text or a list of texts)."""
    ignore_case: bool = True
    strip: bool = True
    """Whitespace around the output does not count."""

    def _check(self) -> None:
        if self.texts is not None and not (self.texts and all(self.texts)):
            raise ScorerSpecError(f"{self.name}: option 'texts' is empty or holds an empty text", key="texts")

    def _needs_expected(self) -> bool:
        return self.texts is None

    def _score(self, sample: Sample) -> Score:
        texts = self.texts
        if texts is None:
            many = isinstance(sample.expected, list | tuple)
            texts = tuple(map(as_text, sample.expected)) if many else (as_text(sample.expected),)
            if not texts or not all(texts):
                return self._unscored("bad_expected", "the expected value holds no text to look for")
        output = as_text(sample.output)
        if self.strip:
            output = output.strip()
        for text in texts:
            if self._has(output, text):
                return self._found(1.0, "match", "", found=clip(text))
        kind = "different" if output.strip() else "empty"
        shown = " or ".join(repr(clip(text, 40)) for text in texts[:3])
        more = f" or {len(texts) - 3} others" if len(texts) > 3 else ""
        return self._found(0.0, kind, self._told(output, shown + more))

    def _has(self, output: str, text: str) -> bool:
        # Case folding and composing can shorten a text to an eighteenth, and lengthen it threefold.
        part, folded = self._part(output, 18 * len(text) + 18), self._folded(text)
        part = self._folded(part)
        return self._at(part, folded) if folded else False

    def _folded(self, text: str) -> str:
        text = composed(text)
        return text.casefold() if self.ignore_case else text

    def _part(self, output: str, length: int) -> str:
        raise NotImplementedError

    def _at(self, output: str, text: str) -> bool:
        raise NotImplementedError

    def _told(self, output: str, wanted: str) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsWith(_Affix):
    """1.0 where the output begins with one of the given texts, else 0.0.

    Kinds of evidence: ``match`` (``found`` is the text), ``empty``, ``different``.

    Example:
        >>> from scorers import starts_with
        >>> starts_with(texts=["Dear", "Hello"])(output="Hello Ann,").value
        1.0
        >>> starts_with()(output="Sure! SELECT 1", expected="select").value
        0.0
    """

    name: str = "starts_with"

    def _part(self, output: str, length: int) -> str:
        return output[:length]

    def _at(self, output: str, text: str) -> bool:
        return output.startswith(text)

    def _told(self, output: str, wanted: str) -> str:
        return f"expected a text that begins with {wanted}, got {clip(output)!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsWith(_Affix):
    """1.0 where the output ends with one of the given texts, else 0.0.

    Kinds of evidence: ``match`` (``found`` is the text), ``empty``, ``different``.

    Example:
        >>> from scorers import ends_with
        >>> ends_with(texts=["Kind regards"])(output="We will call you. Kind regards").value
        1.0
        >>> ends_with(texts=["."])(output="It is done").value
        0.0
    """

    name: str = "ends_with"

    def _part(self, output: str, length: int) -> str:
        return output[-length:]

    def _at(self, output: str, text: str) -> bool:
        return output.endswith(text)

    def _told(self, output: str, wanted: str) -> str:
        return f"expected a text that ends with {wanted}, got {clip(output[-79:])!r}"


starts_with = StartsWith
ends_with = EndsWith
