"""Small experiments on simulated models that really run, in the process of the test."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import parse_config
from promptmigrate.evaluate.calibrate import calibrate
from promptmigrate.lm import Door
from promptmigrate.pipeline import Run, migrate
from promptmigrate.simulate import worlds
from scorers import from_spec

PROMPT = "Decide which queue should take care of this support ticket.\n\n{{ticket}}"


def migrated(
    folder: Path, *, rows: int = 160, weigh: Callable[[int], float] = lambda index: 1.0, **changes: Any
) -> Run:
    """Run an experiment in ``folder`` on rows that ``weigh`` so much, with ``changes`` to its top level."""
    lines = [
        json.dumps({"inputs": dict(row.inputs), "reference": row.expected, "group": f"s{index}",
                    "weight": weigh(index),
                    "expectations": {"expected_response": row.expected}})
        for index, row in enumerate(worlds()["triage"].rows(rows, seed=3))
    ]  # fmt: skip
    (folder / "calls.jsonl").write_text("\n".join(lines))
    config = parse_config(
        {
            "name": "triage",
            "prompt": {"text": PROMPT},
            "source": {"model": "sim/triage-large", "params": {"temperature": 0}},
            "targets": [{"model": "sim/triage-small", "params": {"temperature": 0}}],
            "data": {"traces": {"file": "calls.jsonl"}},
            "scorers": [{"use": "label_match"}],
            "search": {"reflection_model": "sim/editor"},
            "budget": {"calls": 900},
            "gate": {"margin": 0.1},
            "mlflow": {"tracking_uri": f"sqlite:///{folder}/mlflow.db"},
            **changes,
        }
    )
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        return migrate(config, folder=folder, runs=folder / "runs")


def calibrated(folder: Path, judge: dict[str, object], *, rows: int) -> None:
    """Write a card of ``judge`` from so many labelled answers, half of them right."""
    asked = from_spec({"use": judge["use"], "model": judge["judge"]})
    labelled = [
        {
            "output": "billing" if good else "sales",
            "expected": "billing",
            "inputs": {"ticket": f"{n}: I was charged twice."},
            "label": good,
        }
        for n in range(rows)
        for good in [n % 2 == 0]
    ]
    with Door.open(cache=folder / "runs" / "cache") as door:
        card = calibrate(door, asked, labelled, params=judge["params"])  # type: ignore[arg-type]
    card.save(folder / "card.json")
    assert json.loads((folder / "card.json").read_text())["rows"] == rows
