"""The fields of ``verdict.json`` and ``test_rows.jsonl`` that the report shows; see ``data`` for the list."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field, FiniteFloat

from promptmigrate.report.parts import (
    BreakEven,
    BundleFigures,
    ClusterFigures,
    CorrectedFigures,
    ForecastFigures,
    JointFigures,
    NoiseFigures,
    Part,
    RatioFigures,
    ScoreGuardrailFigures,
    SelfTestFigures,
    SliceFigures,
    TargetFigures,
)

PromptSource: TypeAlias = "str | list[Turn]"


class Turn(Part):
    """One message of a chat prompt."""

    role: str
    content: str


class VariantFigures(Part):
    """One row of the before/after table."""

    model: str
    prompt_digest: str | None = None
    score: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    cost_per_call_usd: FiniteFloat | None = None
    p95_latency_s: FiniteFloat | None = None


class Rows(Part):
    """How many rows there were."""

    train: int | None = None
    validation: int | None = None
    test: int
    used: int | None = None
    groups: int | None = None
    unscored: int | None = None
    unscored_baseline: int | None = None
    unscored_candidate: int | None = None


class GuardrailFigures(Part):
    """One limit besides quality, and how it fared."""

    name: str
    limit: FiniteFloat
    value: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    status: Literal["pass", "fail", "unclear", "unmeasurable"]
    detail: str = ""


class Calls(Part):
    """Requests that were really sent."""

    task: int = 0
    judge: int = 0
    reflection: int = 0


class SpendFigures(Part):
    """What the run cost."""

    calls: Calls
    cached: int = 0
    usd: FiniteFloat | None = None
    usd_by_purpose: dict[str, FiniteFloat | None] = Field(default_factory=dict)
    usd_unknown_calls: int = 0
    seconds: FiniteFloat | None = None


class ScorerFigures(Part):
    """Mean score of one scorer on the test rows."""

    name: str
    baseline: FiniteFloat | None = None
    candidate: FiniteFloat | None = None


class Generation(Part):
    """One step of the search."""

    name: str
    candidates: int | None = None
    best_quality: FiniteFloat | None = None


class FrontFigures(Part):
    """One variant of the search's quality/cost front."""

    label: str
    quality: FiniteFloat | None = None
    cost_per_call_usd: FiniteFloat | None = None
    latency_s: FiniteFloat | None = None
    rows: int | None = None
    chosen: bool = False


class Removed(Part):
    """One piece of the prompt that the minimiser took out."""

    text: str
    reason: str | None = None


class Search(Part):
    """How the candidate was found."""

    strategy: str
    stopped: str = ""
    calls: int | None = None
    facts: tuple[str, ...] = ()
    generations: tuple[Generation, ...] = ()
    front: tuple[FrontFigures, ...] = ()
    removed: tuple[str | Removed, ...] = ()


class Provenance(Part):
    """What the numbers rest on."""

    dataset_digest: str | None = None
    test_digest: str | None = None
    config_digest: str | None = None
    started: str | None = None
    finished: str | None = None
    version: str | None = None
    commit: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)


class Prompts(Part):
    """The prompt as it was and as it is proposed."""

    original: PromptSource
    candidate: PromptSource


class VerdictFile(Part):
    """All of ``verdict.json`` that the report shows."""

    name: str
    simulated: bool
    verdict: Literal["PROMOTE", "REJECT", "INCONCLUSIVE"]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    primary: str | None = None
    superiority: bool = False
    margin: FiniteFloat
    confidence: FiniteFloat
    delta: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    corrected: CorrectedFigures | None = None
    baseline: VariantFigures
    candidate: VariantFigures
    before: VariantFigures | None = None
    before_split: str | None = None
    rows: Rows
    rows_needed: int | None = None
    fixed: int | None = None
    broken: int | None = None
    p_values: dict[str, FiniteFloat | None] = Field(default_factory=dict)
    guardrails: tuple[GuardrailFigures, ...] = ()
    guardrail_scores: tuple[ScoreGuardrailFigures, ...] = ()
    slices: tuple[SliceFigures, ...] = ()
    self_test: SelfTestFigures | None = None
    noise: NoiseFigures | None = None
    broken_clusters: tuple[ClusterFigures, ...] = ()
    targets: tuple[TargetFigures, ...] = ()
    joint: JointFigures | None = None
    cost_ratio: RatioFigures = RatioFigures()
    p95_latency_ratio: RatioFigures = RatioFigures()
    test_openings: int = 1
    spend: SpendFigures
    forecast: ForecastFigures | None = None
    break_even: BreakEven | str | None = None
    bundle: BundleFigures | None = None
    scorers: tuple[ScorerFigures, ...] = ()
    search: Search | None = None
    provenance: Provenance = Provenance()
    prompts: Prompts
    prompt_version: str | None = None
    route: str | None = None
    mlflow_run_id: str | None = None


class Answer(Part):
    """What one variant answered on a test row."""

    output: Any = None
    score: FiniteFloat | None = None
    scores: dict[str, FiniteFloat | None] = Field(default_factory=dict)
    error: str | None = None


class TestRow(Part):
    """One test row, both answers side by side."""

    __test__ = False  # not a test class, whatever its name looks like to pytest

    example: str
    cluster: str | None = None
    inputs: dict[str, Any]
    expected: Any = None
    rationale: str | None = None
    baseline: Answer
    candidate: Answer


class RunData(Part):
    """Everything one report is made of."""

    verdict: VerdictFile
    test_rows: tuple[TestRow, ...]
