"""Cheap checks before a judge: deterministic scorers that settle the clear cases without a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scorers._errors import ScorerSpecError, nearest
from scorers._json import read
from scorers._settle import settled
from scorers._text import as_text
from scorers._types import Sample, Scorer

Settled = tuple[float, str, str]
"""The value, the check that decided, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a deterministic scorer settles before a judge is asked.

    In a spec it is the scorer's own spec with ``passed``, ``failed`` and ``kinds`` besides:
    ``{use: json_valid, failed: 0}``, or one of the words ``identical`` (the same as what is expected but for
    case, whitespace and form of numbers and JSON: 1), ``empty`` (0) and ``invalid_json`` (0).

    Example:
        >>> import scorers
        >>> clear = scorers.Check(scorer=scorers.label_match(labels=["yes", "no"]), passed=1, failed=0,
        ...                       kinds=["match", "other_label"])
        >>> judge = scorers.correctness(model="openai/gpt-5-mini", checks=[clear, "empty"])
        >>> judge(output="No", expected="yes").evidence["decided_by"]
        'label_match'
    """

    scorer: Scorer
    """A measure; a judge is refused."""
    passed: float | None = None
    """The judge's value where the check scores 1; None leaves the case to what follows."""
    failed: float | None = None
    """The judge's value where the check scores 0; None leaves the case to what follows."""
    kinds: tuple[str, ...] = ()
    """Only where the evidence of the check is of one of these kinds; empty means all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds))
        name = getattr(self.scorer, "name", type(self.scorer).__name__)
        if hasattr(self.scorer, "ask") or not callable(self.scorer):
            raise ScorerSpecError(f"checks: {name!r} is no deterministic scorer", key="checks")
        if self.passed is None and self.failed is None:
            raise ScorerSpecError(
                f"checks: say what {name!r} settles, as in {{use: {name}, passed: 1}} "
                f"or {{use: {name}, failed: 0}}",
                key="checks",
            )
        for value in (self.passed, self.failed):
            if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
                raise ScorerSpecError(
                    f"checks: {name!r} settles a value within [0, 1], not {value!r}", key="checks"
                )

    def settle(self, sample: Sample) -> Settled | None:
        """The value that the check settles, if it does."""
        score = self.scorer(
            output=sample.output, expected=sample.expected, inputs=sample.inputs, trace=sample.trace
        )
        value = {1.0: self.passed, 0.0: self.failed}.get(-1.0 if score.value is None else score.value)
        if value is None or (self.kinds and score.evidence.get("kind") not in self.kinds):
            return None
        return float(value), self.scorer.name, score.rationale

    def spec(self) -> Mapping[str, Any]:
        """The spec from which :func:`check_of` makes an equal one."""
        from scorers._registry import to_spec

        outcome = {"passed": self.passed, "failed": self.failed, "kinds": list(self.kinds)}
        return to_spec(self.scorer) | {
            key: value for key, value in outcome.items() if value not in (None, [])
        }


def _identical(sample: Sample) -> Settled | None:
    said = settled(sample.output, sample.expected) if sample.expected is not None else None
    return (1.0, "identical", "") if said and said[0] else None


def _empty(sample: Sample) -> Settled | None:
    return None if as_text(sample.output).strip() else (0.0, "empty", "the output is empty")


def _invalid_json(sample: Sample) -> Settled | None:
    problem = read(sample.output).problem
    return (0.0, "invalid_json", f"the output is not JSON ({problem})") if problem else None


WORDS: Mapping[str, Callable[[Sample], Settled | None]] = {
    "identical": _identical,
    "empty": _empty,
    "invalid_json": _invalid_json,
}
"""Checks that need no options."""


def check_of(given: Any, name: str) -> Check | str:
    """A check as an option of judge ``name`` may give it: a :class:`Check`, a word, or a spec.

    Raises:
        ScorerSpecError: there is no such check, or it does not say what it settles.
    """
    if isinstance(given, Check):
        return given
    if isinstance(given, str):
        if given not in WORDS:
            raise ScorerSpecError(
                f"{name}: there is no check {given!r}{nearest(given, WORDS)}; it may be one of "
                f"{', '.join(WORDS)}, or a scorer with what it settles, "
                "as in {use: exact_match, passed: 1}",
                key="checks",
            )
        return given
    if not isinstance(given, Mapping):
        raise ScorerSpecError(
            f"{name}: a check is a word or a mapping with 'use', got {given!r:.80}", key="checks"
        )
    from scorers._registry import from_spec

    spec = dict(given)
    outcome = {key: spec.pop(key) for key in ("passed", "failed", "kinds") if key in spec}
    return Check(scorer=from_spec(spec), **outcome)


def settle(check: Check | str, sample: Sample) -> Settled | None:
    """What ``check`` settles about ``sample``, if it does."""
    return WORDS[check](sample) if isinstance(check, str) else check.settle(sample)
