"""The tests that are written run as they are: the candidate's answers fail them, production's pass."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys

import pytest

from promptmigrate import report
from promptmigrate.errors import DataError
from tests.report.hostile import PAYLOADS

SPECS = [{"use": "label_match"}]
HOSTILE = [
    *PAYLOADS,
    '"""\nimport os; os._exit(7)\n"""',
    "'''\nraise SystemExit(7)\n'''",
    "\\",
    "\\\"); __import__('os')._exit(7) #",
    "# -*- coding: utf-7 -*-",
    "\r\x0b\x0c\x1c\u2028\u2029\x85 import os",
    "{rule}",
    "\ud800",
]


def write(folder, cases):
    """A run folder with ``(inputs, expected, production, candidate)`` rows."""
    lines = [
        {
            "example": f"{n:04x}",
            "inputs": inputs,
            "expected": expected,
            "baseline": {"output": before, "score": float(before == expected)},
            "candidate": {"output": after, "score": float(after == expected)},
        }
        for n, (inputs, expected, before, after) in enumerate(cases)
    ]
    folder.mkdir(exist_ok=True)
    (folder / "test_rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def run(folder, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "regressions")],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


CASES = [
    ({"q": "My invoice was paid twice"}, "refund", "refund", "billing"),
    ({"q": "The invoice is paid, twice"}, "refund", "refund", "billing"),
    ({"q": "Where is it?", "lang": {"code": ["en"]}}, "shipping", "shipping", "general"),
    ({"q": "Hello"}, "general", "general", "general"),
]


def test_recorded_answers_fail_and_pass_as_they_should(tmp_path):
    folder = write(tmp_path / "run", CASES)
    found = report.write_regressions(folder, name="Support triage!", specs=SPECS)
    assert [entry["rows"] for entry in found] == [2, 1]
    assert found[0]["file"] == "regressions/test_support_triage_broken_1.py"
    assert found[0]["examples"] == ["0000", "0001"]
    code, out = run(folder)
    assert code == 1 and "3 failed" in out and "passed" not in out
    assert "expected 'refund'; answered 'billing'" in out
    code, out = run(folder, REGRESSION_ANSWERS="production")
    assert code == 0 and "3 passed" in out


def test_nothing_that_a_row_holds_becomes_code(tmp_path):
    cases = [({"q": text, text: [text]}, text, text, f"not {text}") for text in HOSTILE]
    cases += [({"q": f"{text} again"}, text, text, f"not {text}") for text in HOSTILE]
    folder = write(tmp_path / "run", cases)
    report.write_regressions(folder, name="x", specs=[{"use": "exact_match"}])
    plain = write(tmp_path / "plain", CASES)
    report.write_regressions(plain, name="x", specs=SPECS)

    def shape(path):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and node.targets[0].id == "RULE":
                assert isinstance(node.value, ast.Constant)
                node.value = ast.Constant("")
        return ast.dump(tree)

    (wanted,) = {shape(path) for path in (plain / "regressions").glob("test_*.py")}
    files = sorted((folder / "regressions").glob("test_*.py"))
    assert files and {shape(path) for path in files} == {wanted}
    code, out = run(folder, REGRESSION_ANSWERS="production")
    assert code == 0, out
    assert f"{len(cases)} passed" in out
    code, out = run(folder)
    assert code == 1 and f"{len(cases)} failed" in out


def test_the_conftest_is_the_teams_and_stale_tests_go(tmp_path):
    folder = write(tmp_path / "run", CASES)
    report.write_regressions(folder, name="x", specs=SPECS)
    conftest = folder / "regressions" / "conftest.py"
    conftest.write_text("# ours\n")
    (folder / "regressions" / "test_ours.py").touch()
    write(folder, CASES[:2])
    report.write_regressions(folder, name="x", specs=SPECS)
    assert conftest.read_text() == "# ours\n"
    assert sorted(path.name for path in (folder / "regressions").iterdir()) == [
        "conftest.py",
        "scorers.json",
        "test_ours.py",
        "test_x_broken_1.jsonl",
        "test_x_broken_1.py",
    ]


def test_nothing_broken_writes_nothing(tmp_path):
    folder = write(tmp_path / "run", CASES[3:])
    assert report.write_regressions(folder, name="x", specs=SPECS) == []
    assert not (folder / "regressions").exists()


def test_rows_that_only_a_judge_can_tell_are_skipped_until_it_may_be_asked(tmp_path):
    folder = write(tmp_path / "run", CASES[:1])
    rows = folder / "test_rows.jsonl"
    line = json.loads(rows.read_text())
    line["baseline"]["scores"] = {"equivalence": 1.0}
    rows.write_text(json.dumps(line) + "\n")
    report.write_regressions(folder, name="x", specs=[{"use": "equivalence", "judge": "openai/none"}])
    code, out = run(folder)
    assert code == 0 and "1 skipped" in out


OWN = """
from dataclasses import dataclass
from pathlib import Path
from scorers import Score

