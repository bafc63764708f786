"""Several targets side by side, and when to take which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptmigrate.decide import switch_if, that_decided
from promptmigrate.pipeline.contest import Contender
from promptmigrate.pipeline.gate import Gate

_AS_DECIDED = ("cost_ratio", "p95_latency_ratio", "rows_needed")
"""What is shown of a target as the gate wrote it; ``promptmigrate verify`` compares it with the bundle."""


def table(gate: Gate, contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """One entry for each target, in the order of the experiment."""
    found = []
    for one, contender in zip(gate.judged, contenders, strict=True):
        verdict = one.verdict
        side = verdict.candidate
        decided = verdict.to_json()
        found.append(
            {
                "model": one.candidate.model,
                "params": dict(one.candidate.params),
                "verdict": verdict.verdict,
                "reasons": list(verdict.reasons),
                "candidate": {
                    "score": side.score,
                    "interval": None if side.interval is None else list(side.interval),
                    "cost_per_call_usd": side.cost_per_call_usd,
                    "p95_latency_s": side.p95_latency_s,
                    "prompt_digest": one.candidate.prompt_digest,
                },
                **that_decided(decided),
                **{name: decided[name] for name in _AS_DECIDED},
                "joint_interval": list(verdict.joint.interval)
                if verdict.joint is not None and verdict.joint.interval is not None
                else None,
                "search": {"stopped": contender.found.stopped, "calls": contender.found.calls},
                "switch_if": switch_if(one.candidate.model, verdict),
                "chosen": one is gate.chosen,
            }
        )
    return found
