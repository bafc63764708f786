"""The parts of ``verdict.json`` that not every run has: slices, self-test, targets, broken rows, bundle."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat


class Part(BaseModel):
    """A JSON object; what is not known is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ScoreGuardrailFigures(Part):
    """Another score that must not lose more than its own margin."""

    name: str
    margin: FiniteFloat
    delta: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    rows: int | None = None
    status: Literal["pass", "fail", "unclear", "unmeasurable"]
    detail: str = ""


class SliceFigures(Part):
    """The rows of one label, length, language, tenant, ..."""

    name: str
    value: str
    rows: int
    delta: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    fixed: int | None = None
    broken: int | None = None
    status: Literal["holds", "worse", "suspect", "open", "too_few"]


class BreakageFigures(Part):
    """Production's answers broken on purpose, in one way."""

    how: str
    loss: FiniteFloat | None = None
    unscored: int = 0
    noticed: bool = True
    decision: str | None = None
    broken_by: FiniteFloat | None = None
    broken_rows: int | None = None


class SelfTestFigures(Part):
    """What the gate said where the right answer was known."""

    identical: str
    draws: int | None = None
    promoted: int | None = None
    allowed: int | None = None
    passed: bool
    problems: tuple[str, ...] = ()
    breakages: tuple[BreakageFigures, ...] = ()
    unasked: tuple[str, ...] = ()


class NoiseFigures(Part):
    """Production asked twice."""

    delta: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    rows: int
    changed: int | None = None


class ConditionFigures(Part):
    """One thing that broken rows have in common."""

    text: str
    here: int
    others: int


class ClusterFigures(Part):
    """Broken rows that belong together."""

    rule: str
    rows: int
    total: int | None = None
    others: int | None = None
    unbroken: int | None = None
    conditions: tuple[ConditionFigures, ...] = ()
    examples: tuple[str, ...] = ()
    file: str | None = None


class TargetSide(Part):
    """The candidate of one target."""

    score: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    cost_per_call_usd: FiniteFloat | None = None
    p95_latency_s: FiniteFloat | None = None


class RatioFigures(Part):
    """Candidate over production."""

    value: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None


class CorrectedFigures(Part):
    """The difference with a judge's mistakes taken out: what decided."""

    delta: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat]


class JointFigures(Part):
    """Of several candidates that were decided together."""

    confidence: FiniteFloat
    """Of each interval that holds for all of them at once."""


class TargetFigures(Part):
    """One of several targets; the intervals of its ratios, and ``joint_interval``, hold for all at once."""

    model: str
    verdict: Literal["PROMOTE", "REJECT", "INCONCLUSIVE"]
    candidate: TargetSide
    delta: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    joint_interval: tuple[FiniteFloat, FiniteFloat] | None = None
    cost_ratio: RatioFigures = RatioFigures()
    p95_latency_ratio: RatioFigures = RatioFigures()
    switch_if: str | None = None
    chosen: bool = False


class ForecastPoint(Part):
    """Calls and money."""

    calls: int | None = None
    usd: FiniteFloat | None = None


class ForecastFigures(Part):
    """What the run was expected to spend: the interval for 9 runs of 10, and its middle."""

    calls: tuple[int, int] | None = None
    usd: tuple[FiniteFloat, FiniteFloat] | None = None
    expected: ForecastPoint = ForecastPoint()
    basis: str | None = None


class BreakEven(Part):
    """When the run has earned back what it cost."""

    sentence: str


class BundleFigures(Part):
    """The evidence in one file."""

    path: str | None = None
    digest: str | None = None