@dataclass(frozen=True, kw_only=True)
class Opinion:
    name: str = "opinion"
    version: str = "1"
    asks_model: bool = True

    def __call__(self, *, output, expected=None, inputs=None, trace=None):
        Path(__file__).with_name("asked").touch()
        return Score(name="opinion", value=0.0)

@dataclass(frozen=True, kw_only=True)
class Quick:
    name: str = "quick"
    version: str = "1"

    def __call__(self, *, output, expected=None, inputs=None, trace=None):
        return Score(name="quick", value=float(trace["latency_s"] < 1))
"""


def recorded(folder, scores):
    """A run with one broken row and the ``(production, candidate)`` that scorers gave."""
    folder = write(folder, CASES[:1])
    rows = folder / "test_rows.jsonl"
    line = json.loads(rows.read_text())
    for place, side in enumerate(("baseline", "candidate")):
        line[side]["scores"] = {name: pair[place] for name, pair in scores.items()}
    rows.write_text(json.dumps(line) + "\n")
    return folder


def test_no_scorer_that_asks_a_model_is_asked(tmp_path, monkeypatch):
    (tmp_path / "own_opinion.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    folder = recorded(tmp_path / "run", {"opinion": (1.0, 0.0)})
    (found,) = report.write_regressions(folder, name="x", specs=[{"use": "own_opinion:Opinion"}])
    assert found["file"]
    code, out = run(folder, PYTHONPATH=str(tmp_path))
    assert code == 0 and "1 skipped" in out
    assert not (tmp_path / "asked").exists()
    code, out = run(folder, PYTHONPATH=str(tmp_path), REGRESSION_JUDGES="1")
    assert code == 1 and (tmp_path / "asked").exists()


def test_a_scorer_that_breaks_without_the_trace_of_the_call_has_no_part(tmp_path, monkeypatch):
    (tmp_path / "own_speed.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    folder = recorded(tmp_path / "run", {"quick": (1.0, 1.0), "label_match": (1.0, 0.0)})
    specs = [*SPECS, {"use": "own_speed:Quick"}]
    (found,) = report.write_regressions(folder, name="x", specs=specs)
    assert "quick" not in found["rule"]
    code, out = run(folder, PYTHONPATH=str(tmp_path), REGRESSION_ANSWERS="production")
    assert code == 0 and "1 passed" in out


def test_a_judge_that_was_as_content_with_the_candidate_tells_nothing(tmp_path):
    folder = recorded(tmp_path / "run", {"tone": (1.0, 1.0)})
    specs = [{"use": "equivalence", "judge": "openai/none", "name": "tone"}]
    (found,) = report.write_regressions(folder, name="x", specs=specs)
    assert "file" not in found


def test_a_scorer_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be built"):
        report.write_regressions(write(tmp_path / "run", CASES), name="x", specs=[{"use": "nothing_such"}])
