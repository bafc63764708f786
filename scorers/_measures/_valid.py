"""What the scorers share that say whether an output is well formed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scorers._base import Measure
from scorers._text import as_text, clip
from scorers._types import Sample, Score, UnscoredReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a text is not well formed."""

    kind: str
    why: str
    evidence: dict[str, Any] = field(default_factory=dict)


class CannotTellError(Exception):
    """A text that cannot be judged: too long, or beyond what the parser knows."""

    def __init__(self, why: str, *, reason: UnscoredReason = "timeout", kind: str | None = None) -> None:
        self.reason: UnscoredReason = reason
        self.kind = kind or reason
        super().__init__(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid(Measure):
    """1.0 where the output is well formed as a strict consumer reads it, else 0.0."""

    allow_fences: bool = False
    """What stands inside one Markdown code block counts: only if production's consumer reads it so too."""

    def _needs_expected(self) -> bool:
        return False

    def _score(self, sample: Sample) -> Score:
        text = as_text(sample.output)
        if not text.strip():
            return self._found(0.0, "empty", "the answer is empty")
        try:
            problem = self._problem(text)
            inner = in_fence(text) if problem is not None else None
            if inner is not None and inner.strip():
                within = self._problem(inner)
                if within is None and not self.allow_fences:
                    problem = Problem(
                        kind=f"fenced_{self._format()}",
                        why="the answer stands in a Markdown code block, which a parser refuses",
                    )
                elif self.allow_fences:
                    problem = within
        except CannotTellError as error:
            return self._unscored(error.reason, str(error), kind=error.kind)
        if problem is None:
            return self._found(1.0, "match", "")
        return self._found(0.0, problem.kind, f"{problem.why}: {clip(text.strip())!r}", **problem.evidence)

    def _format(self) -> str:
        """The last part of the kinds of evidence."""
        raise NotImplementedError

    def _problem(self, text: str) -> Problem | None:
        """Why ``text`` is not well formed; None if it is."""
        raise NotImplementedError


def in_fence(text: str) -> str | None:
    """What stands in the first Markdown code block of ``text``, without the line that opens it."""
    start = text.find("```")
    begin = text.find("\n", start) + 1 if start >= 0 else 0
    end = text.find("```", begin) if begin else -1
    return text[begin:end] if end >= 0 else None
