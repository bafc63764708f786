"""A run folder as the pipeline leaves it, its numbers decided by the real gate."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

from promptmigrate.decide import PairedRow, Rules, decide
from promptmigrate.report import write_regressions

SUBJECTS = [
    "I was charged twice for my subscription this month, order {n}",
    "The app crashes whenever I open the export dialog (build {n})",
    "How do I change the e-mail address of my account? My user is {n}",
    "Please cancel my plan before the next renewal on the {n}th and confirm in writing, because the last two "
    "times that I asked nobody answered and the money was taken anyway",
]
LABELS = ["billing", "bug", "account", "cancellation"]

ORIGINAL = [
    {
        "role": "system",
        "content": "You triage support tickets.\n\nClassify the ticket into one category.\nBe brief.\n\n"
        + "\n".join(f"Background line {k}: nothing to see here." for k in range(9))
        + "\nIf you are unsure, pick the most likely one.",
    },
    {"role": "user", "content": "Ticket:\n{{ticket}}\n\nCategory:"},
]
CANDIDATE = [
    {
        "role": "system",
        "content": "You triage support tickets.\n\nClassify the ticket into exactly one category: billing, "
        "bug, account, cancellation.\nAnswer with the category alone: lower case, no punctuation, no "
        "explanation.\n\n"
        + "\n".join(f"Background line {k}: nothing to see here." for k in range(9))
        + "\nIf you are unsure, pick the most likely one.",
    },
    {"role": "user", "content": "Ticket:\nMy invoice shows VAT twice.\n\nCategory:"},
    {"role": "assistant", "content": "billing"},
    {"role": "user", "content": "Ticket:\n{{ticket}}\n\nCategory:"},
]


TARGETS = [
    {
        "model": "sim/triage-small",
        "verdict": "PROMOTE",
        "candidate": {"score": 0.938, "cost_per_call_usd": 0.00052, "p95_latency_s": 0.82},
        "delta": 0.014,
        "interval": [-0.021, 0.049],
        "joint_interval": [-0.024, 0.052],
        "cost_ratio": {"value": 0.127, "interval": [0.121, 0.134]},
        "p95_latency_ratio": {"value": 0.41, "interval": [0.33, 0.52]},
        "switch_if": "Switch to sim/triage-small if a cost per call of 0.13x production's (0.12x to 0.13x) "
        "is worth a quality between -2.1 and +4.9 points of production's.",
        "chosen": True,
    },
    {
        "model": "sim/triage-tiny",
        "verdict": "REJECT",
        "candidate": {"score": 0.71, "cost_per_call_usd": 0.00009, "p95_latency_s": 0.31},
        "delta": -0.214,
        "interval": [-0.28, -0.15],
        "switch_if": "Do not switch to sim/triage-tiny: Quality drops.",
    },
    {
        "model": "sim/triage-large",
        "verdict": "INCONCLUSIVE",
        "candidate": {"score": 0.93, "cost_per_call_usd": 0.0043, "p95_latency_s": 2.4},
        "delta": 0.006,
        "interval": [-0.052, 0.06],
        "switch_if": "Switch to sim/triage-large only after about 140 more test rows and a verdict.",
    },
]


@cache
def decided(rows: str, margin: float) -> str:
    """What the real gate says, as JSON; many tests have the same rows."""
    rules = Rules(
        margin=margin,
        guardrails={"cost_ratio": 0.6, "p95_latency_ratio": 1.2},
        scores={"json_valid": 0.05},
    )
    return json.dumps(decide([PairedRow.from_json(row) for row in json.loads(rows)], rules).to_json())


def write_run(
    folder: Path,
    *,
    rows: int = 210,
    broken: float = 0.03,
    fixed: float = 0.6,
    seed: int = 5,
    margin: float = 0.05,
    prices: bool = True,
    changes: dict[str, Any] | None = None,
) -> Path:
    """Write ``verdict.json`` and ``test_rows.jsonl``; ``changes`` replace top-level fields of the verdict."""
    draw = random.Random(seed)
    paired, lines = [], []
    for n in range(rows):
        label = n % len(LABELS)
        right = draw.random() < 0.93
        turn = draw.random()
        good = right if turn >= (broken if right else fixed) else not right
        paired.append(
            PairedRow(
                example=f"{n:016x}",
                cluster=f"user-{n // 2}",
                baseline=float(right),
                candidate=float(good),
                baseline_cost_usd=0.0041 * draw.uniform(0.8, 1.2) if prices else None,
                candidate_cost_usd=0.00052 * draw.uniform(0.8, 1.2),
                baseline_latency_s=draw.lognormvariate(0.2, 0.35),
                candidate_latency_s=draw.lognormvariate(-0.7, 0.35),
                baseline_again=float(right if draw.random() < 0.97 else not right),
                slices={"label": LABELS[label], "tenant": ("acme", "globex", "initech")[n % 3]},
                scores={"json_valid": (1.0, 1.0)},
            )
        )
        lines.append(
            {
                "example": f"{n:016x}",
                "cluster": f"user-{n // 2}",
                "inputs": {"ticket": SUBJECTS[label].format(n=n)},
                "expected": LABELS[label],
                "baseline": {"output": LABELS[label] if right else "other", "score": float(right)},
                "candidate": {
                    "output": LABELS[label]
                    if good
                    else "**Category:** General enquiry\n\nThe customer asks about …",
                    "score": float(good),
                },
                "rationale": f"label_match: expected '{LABELS[label]}'",
            }
        )
    gate = json.loads(decided(json.dumps([row.to_json() for row in paired]), margin))
    verdict = {
        **gate,
        "name": "support_triage",
        "simulated": True,
        "primary": "label_match",
        "baseline": {**gate["baseline"], "model": "sim/triage-large", "prompt_digest": "sha256:" + "a1" * 32},
        "candidate": {
            **gate["candidate"],
            "model": "sim/triage-small",
            "prompt_digest": "sha256:" + "b2" * 32,
        },
        "before": {
            "model": "sim/triage-small",
            "prompt_digest": "sha256:" + "a1" * 32,
            "score": 0.412,
            "interval": [0.347, 0.481],
            "cost_per_call_usd": 0.00081,
            "p95_latency_s": 0.93,
        },
        "before_split": "validation",
        "rows": {**gate["rows"], "train": 180, "validation": 210},
        "scorers": [
            {"name": "label_match", "baseline": 0.93, "candidate": 0.948},
            {"name": "equivalence", "baseline": 0.951, "candidate": 0.949},
        ],
        "search": {
            "strategy": "reflective",
            "stopped": "no improvement in 2 generations",
            "calls": 1640,
            "facts": ["Production answers with one of 4 labels: account, billing, bug, cancellation."],
            "generations": [
                {"name": "seeds", "candidates": 4, "best_quality": 0.71},
                {"name": "generation 1", "candidates": 6, "best_quality": 0.88},
                {"name": "generation 2", "candidates": 6, "best_quality": 0.943},
                {"name": "generation 3", "candidates": 6, "best_quality": 0.943},
            ],
            "removed": [
                "If you are unsure, think again.",
                {"text": "demo: My parcel is late", "reason": "no loss on 210 validation rows"},
            ],
            "front": [
                {
                    "label": "original",
                    "quality": 0.412,
                    "cost_per_call_usd": 0.00081,
                    "latency_s": 0.93,
                    "rows": 210,
                },
                {
                    "label": "contract",
                    "quality": 0.71,
                    "cost_per_call_usd": 0.00031,
                    "latency_s": 0.4,
                    "rows": 210,
                },
                {
                    "label": "generation 2, proposal 3",
                    "quality": 0.943,
                    "cost_per_call_usd": 0.00052,
                    "latency_s": 0.47,
                    "rows": 210,
                    "chosen": True,
                },
                {
                    "label": "generation 2 + 4 demos",
                    "quality": 0.948,
                    "cost_per_call_usd": 0.00124,
                    "latency_s": 0.55,
                    "rows": 90,
                },
            ],
        },
        "spend": {
            "calls": {"task": 2412, "judge": 380, "reflection": 21},
            "cached": 630,
            "usd": 1.8342,
            "usd_by_purpose": {"task": 1.2001, "judge": 0.2341, "reflection": 0.4},
            "seconds": 74.2,
        },
        "forecast": {
            "calls": [900, 4100],
            "usd": [0.61, 3.4],
            "expected": {"calls": 2300, "usd": 1.7},
            "basis": "from the token counts of 600 traces",
        },
        "break_even": {
            "sentence": "This run cost $1.83; at 41,000 calls a day it is earned back in 3 hours."
        },
        "targets": TARGETS,
        "joint": {"candidates": 3, "p_value": 0.01, "confidence": 0.98333333, "interval": [-0.024, 0.052]},
        "bundle": {"path": "runs/support_triage/ab12/bundle.zip", "digest": "sha256:" + "f6" * 32},
        "provenance": {
            "dataset_digest": "sha256:" + "c3" * 32,
            "test_digest": "sha256:" + "d4" * 32,
            "config_digest": "sha256:" + "e5" * 32,
            "started": "2026-11-21T20:56:02.123456+00:00",
            "finished": "2026-11-21T20:57:16+00:00",
            "version": "0.1.0",
            "commit": "0123abc",
            "packages": {"mlflow": "3.17.2", "dspy": "3.4.1"},
        },
        "prompts": {"original": ORIGINAL, "candidate": CANDIDATE},
        "prompt_version": "prompts:/support_triage/4",
        "route": "routes/support_triage.yaml",
        "mlflow_run_id": "8f" * 16,
        **(changes or {}),
    }
    if gate["verdict"] != "PROMOTE" and not (changes and "prompt_version" in changes):
        verdict["prompt_version"] = verdict["route"] = None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test_rows.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    clusters = write_regressions(folder, name=str(verdict["name"]), specs=[{"use": "label_match"}])
    verdict.setdefault("broken_clusters", clusters)
    (folder / "verdict.json").write_text(json.dumps(verdict, ensure_ascii=False), encoding="utf-8")
    return folder
