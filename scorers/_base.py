"""What all scorers share: a name, a version, a checked set of options, and that they never raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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
    """A deterministic scorer: subclasses say how one sample is scored."""

    def __call__(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """Score one output. Never raises: what cannot be scored is unscored, with the reason."""
        try:
            sample = self._resolved(output, expected, inputs, trace)
            return sample if isinstance(sample, Score) else self._score(sample)
        except Exception as error:  # noqa: BLE001 - any output must give a Score; the reason is kept in it
            return self._broke(error)

    def _score(self, sample: Sample) -> Score:
        raise NotImplementedError
