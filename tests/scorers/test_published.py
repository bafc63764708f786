"""Scorers over recorded completions of a real model reproduce the accuracies that its authors published.

The recordings are not part of the project: PROMPTMIGRATE_DATA names a folder with ``bbh_recorded.jsonl.gz``
(``task, input, target, direct, cot`` per line) and ``bbh_recorded_metrics.json``, both made from the
model outputs in github.com/suzgunmirac/BIG-Bench-Hard.
"""

import gzip
import json
import os
from pathlib import Path

import pytest

from scorers import exact_match, numeric_match

FOLDER = Path(os.environ.get("PROMPTMIGRATE_DATA", "") or "/nonexistent")
pytestmark = pytest.mark.skipif(
    not (FOLDER / "bbh_recorded.jsonl.gz").exists(),
    reason="PROMPTMIGRATE_DATA names no folder with the recordings",
)


@pytest.fixture(scope="module")
def tasks():
    found = {}
    with gzip.open(FOLDER / "bbh_recorded.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            found.setdefault(row["task"], []).append(row)
    return found


@pytest.fixture(scope="module")
def published():
    return json.loads((FOLDER / "bbh_recorded_metrics.json").read_text())


def accuracy(scorer, rows, column):
    return 100 * sum(scorer(output=row[column], expected=row["target"]).value for row in rows) / len(rows)


@pytest.mark.parametrize(
    ("column", "scorer"), [("direct", exact_match()), ("cot", exact_match(extract="the answer is"))]
)
def test_every_published_accuracy(tasks, published, column, scorer):
    assert tasks.keys() == published.keys()
    ours = {task: accuracy(scorer, rows, column) for task, rows in tasks.items()}
    theirs = {task: published[task][column]["accuracy"] for task in tasks}
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_numbers(tasks, published):
    rows = tasks["object_counting"]
    for column in ("direct", "cot"):
        theirs = published["object_counting"][column]["accuracy"]
        assert accuracy(numeric_match(), rows, column) == pytest.approx(theirs, abs=1e-9)
