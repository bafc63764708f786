"""What a Verdict depends on besides the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from promptmigrate.decide.rogan_gladen import JudgeErrors
from promptmigrate.errors import UsageError

RATIOS = ("cost_ratio", "p95_latency_ratio")
OnSlice: TypeAlias = Literal["report", "block"]
Judges: TypeAlias = Literal["calibrated", "any"]
Yardstick: TypeAlias = Literal["expectations", "references"]
_CHOICES = {
    "slices": ("report", "block"),
    "judges": ("calibrated", "any"),
    "yardstick": ("expectations", "references"),
}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of one gate. The same rows under the same rules give the same Verdict, bit for bit.

    Raises:
        UsageError: a value out of range, with the key of the configuration that holds it.
    """

    margin: float
    """How much worse than production, as a difference of mean quality, is still acceptable; in [0, 1)."""
    confidence: float = 0.95
    """Two-sided level of the intervals; a worse candidate passes with at most half of the rest."""
    superiority: bool = False
    """Whether the candidate has to be better (only the prompt changes) instead of not worse."""
    guardrails: Mapping[str, float] = field(default_factory=dict)
    """Upper limits of candidate over production: ``cost_ratio``, ``p95_latency_ratio``."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Guardrail scores: scorer -> how much its mean may lose; tested as quality is."""
    slices: OnSlice = "report"
    """Whether a slice that breaks is only reported or stops the candidate."""
    min_slice_rows: int = 20
    """A slice with fewer rows is said to be unjudgeable."""
    min_rows: int = 10
    max_missing: float = 0.1
    """Share of rows that may lack a measurement."""
    test_openings: int = 1
    """How many decisions were made on these test rows, this one included: candidates, each as often as the
    settings were others."""
    test_candidates: int = 1
    """How many candidates that were."""
    test_seen: float = 0.0
    """Share of these test rows that were decided on before."""
    changed_settings: tuple[str, ...] = ()
    """Settings that were others when these rows were decided on before: ``gate.margin (0.05 -> 0.1)``."""
    judges: Judges = "calibrated"
    """Whether a judge without a calibration card may decide."""
    uncalibrated: tuple[str, ...] = ()
    """Judges among the scorers of the quality that have no calibration card."""
    judge_errors: JudgeErrors | None = None
    """Where quality is one judge's 0/1 verdict: its mistakes as labels show them; the difference is corrected
    for them before it decides."""
    yardstick: Yardstick = "expectations"
    """What quality compares answers with: what is known to be right, or production's recorded answers."""
    rerun: bool = True
    """Whether production was asked again for these rows, instead of taken as recorded."""
    no_yardstick: str = ""
    """Why production, as it answered these rows, cannot be measured against: then nothing is promoted."""

    def __post_init__(self) -> None:
        for name in ("guardrails", "scores"):
            if not isinstance(getattr(self, name), Mapping):
                raise UsageError(
                    f"{name} of the gate's rules are {getattr(self, name)!r}; they must map names"
                )
            object.__setattr__(self, name, dict(sorted(getattr(self, name).items())))
        for name in ("uncalibrated", "changed_settings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_numbers(self)
        _check_limits(self)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(f"gate.{name} is {getattr(self, name)!r}; it must be {' or '.join(choices)}")

    @property
    def threshold(self) -> float:
        """What the lower end of the interval has to exceed."""
        return 0.0 if self.superiority else -self.margin

    def to_json(self) -> dict[str, Any]:
        """All rules as JSON values."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **found,
            "guardrails": dict(self.guardrails),
            "scores": dict(self.scores),
            "uncalibrated": list(self.uncalibrated),
            "changed_settings": list(self.changed_settings),
            "judge_errors": self.judge_errors.to_json() if self.judge_errors else None,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Rules:
        """What :meth:`to_json` wrote.

        Raises:
            UsageError: an unknown or missing key, or a value out of range.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(map(str, found)) - known):
            raise UsageError(f"the rules of the gate hold {', '.join(unknown)}, which is not known")
        if "margin" not in found:
            raise UsageError("the rules of the gate lack 'margin'")
        values = dict(found)
        if values.get("judge_errors") is not None:
            values["judge_errors"] = JudgeErrors.from_json(values["judge_errors"])
        return cls(**values)


def _check_numbers(rules: Rules) -> None:
    if not _number(rules.margin) or not 0.0 <= rules.margin < 1.0:
        raise UsageError(
            f"gate.margin is {rules.margin!r}; it must be at least 0 and below 1 (0.02 is two points)"
        )
    if not _number(rules.confidence) or not 0.5 <= rules.confidence < 1.0:
        raise UsageError(f"gate.confidence is {rules.confidence!r}; it must be at least 0.5 and below 1")
    if not _number(rules.max_missing) or not 0.0 <= rules.max_missing <= 1.0:
        raise UsageError(f"gate.max_missing is {rules.max_missing!r}; it must be within [0, 1]")
    if not _number(rules.test_seen) or not 0.0 <= rules.test_seen <= 1.0:
        raise UsageError(f"gate.test_seen is {rules.test_seen!r}; it must be within [0, 1]")
    for name in ("min_slice_rows", "min_rows", "test_openings", "test_candidates"):
        value = getattr(rules, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"gate.{name} is {value!r}; it must be a whole number of at least 1")
    for name in ("superiority", "rerun"):
        if not isinstance(getattr(rules, name), bool):
            raise UsageError(f"gate.{name} is {getattr(rules, name)!r}; it must be true or false")
    if not isinstance(rules.no_yardstick, str):
        raise UsageError(f"no_yardstick of the gate's rules is {rules.no_yardstick!r}; it must be a sentence")


def _check_limits(rules: Rules) -> None:
    for name, limit in rules.guardrails.items():
        if name not in RATIOS:
            raise UsageError(f"gate.guardrails.{name} is not known; use one of: {', '.join(RATIOS)}")
        if not _number(limit) or not 0.0 < limit < math.inf:
            raise UsageError(f"gate.guardrails.{name} is {limit!r}; it must be a number above 0")
    for name, margin in rules.scores.items():
        if not _number(margin) or not 0.0 <= margin < 1.0:
            raise UsageError(
                f"gate.guardrails.scores.{name} is {margin!r}; it must be at least 0 and below 1"
            )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
