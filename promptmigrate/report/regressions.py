"""Broken rows as pytest files that a team can adopt: ``regressions/test_*.py`` in the run folder.

The Python in them never changes: rows, rules and scorers are data beside it (JSON), so nothing that a row
holds can become code. Only the rule stands in the file, as one JSON string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import scorers
from promptmigrate.errors import DataError
from promptmigrate.evaluate import score_here, scores_alone
from promptmigrate.files import atomic_write
from promptmigrate.report.broken import Cluster, find
from promptmigrate.report.data import load_rows
from promptmigrate.report.shapes import TestRow
from scorers import Scorer, ScorerSpecError

FOLDER = "regressions"
_SAME = 1e-9
_TEMPLATES = Path(__file__).parent / "templates"


def write(run_dir: Path, *, name: str, specs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """See :func:`promptmigrate.report.write_regressions`."""
    rows = load_rows(run_dir)
    try:
        built = [scorers.from_spec(spec) for spec in specs]
    except ScorerSpecError as error:
        raise DataError(f"a scorer of the run cannot be built: {error}") from error
    alone = [scorer for scorer in built if scores_alone(scorer)]
    clusters = find(rows, alone)
    folder = run_dir / FOLDER
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "prompt"
    written = set()
    found = []
    for number, cluster in enumerate(clusters, 1):
        stem = f"test_{slug}_broken_{number}"
        entry = cluster.to_json()
        lines = [line for row in cluster.rows if (line := _line(row, alone, built)) is not None]
        if lines:
            atomic_write(folder / f"{stem}.py", _module(cluster))
            atomic_write(folder / f"{stem}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
            written |= {f"{stem}.py", f"{stem}.jsonl"}
            entry["file"] = f"{FOLDER}/{stem}.py"
        found.append(entry)
    for stale in folder.glob(f"test_{slug}_broken_*.*") if folder.is_dir() else ():
        if stale.name not in written:
            stale.unlink()
    if written:
        atomic_write(
            folder / "scorers.json", json.dumps([scorers.to_spec(s) for s in built], indent=2) + "\n"
        )
        if not (folder / "conftest.py").exists():
            atomic_write(folder / "conftest.py", _template("conftest.py.txt"))
    return found


def _line(row: TestRow, alone: Sequence[Scorer], built: Sequence[Scorer]) -> dict[str, Any] | None:
    """One row as the tests read it; None where no scorer can tell the two answers apart.

    ``asked``: the scorers that ask a model. Nobody is asked here: what they gave is known from the record.
    """
    floor = {}
    asked = []
    told = False
    for scorer in alone:
        before, after = _score(scorer, row, row.baseline.output), _score(scorer, row, row.candidate.output)
        if before is not None:
            floor[scorer.name] = before
            told = told or (after is not None and after < before - _SAME)
    for scorer in built:
        given = row.baseline.scores.get(scorer.name)
        if given is None or scores_alone(scorer):
            continue
        floor[scorer.name] = given
        asked.append(scorer.name)
        after = row.candidate.scores.get(scorer.name)
        told = told or after is None or after < given - _SAME
    if not told:
        return None
    return {
        "id": row.example,
        "inputs": row.inputs,
        "expected": row.expected,
        "floor": floor,
        "asked": asked,
        "answers": {"production": row.baseline.output, "candidate": row.candidate.output},
    }


def _score(scorer: Scorer, row: TestRow, output: Any) -> float | None:
    return score_here(scorer, output, expected=row.expected, inputs=row.inputs).value


def _module(cluster: Cluster) -> str:
    # JSON in ASCII is a Python string too: no quote, line end or other sign gets out of it.
    rule = json.dumps(f"{len(cluster.rows)} of {cluster.total} broken rows: {cluster.rule}")
    return _template("regression.py.txt").replace('"{rule}"', rule)


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")
