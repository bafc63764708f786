"""Judging recorded scores by thresholds, while pytest runs or long after."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from scorers._pytest_artifact import read_artifact
from scorers._pytest_summary import groups, line, summary
from scorers._pytest_thresholds import Limits, Threshold, ThresholdsError, declared, read_thresholds


def judge(records: Sequence[Mapping[str, Any]], thresholds: Iterable[Threshold]) -> list[str]:
    """What does not meet the thresholds, in words; nothing if all are met.

    A threshold that finds no rows is not met: what was not measured does not pass.
    """
    found = groups(records)
    failures = []
    for threshold in thresholds:
        rows: dict[str, tuple[float | None, Mapping[str, Any]]] = {}
        for group in found:
            if fnmatchcase(group.scorer, threshold.scorer) and _matches(group.test, threshold.test):
                for row, entries in group.rows.items():
                    worst = min(entries, key=lambda e: -1.0 if e["value"] is None else e["value"])
                    rows[f"{group.test}[{row}] {group.scorer}"] = (group.value(row), worst)
        where = threshold.scorer + (f" in {threshold.test}" if threshold.test != "*" else "")
        failures += [f"{where}: {text}" for text in _failures(rows, threshold.limits)]
    return failures


def _matches(test: str, pattern: str) -> bool:
    # A test's own name may hold characters that mean something in a pattern.
    return test == pattern or fnmatchcase(test, pattern)


def _failures(rows: Mapping[str, tuple[float | None, Mapping[str, Any]]], limits: Limits) -> list[str]:
    known = {row: value for row, (value, _) in rows.items() if value is not None}
    if len(known) < limits.min_rows:
        return [f"{len(known)} rows have a score, and {limits.min_rows} are needed"]
    found = []
    unscored = len(rows) - len(known)
    if unscored > limits.max_unscored * len(rows):
        first = next(entry for value, entry in rows.values() if value is None)
        found.append(
            f"{unscored} of {len(rows)} rows are unscored, more than {limits.max_unscored:g} of them "
            f"(first: {first['unscored']}: {first['rationale']})"
        )
    mean = math.fsum(known.values()) / len(known)
    if limits.mean is not None and mean < limits.mean:
        found.append(
            f"the mean is {mean:.4g}, below {limits.mean:g}, over {len(known)} rows{_worst(rows, 1.0)}"
        )
    if limits.min is not None and min(known.values()) < limits.min:
        lowest = min(known.values())
        found.append(f"the lowest row is {lowest:.4g}, below {limits.min:g}{_worst(rows, limits.min)}")
    return found


def _worst(rows: Mapping[str, tuple[float | None, Mapping[str, Any]]], below: float, most: int = 3) -> str:
    ranked = sorted(
        ((value, row, entry) for row, (value, entry) in rows.items() if value is not None and value < below),
        key=lambda found: (found[0], found[1]),
    )
    lines = []
    for value, row, entry in ranked[:most]:
        lines.append(f"\n  {row} is {value:.4g}")
        for name in ("input", "expected", "output", "rationale"):
            if entry.get(name) not in (None, ""):
                told = (
                    entry[name]
                    if isinstance(entry[name], str)
                    else json.dumps(entry[name], ensure_ascii=False)
                )
                lines.append(f"\n    {name + ':':<11}{told[:500]}")
    if len(ranked) > most:
        lines.append(f"\n  and {len(ranked) - most} more")
    return "".join(lines)


def main(arguments: Sequence[str]) -> int:
    """See :func:`scorers.pytest_plugin.main`."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m scorers.pytest_plugin", description="Judge recorded scores without any call."
    )
    commands = parser.add_subparsers(required=True, metavar="judge")
    command = commands.add_parser("judge", help="judge an artifact of --score-artifact by thresholds")
    command.add_argument("artifact", type=Path)
    command.add_argument("--thresholds", type=Path, help="YAML or JSON; default: those the markers state")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(list(arguments))
    try:
        records = read_artifact(given.artifact)
        thresholds = read_thresholds(given.thresholds) if given.thresholds else declared(records)
        if not thresholds:
            raise ThresholdsError("the tests state no thresholds; give some with --thresholds")
    except ThresholdsError as error:
        sys.stderr.write(f"scorers: {error}\n")
        return 2
    failures = judge(records, thresholds)
    if given.json:
        data = {"passed": not failures, "failures": failures, "summary": summary(records)}
        sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join([*map(line, summary(records)), *failures]) + "\n")
    return 100 if failures else 0
