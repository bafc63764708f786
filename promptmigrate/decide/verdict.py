"""What the gate says: the decision and every number that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

Decision: TypeAlias = Literal["PROMOTE", "REJECT", "INCONCLUSIVE"]
Quality: TypeAlias = Literal["pass", "fail", "open"]
GuardrailStatus: TypeAlias = Literal["pass", "fail", "unclear", "unmeasurable"]
SliceStatus: TypeAlias = Literal["holds", "worse", "suspect", "open", "too_few"]


class Interval(NamedTuple):
    """Two-sided limits."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Side:
    """One variant on the test rows that both variants were measured on."""

    score: float | None = None
    """Weighted mean quality in [0, 1]."""
    interval: Interval | None = None
    cost_per_call_usd: float | None = None
    p95_latency_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Rows without a quality on at least one side; they are left out, never scored as 0."""

    rows: int
    baseline: int
    candidate: int
    share: float
    """Of all rows given."""


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """One limit besides quality."""

    name: str
    """``cost_ratio`` or ``p95_latency_ratio``."""
    limit: float
    value: float | None
    """Candidate over production; None where it could not be measured or production's is 0."""
    interval: Interval | None
    status: GuardrailStatus
    detail: str
    """One sentence with the numbers."""


@dataclass(frozen=True, kw_only=True)
class ScoreGuardrail:
    """Another score that must not lose more than its own margin."""

    name: str
    """Of the scorer."""
    margin: float
    delta: float | None
    """Candidate minus production; None where too few rows have the score on both sides."""
    interval: Interval | None
    rows: int
    p_value: float
    """One-sided, against a loss of the margin or more."""
    status: GuardrailStatus
    detail: str


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows of one label, length, language, tenant, ..."""

    name: str
    value: str
    rows: int
    clusters: int
    delta: float
    interval: Interval | None
    """Two-sided, at ``confidence`` for all judged slices together."""
    fixed: int
    broken: int
    p_worse: float | None
    """One-sided, against a loss of at most the margin, Holm-adjusted; None where it was not judged."""
    status: SliceStatus
    """See :mod:`promptmigrate.decide.slices`."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Production's second answers against its first."""

    delta: float
    interval: Interval | None
    rows: int
    changed: int
    """Rows on which the two answers differ in quality."""


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """The difference with a judge's mistakes taken out; it decides in place of the measured one."""

    method: Literal["rogan_gladen", "ppi"]
    delta: float
    interval: Interval


def that_decided(found: Mapping[str, Any]) -> dict[str, Any]:
    """``delta`` and ``interval`` that decided, of what :meth:`Verdict.to_json` gives: a judge's mistakes are
    taken out where they are known."""
    one = found.get("corrected") or found
    return {"delta": one.get("delta"), "interval": one.get("interval")}


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """One way in which production's answers were broken on purpose."""

    how: Literal["emptied", "swapped", "noise", "planted"]
    """``planted``: no answer was touched; quality was set to 0."""
    loss: float | None
    """Mean quality that production loses where all its answers are broken so; None: none could be scored."""
    rows: int
    """Broken answers that were scored."""
    unscored: int
    noticed: bool
    """Whether that is more than the margin, or more rows are unscored than may be."""
    decision: Decision | None
    """What the gate says where only so many are broken that the loss lies just beyond the margin; None:
    there is no such loss."""
    broken_by: float
    """That loss."""
    broken_rows: int


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """The same gate on the same rows, where the right answer is known."""

    identical: Decision
    """What it says of production compared with itself."""
    broken: Decision | None
    """What it says of production with a known share of answers broken, in the worst of ``breakages``; None:
    nothing could be broken by more than the margin."""
    broken_by: float
    """The loss of quality in it."""
    broken_rows: int
    draws: int
    """Candidates drawn exactly at the limit of what may pass."""
    promoted: int
    """How many of them the rule for quality let pass."""
    allowed: int
    """More than this is a failure."""
    passed: bool
    problems: tuple[str, ...] = ()
    breakages: tuple[Breakage, ...] = ()
    unasked: tuple[str, ...] = ()
    """Scorers of the quality that were not run on broken answers, as they ask a model: 0 stands for them."""
    warnings: tuple[str, ...] = ()
    """What the scores do not notice without failing the test."""


