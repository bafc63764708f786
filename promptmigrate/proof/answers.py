"""Answers and scores in the entries of a bundle, as they must look."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainValidator

from promptmigrate.evaluate import How, Tried
from promptmigrate.types import OutcomeKind, Reply
from scorers import Score, UnscoredReason


def _text(value: object) -> str | None:
    # pydantic's own texts refuse lone surrogates, which a model's answer may hold.
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a text or null")
    return value


Text: TypeAlias = Annotated[str | None, PlainValidator(_text)]


class Shape(BaseModel):
    """Whatever a bundle holds: no key too many, no number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Scored(Shape):
    """One score of one answer."""

    name: str
    version: str
    value: float | None
    unscored: UnscoredReason | None
    rationale: Text

    @classmethod
    def of(cls, score: Score) -> Scored:
        """``score`` as it is kept."""
        return cls(
            name=score.name,
            version=score.version,
            value=score.value,
            unscored=score.unscored,
            rationale=score.rationale,
        )

    @property
    def problem(self) -> str:
        """Why it is no score; empty where it is one."""
        if (self.value is None) == (self.unscored is None):
            return "needs either a value or a reason why it has none"
        if self.value is not None and not 0.0 <= self.value <= 1.0:
            return f"has the value {self.value!r}, outside [0, 1]"
        return ""

    @property
    def score(self) -> Score:
        """The score.

        Raises:
            ValueError: it is none, such as one with neither a value nor a reason.
        """
        return Score(**self.model_dump())


class Answer(Shape):
    """One answer of one variant."""

    repeat: int
    kind: OutcomeKind
    output: Text
    error: Text
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    latency_s: float
    scores: list[Scored]

    @property
    def reply(self) -> Reply:
        """What came back, as far as it was kept."""
        return Reply(text=self.output, **self.model_dump(exclude={"repeat", "output", "scores"}))


class TriedAnswer(Shape):
    """Production's answer, altered. The text is not kept: it follows from production's answers."""

    how: How
    of: str | None
    """The row whose answer it is; null: nobody's."""
    scores: list[Scored]
    """Of the scorers that need no model."""

    @classmethod
    def kept(cls, tried: Tried) -> TriedAnswer:
        """``tried`` as it is kept."""
        return cls(how=tried.how, of=tried.of, scores=[Scored.of(score) for score in tried.scores])

    @property
    def tried(self) -> Tried:
        """What the scorers said.

        Raises:
            ValueError: a score that is none.
        """
        return Tried(how=self.how, of=self.of, scores=tuple(score.score for score in self.scores))
