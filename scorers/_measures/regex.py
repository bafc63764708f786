"""regex: the output matches a pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._linear_regex import BoundedPattern, TooSlowError, bounded
from scorers._text import as_text, clip
from scorers._types import Sample, Score, late

_MAX_PATTERN = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex(Measure):
    """1.0 where the output matches a Python regular expression (or, with ``mode: none``, does not), else 0.0.

    A hostile or careless pattern cannot hang it. The worst case of every pattern on a text of that length is
    counted beforehand; where backtracking could explode, the pattern runs as an automaton in linear time.
    A pattern with lookaround or back-references has none: it is refused when built if its backtracking can
    explode, and the score is unscored (``timeout``) where a long output could take too long.

    Kinds of evidence: ``match``, ``empty``, ``no_match``, ``forbidden`` (none).

    Example:
        >>> from scorers import regex
        >>> regex(pattern=r"[A-Z]{2}-\\d+", mode="full")(output="AB-123").value
        1.0
        >>> regex(pattern="(a+)+b")(output="a" * 10_000).value
        0.0
    """

    name: str = "regex"
    pattern: str | None = None
    """By default the expected value is the pattern."""
    mode: Literal["search", "full", "none"] = "search"
    """Somewhere in the output, all of it (whitespace around it does not count), or nowhere."""
    ignore_case: bool = False
    multiline: bool = False
    """``^`` and ``$`` match at every line."""
    dotall: bool = False
    """``.`` matches line breaks too."""

    _ready: BoundedPattern | None = field(init=False, repr=False, compare=False, default=None)

    def _check(self) -> None:
        if self.pattern is not None:
            problem = self._problem(self.pattern)
            if problem:
                raise ScorerSpecError(f"{self.name}: option 'pattern' {problem}", key="pattern")
            ready = bounded(self.pattern, self._flags(), self.mode == "full")
            object.__setattr__(self, "_ready", ready)

    def _needs_expected(self) -> bool:
        return self.pattern is None

    def _quick(self, output: Any, expected: Any) -> Score | None:  # noqa: ARG002 - the pattern is an option
        if self._ready is None or output.__class__ is not str:
            return None
        try:
            matches = self._ready.matches(output.strip() if self.mode == "full" else output)
        except TooSlowError:
            return None
        return self._match if matches is not (self.mode == "none") else late(self, 0.0, output, None)

    def _score(self, sample: Sample) -> Score:
        pattern = self.pattern
        if pattern is None:
            pattern = as_text(sample.expected)
            problem = self._problem(pattern)
            if problem:
                return self._unscored("bad_expected", f"the expected value {problem}")
        output = as_text(sample.output)
        text = output.strip() if self.mode == "full" else output
        try:
            matches = bounded(pattern, self._flags(), self.mode == "full").matches(text)
        except TooSlowError as error:
            return self._unscored("timeout", f"the pattern {clip(pattern)!r} was not tried: {error}")
        if matches is not (self.mode == "none"):
            return self._match
        if self.mode == "none":
            return self._found(0.0, "forbidden", f"the answer matches {clip(pattern)!r}, which it must not")
        kind = "no_match" if output.strip() else "empty"
        return self._found(0.0, kind, f"expected a match of {clip(pattern)!r}, got {clip(output.strip())!r}")

    def _flags(self) -> int:
        return (
            (re.IGNORECASE if self.ignore_case else 0)
            | (re.MULTILINE if self.multiline else 0)
            | (re.DOTALL if self.dotall else 0)
        )

    def _problem(self, pattern: str) -> str:
        """Why ``pattern`` cannot be used, or nothing."""
        if len(pattern) > _MAX_PATTERN:
            return f"has {len(pattern)} characters; the limit is {_MAX_PATTERN}"
        try:
            bounded(pattern, self._flags(), self.mode == "full")
        except TooSlowError as error:
            return f"is refused: {error}"
        except (re.error, RecursionError, OverflowError) as error:
            return f"is not a regular expression: {error}"
        return ""


regex = Regex
