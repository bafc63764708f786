"""Judging recorded scores by thresholds, while pytest runs or long after."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from scorers._errors import nearest

SCHEMA = "scorers.artifact/1"
MAX_UNSCORED = 0.1
"""Share of rows that may be without a score where a threshold does not say."""
_LIMITS = ("mean", "min", "max_unscored", "min_rows")


class ThresholdsError(ValueError):
    """Thresholds or an artifact that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the rows of one scorer must meet."""

    mean: float | None = None
    """Lowest mean of the scored rows."""
    min: float | None = None
    """Lowest value of any row."""
    max_unscored: float = MAX_UNSCORED
    """Largest share of rows without a score."""
    min_rows: int = 1
    """Fewest rows with a score."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Limits of one scorer in the tests that a pattern matches."""

    scorer: str
    limits: Limits
    test: str = "*"


@dataclass(kw_only=True)
class Group:
    """The rows of one scorer in one test, repeats averaged inside each row."""

    test: str
    scorer: str
    rows: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def value(self, row: str) -> float | None:
        """Mean of the repeats of a row that were scored; None if none was."""
        known = [entry["value"] for entry in self.rows[row] if entry["value"] is not None]
        return math.fsum(known) / len(known) if known else None


def groups(records: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Records by test and scorer, in the order of their names: workers report in any order."""
    found: dict[tuple[str, str], Group] = {}
    for entry in records:
        key = (entry["test"], entry["scorer"])
        group = found.setdefault(key, Group(test=key[0], scorer=key[1]))
        group.rows.setdefault(entry["row"], []).append(entry)
    return [found[key] for key in sorted(found)]


def summary(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line per test and scorer: rows, unscored rows by reason, mean and lowest value."""
    lines = []
    for group in groups(records):
        values = {row: group.value(row) for row in group.rows}
        known = [value for value in values.values() if value is not None]
        reasons: dict[str, int] = {}
        for row, value in values.items():
            if value is None:
                reason = str(group.rows[row][0]["unscored"])
                reasons[reason] = reasons.get(reason, 0) + 1
        costs = [e["cost_usd"] for r in group.rows.values() for e in r if e.get("cost_usd") is not None]
        lines.append(
            {
                "test": group.test,
                "scorer": group.scorer,
                "rows": len(values),
                "answers": sum(map(len, group.rows.values())),
                "unscored": reasons,
                "mean": math.fsum(known) / len(known) if known else None,
                "min": min(known, default=None),
                "cost_usd": math.fsum(costs) if costs else None,
            }
        )
    return lines


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


def declared(records: Iterable[Mapping[str, Any]]) -> list[Threshold]:
    """The thresholds that the markers of the tests state themselves."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in records:
        if entry.get("limits"):
            found[entry["test"], entry["scorer"]] = entry["limits"]
    return [
        Threshold(scorer=scorer, test=test, limits=_limits(limits, f"{test} {scorer}"))
        for (test, scorer), limits in sorted(found.items())
    ]


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


# --- files -------------------------------------------------------------------------------------------------


def read_thresholds(path: Path) -> list[Threshold]:
    """The thresholds of a file.

    ``scorers:`` holds limits by scorer name, ``tests:`` the same by test (a pattern such as
    ``tests/test_triage.py::*``). Limits are ``mean``, ``min``, ``max_unscored``, ``min_rows``; a number alone
    is the mean.

    Raises:
        ThresholdsError: it cannot be read, or has a key that means nothing.
    """
    data = read_mapping(path)
    for key in data:
        if key not in ("scorers", "tests"):
            raise ThresholdsError(
                f"{path}: there is no key {key!r}{nearest(str(key), ('scorers', 'tests'))}; thresholds stand "
                "under 'scorers' and 'tests'"
            )
    found = _by_scorer(data.get("scorers") or {}, "*", str(path))
    tests = data.get("tests") or {}
    if not isinstance(tests, Mapping):
        raise ThresholdsError(f"{path}: 'tests' must be a mapping of tests to thresholds by scorer")
    for test, given in tests.items():
        found += _by_scorer(given, str(test), f"{path}, {test}")
    if not found:
        raise ThresholdsError(f"{path} has no thresholds")
    return found


def _by_scorer(given: Any, test: str, where: str) -> list[Threshold]:
    if not isinstance(given, Mapping):
        raise ThresholdsError(f"{where}: thresholds are a mapping of scorers to limits, not {given!r:.60}")
    return [
        Threshold(scorer=str(name), test=test, limits=_limits(limits, f"{where}, {name}"))
        for name, limits in given.items()
    ]


def _limits(given: Any, where: str) -> Limits:
    if isinstance(given, int | float) and not isinstance(given, bool):
        given = {"mean": given}
    if not isinstance(given, Mapping):
        raise ThresholdsError(f"{where}: limits are a number or a mapping, not {given!r:.60}")
    for key, value in given.items():
        if key not in _LIMITS:
            raise ThresholdsError(f"{where}: there is no limit {key!r}{nearest(str(key), _LIMITS)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key == "min_rows":
            if not (number and isinstance(value, int) and value >= 1):
                raise ThresholdsError(f"{where}: min_rows must be a whole number above 0, not {value!r:.40}")
        elif not (number and 0 <= value <= 1):
            raise ThresholdsError(f"{where}: {key} must be within [0, 1], not {value!r:.40}")
    return Limits(**given)


def read_mapping(path: Path) -> Mapping[str, Any]:
    """The mapping in a YAML or JSON file.

    Raises:
        ThresholdsError: it cannot be read or is no mapping.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ThresholdsError(f"{path} cannot be read: {error}") from error
    try:
        data = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text, path)
    except ValueError as error:
        raise ThresholdsError(f"{path} is not valid: {error}") from error
    if not isinstance(data, Mapping):
        raise ThresholdsError(f"{path} must hold a mapping")
    return data


def _yaml(text: str, path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ThresholdsError(
            f"{path}: YAML needs PyYAML (pip install pyyaml), or write it as .json"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ThresholdsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def write_artifact(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write all records, so that a reader sees the old file or the new one, never half.

    Raises:
        ThresholdsError: it cannot be written.
    """
    ordered = sorted(records, key=lambda e: (e["test"], e["row"], e["repeat"], e["scorer"]))
    data = {"schema": SCHEMA, "summary": summary(ordered), "records": ordered}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(data, stream, ensure_ascii=False, indent=1)
            stream.write("\n")
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise ThresholdsError(f"{path} cannot be written: {error.strerror}") from error


def read_artifact(path: Path) -> list[dict[str, Any]]:
    """The records of an artifact.

    Raises:
        ThresholdsError: it is none.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ThresholdsError(f"the artifact {path} cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ThresholdsError(f"{path} is no artifact of --score-artifact")
    records: list[dict[str, Any]] = data["records"]
    return records


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


def line(entry: Mapping[str, Any]) -> str:
    """One line of a summary, for people."""
    mean = "no score" if entry["mean"] is None else f"mean {entry['mean']:.4g}"
    unscored = ", ".join(
        f"{count} unscored ({reason})" for reason, count in sorted(entry["unscored"].items())
    )
    answers = f", {entry['answers']} answers" if entry["answers"] > entry["rows"] else ""
    cost = "" if entry["cost_usd"] is None else f", ${entry['cost_usd']:.4f}"
    rows = f"{entry['rows']} row{'s' if entry['rows'] != 1 else ''}{answers}"
    return (
        f"{entry['scorer']}: {mean} over {rows}{', ' + unscored if unscored else ''}{cost}  {entry['test']}"
    )
