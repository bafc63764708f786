"""What a scorer takes and gives: Score, Sample, and the sans-IO protocol of judges."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

UnscoredReason: TypeAlias = Literal[
    "no_expected",  # there is nothing to compare with
    "bad_expected",  # what it should be compared with cannot be used (say, it is not a number)
    "off_menu",  # the judge answered something that is not one of the offered verdicts
    "judge_failed",  # the judge could not be reached or gave no answer
    "timeout",  # scoring took longer than allowed
    "error",  # the scorer itself broke; the rationale says how
]


class _Explained:
    """A Score whose parts may be made when they are first read."""

    __slots__ = ("_late",)
    _late: tuple[Any, Any, Any]
    """The scorer, the output and what was expected."""

    def __getattr__(self, name: str) -> Any:
        # Called only for a slot that is empty: then the score was made by late().
        if name not in _MADE_LATE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        scorer, output, expected = object.__getattribute__(self, "_late")
        if name in ("rationale", "evidence"):
            told = scorer.explain(output, expected)
            object.__setattr__(self, "rationale", told.rationale)
            object.__setattr__(self, "evidence", told.evidence)
        else:
            for slot, value in (("name", scorer.name), ("version", scorer.version), *_ALWAYS):
                object.__setattr__(self, slot, value)
        return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(_Explained):
    """One scorer's finding on one output: a ``value`` in [0, 1] or ``unscored`` with a reason, never both.

    Deterministic scorers make rationale and evidence when they are first read, from the output and the
    expected value: do not change these objects in between.
    """

    name: str
    version: str = "1"
    value: float | None = None
    unscored: UnscoredReason | None = None
    rationale: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that back the finding: what was compared, per-field results, which path decided."""
    cost_usd: float | None = None
    """What the judge call cost; None if there was none or its price is unknown."""
    input_tokens: int = 0
    output_tokens: int = 0

    def __post_init__(self) -> None:
        if (self.value is None) == (self.unscored is None):
            raise ValueError(f"score {self.name!r} needs either a value or an unscored reason")
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise ValueError(f"score {self.name!r} has value {self.value!r}; it must be within [0, 1]")


def _setter(kind: type, slot: str) -> Callable[[Any, Any], None]:
    """What sets ``slot`` of a frozen object while it is made; object.__setattr__ takes twice as long."""
    found: Callable[[Any, Any], None] = kind.__dict__[slot].__set__
    return found


_ALWAYS = (("unscored", None), ("cost_usd", None), ("input_tokens", 0), ("output_tokens", 0))
_MADE_LATE = frozenset({"name", "version", "rationale", "evidence", *(name for name, _ in _ALWAYS)})
_set_value = _setter(Score, "value")
_set_late = _setter(_Explained, "_late")
_new = object.__new__


def late(scorer: Any, value: float, output: Any, expected: Any) -> Score:
    """A Score of which only the value is known so far; ``scorer.explain`` tells the rest when it is read.

    The value is not checked: it must be within [0, 1].
    """
    score: Score = _new(Score)
    _set_value(score, value)
    _set_late(score, (scorer, output, expected))
    return score


def late_all(
    scorer: Any, values: Iterable[float], outputs: Sequence[Any], expected: Iterable[Any]
) -> list[Score]:
    """:func:`late` of each row. The loops run in C, which takes two thirds of the time."""
    scores: list[Score] = list(map(_new, repeat(Score, len(outputs))))
    deque(map(_set_value, scores, values), maxlen=0)
    deque(map(_set_late, scores, zip(repeat(scorer), outputs, expected, strict=False)), maxlen=0)
    return scores


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Sample:
    """One output to score, with what is known about it."""

    output: Any
    expected: Any = None
    inputs: Mapping[str, Any] | None = None
    trace: Any = None

    def __init__(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> None:
        # By the slots themselves: a third quicker than the __init__ of a frozen dataclass, and made per row.
        _set_output(self, output)
        _set_expected(self, expected)
        _set_inputs(self, inputs)
        _set_trace(self, trace)


_set_output, _set_expected = _setter(Sample, "output"), _setter(Sample, "expected")
_set_inputs, _set_trace = _setter(Sample, "inputs"), _setter(Sample, "trace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a judge wants to ask a model."""

    messages: Sequence[Mapping[str, str]]
    model: str
    max_tokens: int | None = None
    schema: Mapping[str, Any] | None = None
    """JSON schema of the wanted answer, for providers that can enforce one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; ``error`` says why there is no ``text``."""

    text: str | None = None
    error: str | None = None
    cost_usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Complete(Protocol):
    """How a judge reaches a model: inject your own, or leave it to the default."""

    def __call__(self, question: Question, /) -> Awaitable[Answer]:
        """Ask ``question.model``; never raises for a failed call, but gives an Answer with ``error``."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """A deterministic measure: callable on one output.

    One that asks a model by itself, and is no :class:`Judge`, says so by an attribute: ``asks_model = True``.
    Its scores are then taken for a model's opinion, and it is asked of real answers only, never of answers
    that a self-test broke on purpose.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...

    def __call__(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """Score one output."""
        ...


@runtime_checkable
class Judge(Scorer, Protocol):
    """A measure that asks a model. It does no I/O itself: ``ask`` says what to ask, ``conclude`` reads it."""

    @property
    def model(self) -> str:
        """``provider/model`` of the model that is asked."""
        ...

    def ask(self, sample: Sample, /) -> Score | Question:
        """The score, where a cheap check settles it; else the question for the model."""
        ...

    def conclude(self, sample: Sample, answer: Answer, /) -> Score:
        """The score that follows from the model's answer."""
        ...
