"""exact_match: the output is the expected text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scorers._base import Measure
from scorers._text import after_marker, as_text, clip
from scorers._types import Sample, Score, late


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch(Measure):
    """1.0 where the output is exactly the expected text, else 0.0.

    Kinds of evidence: ``match``, ``empty``, ``case`` (only upper and lower case differ), ``no_marker``
    (``extract`` was not found), ``contained`` (the expected text stands inside a longer one), ``different``.

    Example:
        >>> from scorers import exact_match
        >>> exact_match()(output="Paris", expected="Paris").value
        1.0
        >>> exact_match(extract="the answer is")(output="2+2=4. So the answer is 4.", expected="4").value
        1.0
    """

    name: str = "exact_match"
    strip: bool = True
    """Whitespace around both texts does not count."""
    ignore_case: bool = False
    extract: str | None = None
    """Compare only what follows the last occurrence of this text (any case), without one full stop at its
    end; an output without it is compared whole. With "the answer is": the authors' scoring of BIG-Bench Hard
    (Suzgun et al. 2022, arXiv:2210.09261)."""

    def _quick(self, output: Any, expected: Any) -> Score | None:
        if output.__class__ is not str or expected.__class__ is not str or self.extract is not None:
            return None
        if output == expected:
            return self._match
        if self.strip:
            output, expected = output.strip(), expected.strip()
        if output == expected or (self.ignore_case and output.casefold() == expected.casefold()):
            return self._match
        return late(self, 0.0, output, expected)

    def _all_quick(self, outputs: list[Any], expected: list[Any]) -> list[Score | None]:
        if self.extract is not None:
            return [None] * len(outputs)
        match, quick = self._match, self._quick
        return [
            match if output.__class__ is str and output == wanted else quick(output, wanted)
            for output, wanted in zip(outputs, expected, strict=True)
        ]

    def _score(self, sample: Sample) -> Score:
        output, expected = as_text(sample.output), as_text(sample.expected)
        marked = True
        if self.extract is not None:
            output, marked = after_marker(output, self.extract)
        if self.strip:
            output, expected = output.strip(), expected.strip()
        if output == expected or (self.ignore_case and output.casefold() == expected.casefold()):
            return self._match
        if not output.strip():
            kind = "empty"
        elif not marked:
            kind = "no_marker"
        elif output.casefold() == expected.casefold():
            kind = "case"
        elif expected and expected in output:
            kind = "contained"
        else:
            kind = "different"
        return self._found(0.0, kind, f"expected {clip(expected)!r}, got {clip(output)!r}")


exact_match = ExactMatch