@dataclass(frozen=True, kw_only=True)
class Joint:
    """One of several candidates decided together."""

    candidates: int
    p_value: float
    """Largest one-sided p-value of what had to be shown, Holm-adjusted over the candidates."""
    confidence: float
    """Of each interval that holds for all candidates at once: of :attr:`interval`, and of the Verdict's
    cost and latency ratios."""
    interval: Interval | None
    """Of the difference of quality; the intervals of all candidates hold at once."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The decision on one candidate against production, on the test rows."""

    verdict: Decision
    reasons: tuple[str, ...]
    """Plain sentences; the first one carries the decision."""
    warnings: tuple[str, ...]
    """What to know besides; none of it changed the decision."""
    superiority: bool
    """Whether the candidate had to be better (only the prompt changes) rather than not worse."""
    margin: float
    confidence: float
    delta: float | None
    """Mean quality of the candidate minus that of production, as measured."""
    interval: Interval | None
    """Two-sided, at ``confidence``."""
    baseline: Side
    candidate: Side
    rows_given: int
    rows: int
    """Rows used: measured on both sides."""
    clusters: int
    missing: Missing
    rows_needed: int | None
    """Further rows for an 80 % chance of PROMOTE if the difference is as observed; None: not applicable."""
    fixed: int
    """Rows on which the candidate scores higher than production."""
    broken: int
    """Rows on which it scores lower."""
    p_values: Mapping[str, float | None] = field(default_factory=dict)
    """One-sided ``not_worse_than_margin`` and ``better``, as decided on; beside them the clustered t's
    (``t_...``, None without any spread), the sign-flip ``permutation_better``, and the two-sided exact
    ``mcnemar`` for 0/1 scores."""
    intervals: Mapping[str, Interval | None] = field(default_factory=dict)
    """Second opinions on the difference: ``t`` and ``bca``; None without any spread."""
    corrected: Corrected | None = None
    guardrails: tuple[Guardrail, ...] = ()
    scores: tuple[ScoreGuardrail, ...] = ()
    slices: tuple[Slice, ...] = ()
    noise: Noise | None = None
    self_test: SelfTest | None = None
    joint: Joint | None = None
    """None where one candidate was decided alone."""
    cost_ratio: float | None = None
    """Candidate over production."""
    cost_ratio_interval: Interval | None = None
    """At ``confidence``; of several candidates at ``joint.confidence``, so that it holds for all at once. The
    same of latency."""
    p95_latency_ratio: float | None = None
    p95_latency_ratio_interval: Interval | None = None
    test_openings: int = 1

    def to_json(self) -> dict[str, Any]:
        """The gate's part of ``verdict.json``; the pipeline adds models, digests, spend and the rest."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "superiority": self.superiority,
            "margin": self.margin,
            "confidence": self.confidence,
            "delta": self.delta,
            "interval": _plain(self.interval),
            "baseline": _plain(self.baseline),
            "candidate": _plain(self.candidate),
            "rows": {
                "test": self.rows_given,
                "used": self.rows,
                "groups": self.clusters,
                "unscored": self.missing.rows,
                "unscored_baseline": self.missing.baseline,
                "unscored_candidate": self.missing.candidate,
            },
            "rows_needed": self.rows_needed,
            "fixed": self.fixed,
            "broken": self.broken,
            "p_values": dict(self.p_values),
            "intervals": {name: _plain(limits) for name, limits in self.intervals.items()},
            "corrected": _plain(self.corrected),
            "guardrails": _plain(self.guardrails),
            "guardrail_scores": _plain(self.scores),
            "slices": _plain(self.slices),
            "noise": _plain(self.noise),
            "self_test": _plain(self.self_test),
            "joint": _plain(self.joint),
            "cost_ratio": {"value": self.cost_ratio, "interval": _plain(self.cost_ratio_interval)},
            "p95_latency_ratio": {
                "value": self.p95_latency_ratio,
                "interval": _plain(self.p95_latency_ratio_interval),
            },
            "test_openings": self.test_openings,
        }


def _plain(value: Any) -> Any:
    """Dataclasses as mappings, tuples as lists."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(found) for name, found in asdict(value).items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
