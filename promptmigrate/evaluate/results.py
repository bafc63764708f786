"""What was measured: all Outcomes of some Variants on some Examples, and their summaries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from promptmigrate.types import Example, Outcome, Variant

Key: TypeAlias = tuple[str, str, int]
"""Variant digest, Example id, repeat."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One Variant on many Examples."""

    rows: int
    """Examples with a quality."""
    missing: int
    """Examples without one: the call failed or a scorer could not score."""
    quality: float | None
    """Weighted mean in [0, 1]; None without a single scored row."""
    scores: Mapping[str, float | None]
    """Mean of each scorer over the rows it scored, by their weights, repeats averaged inside a row."""
    cost_usd: float | None
    """Mean cost of one call in USD; None if a price is not known."""
    p50_latency_s: float | None
    p95_latency_s: float | None
    errors: Mapping[str, int]
    """Failed calls by kind, and unscored outputs by reason as ``unscored: reason``."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Outcomes of ``variants`` on ``examples``, each ``repeats`` times."""

    variants: tuple[Variant, ...]
    examples: tuple[Example, ...]
    weights: Mapping[str, float]
    """Scorer name -> weight in the quality."""
    repeats: int = 1
    outcomes: Mapping[Key, Outcome] = field(default_factory=dict)

    def outcome(self, variant: Variant, example: Example, repeat: int = 0) -> Outcome | None:
        """The Outcome, or None if it was not run."""
        return self.outcomes.get((variant.digest, example.id, repeat))

    def quality(self, variant: Variant, example: Example) -> float | None:
        """Weighted mean of the scores, averaged over repeats, in [0, 1].

        None where no repeat has all its scores: a failed call or an unscored output is missing data.
        """
        values = []
        for repeat in range(self.repeats):
            outcome = self.outcome(variant, example, repeat)
            if outcome is not None and (value := outcome_quality(outcome, self.weights)) is not None:
                values.append(value)
        return math.fsum(values) / len(values) if values else None

    def score(self, variant: Variant, example: Example, scorer: str) -> float | None:
        """What ``scorer`` gave, averaged over repeats; None where it scored none of them."""
        values = [
            score.value
            for outcome in self._answered(variant, (example,))
            for score in outcome.scores
            if score.name == scorer and score.value is not None
        ]
        return math.fsum(values) / len(values) if values else None

    def _mean_score(self, variant: Variant, scorer: str) -> float | None:
        weighted = [(e.weight, self.score(variant, e, scorer)) for e in self.examples]
        scored = [(weight, value) for weight, value in weighted if value is not None]
        total = math.fsum(weight for weight, _ in scored)
        return math.fsum(weight * value for weight, value in scored) / total if total else None

    def mean_quality(self, variant: Variant) -> float | None:
        """Mean quality of ``variant`` over its scored Examples, by their weights."""
        return self.summary(variant).quality

    def mean_cost(self, variant: Variant) -> float | None:
        """Mean cost of one call of ``variant`` in USD; None if its price is not known."""
        return self.summary(variant).cost_usd

    def cost(self, variant: Variant, example: Example) -> float | None:
        """Mean cost of the answered calls of ``variant`` on ``example`` in USD."""
        costs = [o.reply.cost_usd for o in self._answered(variant, (example,))]
        known = [cost for cost in costs if cost is not None]
        return math.fsum(known) / len(known) if known and len(known) == len(costs) else None

    def latency(self, variant: Variant, example: Example) -> float | None:
        """Mean latency of the answered calls of ``variant`` on ``example`` in seconds; None: not recorded."""
        values = [o.reply.latency_s for o in self._answered(variant, (example,)) if o.reply.latency_s > 0]
        return math.fsum(values) / len(values) if values else None

    def _answered(self, variant: Variant, examples: Iterable[Example]) -> list[Outcome]:
        found = (self.outcome(variant, e, r) for e in examples for r in range(self.repeats))
        return [o for o in found if o is not None and o.reply.answered]

    def summary(self, variant: Variant) -> Summary:
        """Means, percentiles and counted errors of ``variant``."""
        weighted = [(e.weight, self.quality(variant, e)) for e in self.examples]
        scored = [(weight, value) for weight, value in weighted if value is not None]
        total = math.fsum(weight for weight, _ in scored)
        answered = self._answered(variant, self.examples)
        costs = [o.reply.cost_usd for o in answered]
        known = [cost for cost in costs if cost is not None]
        errors: dict[str, int] = {}
        for example in self.examples:
            for repeat in range(self.repeats):
                outcome = self.outcome(variant, example, repeat)
                if outcome is None:
                    continue
                if not outcome.reply.answered:
                    errors[outcome.reply.kind] = errors.get(outcome.reply.kind, 0) + 1
                for score in outcome.scores:
                    if score.value is None:
                        key = f"unscored: {score.unscored}"
                        errors[key] = errors.get(key, 0) + 1
        latencies = sorted(o.reply.latency_s for o in answered if o.reply.latency_s > 0)
        return Summary(
            rows=len(scored),
            missing=len(weighted) - len(scored),
            quality=math.fsum(w * v for w, v in scored) / total if total else None,
            scores={name: self._mean_score(variant, name) for name in self.weights},
            cost_usd=math.fsum(known) / len(known) if known and len(known) == len(costs) else None,
            p50_latency_s=percentile(latencies, 0.5),
            p95_latency_s=percentile(latencies, 0.95),
            errors=dict(sorted(errors.items())),
        )


def outcome_quality(outcome: Outcome, weights: Mapping[str, float]) -> float | None:
    """Weighted mean of the scores of one Outcome, or None if the call failed or a score is missing."""
    if not outcome.reply.answered or not outcome.scores:
        return None
    total = 0.0
    value = 0.0
    for score in outcome.scores:
        weight = weights[score.name]
        if not weight:
            continue  # a guardrail: looked at by itself
        if score.value is None:
            return None
        total += weight
        value += weight * score.value
    return value / total if total else None


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest of the ``ordered`` values that at least ``share`` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


class Counted(Protocol):
    """What a Reply says of its call, wherever it is kept."""

    @property
    def input_tokens(self) -> int: ...  # noqa: D102
    @property
    def output_tokens(self) -> int: ...  # noqa: D102
    @property
    def cost_usd(self) -> float | None: ...  # noqa: D102
    @property
    def latency_s(self) -> float: ...  # noqa: D102


def trace_of(call: Counted) -> dict[str, Any]:
    """What scorers of cost, latency and tokens read; what is not known is left out."""
    found: dict[str, Any] = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
    if call.cost_usd is not None:
        found["cost_usd"] = call.cost_usd
    if call.latency_s > 0:
        found["latency_s"] = call.latency_s
    return found
