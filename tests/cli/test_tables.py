"""Tables in a terminal of 80 columns: names give way, numbers do not. And what goes to stdout."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from promptmigrate.cli.console import ConsoleListener, print_json
from promptmigrate.cli.tables import targets_table, verdict_table

LONG = "anthropic/claude-haiku-4-5-20251001"
SIDE = {"score": 0.912, "interval": (0.86, 0.951), "cost_per_call_usd": 0.000871, "p95_latency_s": 12.31}
SUMMARY: dict[str, Any] = {
    "simulated": True,
    "baseline": {**SIDE, "model": "as recorded (no source model named)"},
    "before": {**SIDE, "model": LONG},
    "candidate": {**SIDE, "model": LONG},
    "interval": (-0.0131, 0.0434),
    "delta": 0.0131,
    "margin": 0.025,
    "targets": [
        {
            "model": LONG,
            "verdict": "INCONCLUSIVE",
            "candidate": SIDE,
            "delta": 0.0131,
            "interval": (-0.0131, 0.0434),
            "cost_ratio": {"value": 0.71, "interval": (0.652, 0.773)},
            "p95_latency_ratio": {"value": 10.4, "interval": (9.13, 12.94)},
            "chosen": True,
        }
    ],
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("table", [verdict_table, targets_table])
def test_no_number_is_broken(table: Any, width: int):
    out = io.StringIO()
    Console(file=out, width=width).print(table(SUMMARY))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert "+0.013" in text and "-0.013 to +0.043" in text
    rows = [line for line in lines if "12.31 s" in line]
    assert len(rows) == (3 if table is verdict_table else 1)
    assert all("0.912" in line and "0.000871" in line for line in rows)
    if table is targets_table:
        assert "INCONCLUSIVE" in text and "0.65 to 0.77x" in text and "9.13 to 12.94x" in text


def test_the_difference_that_decided_is_shown_beside_what_a_judge_saw():
    out = io.StringIO()
    corrected = {"method": "rogan_gladen", "delta": 0.0262, "interval": (-0.0271, 0.0881)}
    Console(file=out, width=110).print(verdict_table({**SUMMARY, "corrected": corrected}))
    lines = out.getvalue().splitlines()
    assert any("-0.013 to +0.043" in line for line in lines)
    assert any("decided" in line and "+0.026" in line and "-0.027 to +0.088" in line for line in lines)


def test_what_data_hold_does_not_steer_the_terminal():
    out = io.StringIO()
    listener = ConsoleListener(Console(file=out, width=110))
    listener.note("Slice tenant=\x1b[2J\x00\u202e breaks:\n  line two, caf\u00e9\u00a0\U0001f600")
    said = out.getvalue()
    assert said == "  Slice tenant=\\u001b[2J\\u0000\\u202e breaks:\n  line two, caf\u00e9\u00a0\U0001f600\n"


def test_half_a_character_is_valid_json_on_stdout(capsys: pytest.CaptureFixture[str]):
    print_json({"said": "half \ud83d, whole \U0001f600"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"said": "half \ud83d, whole \U0001f600"}
    assert "\U0001f600" in out
