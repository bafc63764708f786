"""Which test rows are worth a look: those that the candidate broke and those that it fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.report.shapes import Answer, TestRow
from promptmigrate.report.wording import clean, score, text

LIMIT = 20
"""Examples shown of each kind."""
_CHARS = 4_000
_TITLE = 110
_SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A text as far as it is shown."""

    text: str
    left_off: int
    """Characters not shown."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One answer."""

    output: Shown | None
    """None: no answer."""
    score: str
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test row on the page."""

    title: str
    id: str
    inputs: tuple[tuple[str, Shown], ...]
    expected: Shown | None
    rationale: Shown | None
    baseline: Side
    candidate: Side


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows of one kind, the largest changes first."""

    total: int
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """All kinds."""

    broken: Group
    fixed: Group
    same: int
    """Rows that both answered equally well."""
    failed: Group
    """Rows that were not measured on at least one side."""


def choose(rows: Sequence[TestRow], *, limit: int = LIMIT) -> Examples:
    """Sort the rows into kinds and keep the first ``limit`` of each."""
    failed = [row for row in rows if row.baseline.score is None or row.candidate.score is None]
    measured = [(row, (row.candidate.score or 0.0) - (row.baseline.score or 0.0)) for row in rows]
    gone = {id(row) for row in failed}
    measured = [(row, change) for row, change in measured if id(row) not in gone]
    measured.sort(key=lambda pair: (-abs(pair[1]), pair[0].example))
    return Examples(
        broken=_group([row for row, change in measured if change < -_SAME], limit),
        fixed=_group([row for row, change in measured if change > _SAME], limit),
        same=sum(abs(change) <= _SAME for _, change in measured),
        failed=_group(failed, limit),
    )


def _group(rows: Sequence[TestRow], limit: int) -> Group:
    return Group(total=len(rows), cases=tuple(_case(row) for row in rows[:limit]))


def _case(row: TestRow) -> Case:
    return Case(
        title=_title(row),
        id=clean(row.example),
        inputs=tuple((clean(name), _shown(value)) for name, value in row.inputs.items()),
        expected=None if row.expected is None else _shown(row.expected),
        rationale=_shown(row.rationale) if row.rationale else None,
        baseline=_side(row.baseline),
        candidate=_side(row.candidate),
    )


def _side(answer: Answer) -> Side:
    return Side(
        output=None if answer.output is None else _shown(answer.output),
        score="not measured" if answer.score is None else score(answer.score),
        error=clean(answer.error) if answer.error else None,
    )


def _shown(value: Any) -> Shown:
    whole = text(value)
    return Shown(text=whole[:_CHARS], left_off=max(0, len(whole) - _CHARS))


def _title(row: TestRow) -> str:
    """The longest input in one line: what tells rows apart."""
    texts = [text(value) for value in row.inputs.values()]
    line = " ".join(max(texts, key=len, default="").split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1].rstrip() + "…"
