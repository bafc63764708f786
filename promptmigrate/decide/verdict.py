"""What the gate says: the decision and every number that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

Decision: TypeAlias = Literal["PROMOTE", "REJECT", "INCONCLUSIVE"]
Quality: TypeAlias = Literal["pass", "fail", "open"]
GuardrailStatus: TypeAlias = Literal["pass", "fail", "unclear", "unmeasurable"]


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
    """Mean quality of the candidate minus that of production."""
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
    """One-sided ``not_worse_than_margin`` and ``better``; two-sided exact ``mcnemar`` for 0/1 scores."""
    guardrails: tuple[Guardrail, ...] = ()
    cost_ratio: float | None = None
    cost_ratio_interval: Interval | None = None
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
            "interval": _limits(self.interval),
            "baseline": _side(self.baseline),
            "candidate": _side(self.candidate),
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
            "guardrails": [
                {
                    "name": g.name,
                    "limit": g.limit,
                    "value": g.value,
                    "interval": _limits(g.interval),
                    "status": g.status,
                    "detail": g.detail,
                }
                for g in self.guardrails
            ],
            "cost_ratio": {"value": self.cost_ratio, "interval": _limits(self.cost_ratio_interval)},
            "p95_latency_ratio": {
                "value": self.p95_latency_ratio,
                "interval": _limits(self.p95_latency_ratio_interval),
            },
            "test_openings": self.test_openings,
        }


def _limits(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _side(side: Side) -> dict[str, Any]:
    return {
        "score": side.score,
        "interval": _limits(side.interval),
        "cost_per_call_usd": side.cost_per_call_usd,
        "p95_latency_s": side.p95_latency_s,
    }
