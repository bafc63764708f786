"""Rows with a person's label, from lists, CSV and JSONL."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from scorers._types import Score

_YES = frozenset({"1", "true", "yes", "y", "pass", "passed", "good", "correct", "right", "acceptable"})
_NO = frozenset({"0", "false", "no", "n", "fail", "failed", "bad", "incorrect", "wrong", "unacceptable"})
_WINS = {"output": 1.0, "tie": 0.5, "expected": 0.0}
_NAMES = ("output", "label", "expected", "inputs", "group")
_LONGEST_CELL = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An output with what a person says about it."""

    output: Any
    label: Any
    """True/false, 0/1, yes/no, pass/fail, a verdict of the judge, a number on a scale, or, for pairwise,
    ``output``, ``expected`` or ``tie``. None: not labelled (yet)."""
    expected: Any = None
    inputs: Mapping[str, Any] | None = None
    group: Hashable = None
    """Rows that hang together (one session, user or document) have the same; None: the row stands alone."""
    score: Score | None = None
    """What the judge said, if it was recorded: then it is not asked again."""


Rows: TypeAlias = Iterable[Labelled | Mapping[str, Any]]


def load_labelled(source: str | Path | Rows, *, columns: Mapping[str, str] | None = None) -> list[Labelled]:
    """Labelled rows from a CSV or JSONL file, or from mappings with the same names.

    The names are ``output``, ``label``, ``expected``, ``inputs`` (a JSON object; or one column
    ``inputs.<name>`` for each) and ``group``; ``columns`` tells which column stands for which of them, as in
    ``{"output": "answer", "label": "reviewer_1"}``. Other columns are left alone.

    Raises:
        ValueError: the file is neither .csv nor .jsonl, a row is not an object, a column is missing, or
            ``columns`` has a name that is none of these.
    """
    _check_names(columns or {})
    rows: Iterable[tuple[str, Any]]
    if isinstance(source, str | Path):
        path = Path(source)
        kinds = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".ndjson": _jsonl_rows}
        if path.suffix.lower() not in kinds:
            raise ValueError(f"{path.name}: labelled rows are read from .csv and .jsonl files")
        rows = kinds[path.suffix.lower()](path)
    else:
        rows = ((f"row {number}", row) for number, row in enumerate(source, 1))
    try:
        rows = list(rows)
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is not UTF-8 text (byte {error.start})") from None
    for name, column in (columns or {}).items():
        # A row may lack what need not be known of it; a column that none has is a slip of the pen.
        known = {str(key): None for _, row in rows if isinstance(row, Mapping) for key in row}
        if known and column not in known:
            raise ValueError(f"there is no column {column!r} for the {name}; there are {', '.join(known)}")
    return [_labelled(where, row, columns or {}) for where, row in rows]


def _check_names(columns: Mapping[str, str]) -> None:
    for name in columns:
        if name not in _NAMES:
            raise ValueError(f"there is no {name!r} in a labelled row; columns stand for {', '.join(_NAMES)}")


def _csv_rows(path: Path) -> Iterator[tuple[str, Any]]:
    import csv

    # The limit is the process's own: nothing is given away before it is put back.
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    finally:
        csv.field_size_limit(limit)
    for number, row in enumerate(rows, 2):
        # An empty cell says nothing, but an empty output is one.
        yield f"{path.name}, row {number}", {k: v for k, v in row.items() if k is not None}


def _jsonl_rows(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                where = f"{path.name}, line {number}"
                try:
                    yield where, json.loads(line)
                except ValueError as error:
                    raise ValueError(f"{where} is not JSON: {error}") from None


def _labelled(where: str, row: Any, columns: Mapping[str, str]) -> Labelled:
    if isinstance(row, Labelled):
        return row
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: a labelled row is an object with 'output' and 'label', not {row!r:.80}")

    def cell(name: str) -> Any:
        return row.get(columns.get(name, name))

    for name in ("output", "label"):
        if columns.get(name, name) not in row:
            known = ", ".join(map(str, row))
            raise ValueError(
                f"{where}: there is no column {columns.get(name, name)!r} for the {name}; there are {known}"
            )
    score = cell("score")
    return Labelled(
        output=cell("output"),
        label=_given(cell("label")),
        expected=_given(cell("expected")),
        inputs=_inputs(where, row, cell("inputs")),
        group=_given(cell("group")),
        score=score if isinstance(score, Score) else None,
    )


def _given(cell: Any) -> Any:
    return None if isinstance(cell, str) and not cell.strip() else cell


def _inputs(where: str, row: Mapping[str, Any], cell: Any) -> Mapping[str, Any] | None:
    if isinstance(cell, str) and cell.strip().startswith("{"):
        try:
            cell = json.loads(cell)
        except ValueError as error:
            raise ValueError(f"{where}: 'inputs' is not a JSON object: {error}") from None
    spread = {
        name.partition(".")[2]: value
        for name, value in row.items()
        if isinstance(name, str) and name.startswith("inputs.")
    }
    if isinstance(cell, Mapping):
        return {**cell, **spread}
    if _given(cell) is not None:
        return {"input": cell, **spread}
    return spread or None


def value_of(label: Any, menu: Mapping[str, float], scale: tuple[float, float] | None = None) -> float | None:
    """A person's label as a value in [0, 1]; None if there is none.

    With ``scale`` it is a number from scale[0] (worst) to scale[1] (best). Else a verdict of ``menu``, a word
    for yes or no, or a number in [0, 1].

    Raises:
        ValueError: it is none of these.
    """
    if label is None or (isinstance(label, float) and math.isnan(label)):
        return None
    if isinstance(label, bool):
        return float(label)
    text = str(label).strip()
    number = _number(text)
    if scale is not None:
        low, high = scale
        if number is None or not min(low, high) <= number <= max(low, high):
            raise ValueError(f"the label {label!r:.60} is no number from {low} to {high}")
        return (number - low) / (high - low)
    said = {verdict.casefold(): value for verdict, value in menu.items()}
    word = text.casefold()
    whole = number is not None and number.is_integer()
    found = said.get(str(int(number)) if whole and number is not None else word, _WINS.get(word))
    if found is not None:
        return found
    if word in _YES or word in _NO:
        return float(word in _YES)
    if number is not None and 0 <= number <= 1:
        return number
    hint = f", one of {', '.join(menu)}" if menu else ""
    raise ValueError(
        f"the label {label!r:.60} is not 0 to 1, yes or no{hint}; for another scale, pass scale=(1, 5)"
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
