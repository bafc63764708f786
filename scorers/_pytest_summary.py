"""Recorded scores by test and scorer, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


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
