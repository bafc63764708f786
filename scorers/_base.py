"""What all scorers share: a name, a version, a checked set of options, and that they never raise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from scorers._frozen import Frozen
from scorers._options import check
from scorers._text import clip
from scorers._types import Sample, Score, UnscoredReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The common part of measures and judges."""

    version: ClassVar[str] = "1"
    """Goes up whenever the same output could get another value."""

    name: str
    """How its scores are called; two scorers of one kind need two names."""
    expected_key: str | None = None
    """Which entry of a mapping of expectations to compare with. By default ``expected_response``, if there
    is one, else the whole."""

    def __post_init__(self) -> None:
        check(self)
        self._check()

    def _check(self) -> None:
        """Whatever else must hold between the options; raises ScorerSpecError."""

    def _needs_expected(self) -> bool:
        """Whether there is nothing to score without an expected value."""
        return True

    def _expected(self, expected: Any) -> Any:
        """The part of the expectations that is meant; None if it is not there."""
        if expected is None or isinstance(expected, str) or not isinstance(expected, Mapping):
            return expected
        if self.expected_key is not None:
            return expected.get(self.expected_key)
        return expected.get("expected_response", expected)

    def _resolved(
        self, output: Any, expected: Any, inputs: Mapping[str, Any] | None, trace: Any
    ) -> Sample | Score:
        """The sample with the expectation that is meant, or the score where that is missing."""
        expected = self._expected(expected)
        if expected is None and self._needs_expected():
            where = f" under {self.expected_key!r}" if self.expected_key else ""
            return self._unscored("no_expected", f"there is no expected value{where} to compare with")
        return Sample(output=output, expected=expected, inputs=inputs, trace=trace)

    def _found(self, value: float, kind: str, rationale: str, **evidence: Any) -> Score:
        return Score(
            name=self.name,
            version=self.version,
            value=value,
            rationale=rationale,
            evidence={"kind": kind, **evidence},
        )

    def _unscored(self, reason: UnscoredReason, rationale: str, **evidence: Any) -> Score:
        return Score(
            name=self.name,
            version=self.version,
            unscored=reason,
            rationale=rationale,
            evidence={"kind": reason, **evidence},
        )

    def _broke(self, error: Exception) -> Score:
        return self._unscored("error", f"the scorer broke: {type(error).__name__}: {clip(str(error), 200)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure(Base):
    """A deterministic scorer: subclasses say how one sample is scored.

    ``_score`` tells everything about one sample. A scorer that can find the value alone much faster also has
    ``_quick``, which must give the same value; then the rest is told when it is read.
    """

    _reads_inputs: ClassVar[bool] = False
    """Whether a value may depend on the inputs: then those that come with inputs are not scored quickly."""

    _match: Score = field(init=False, repr=False, compare=False)
    """The one Score of all plain matches: nothing in it can be changed."""

    def __post_init__(self) -> None:
        Base.__post_init__(self)
        object.__setattr__(self, "_match", self._shared("match"))

    def __call__(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """Score one output. Never raises: what cannot be scored is unscored, with the reason."""
        try:
            if inputs is None or not self._reads_inputs:
                score = self._quick(output, expected)
                if score is not None:
                    return score
            sample = self._resolved(output, expected, inputs, trace)
            return sample if isinstance(sample, Score) else self._score(sample)
        except Exception as error:  # noqa: BLE001 - any output must give a Score; the reason is kept in it
            return self._broke(error)

    def batch(self, samples: Iterable[Sample]) -> list[Score]:
        """The scores of ``samples``, in their order: the same as one by one, several times faster."""
        rows = samples if isinstance(samples, list) else list(samples)
        scores = self._quickly([row.output for row in rows], [row.expected for row in rows])
        for index, score in enumerate(scores):
            row = rows[index]
            if score is None or (self._reads_inputs and row.inputs is not None):
                scores[index] = self(
                    output=row.output, expected=row.expected, inputs=row.inputs, trace=row.trace
                )
        return cast(list[Score], scores)

    def score_columns(self, outputs: Sequence[Any], expected: Sequence[Any] | None = None) -> list[Score]:
        """:meth:`batch` of two columns of the same length, as a table holds them; no samples are made.

        Raises:
            ValueError: the columns differ in length.
        """
        # Lists, since what a column of pandas has at [0] need not be its first value.
        given = outputs if isinstance(outputs, list) else list(outputs)
        wanted = [None] * len(given) if expected is None else list(expected)
        if len(given) != len(wanted):
            raise ValueError(f"{len(given)} outputs and {len(wanted)} expected values: give one for each")
        scores = self._quickly(given, wanted)
        for index, score in enumerate(scores if not all(scores) else ()):  # every Score is true
            if score is None:
                scores[index] = self(output=given[index], expected=wanted[index])
        return cast(list[Score], scores)

    def explain(self, output: Any, expected: Any) -> Score:
        """The whole score of one output, made at once. Never raises."""
        try:
            sample = self._resolved(output, expected, None, None)
            return sample if isinstance(sample, Score) else self._score(sample)
        except Exception as error:  # noqa: BLE001 - as in a call
            return self._broke(error)

    def _shared(self, kind: str, **evidence: Any) -> Score:
        """A Score of 1.0 that can be given for any number of samples."""
        told = Frozen({"kind": kind, **evidence})
        return Score(name=self.name, version=self.version, value=1.0, evidence=told)

    def _score(self, sample: Sample) -> Score:
        raise NotImplementedError

    def _quick(self, output: Any, expected: Any) -> Score | None:  # noqa: ARG002 - a hook
        """The score, where its value is found without the whole work; else None."""
        return None

    def _all_quick(self, outputs: list[Any], expected: list[Any]) -> list[Score | None]:
        """:meth:`_quick` of each pair."""
        return list(map(self._quick, outputs, expected))

    def _quickly(self, outputs: list[Any], expected: list[Any]) -> list[Score | None]:
        try:
            return self._all_quick(outputs, expected)
        except Exception:  # noqa: BLE001 - one sample broke it: each is then scored by itself, and it is told
            return [None] * len(outputs)


def only(kind: type, values: Sequence[Any]) -> bool:
    """Whether every value is exactly of the class ``kind``: a column of a table mostly is of one class."""
    return list(map(type, values)).count(kind) == len(values)
