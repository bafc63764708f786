"""Rows of a dataset for scored tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EXPECTED = ("expected", "expected_response", "expected_output", "reference")
_META = ("id", "group", "metadata", "weight", "trace_ids", "expectations", "inputs")
_LONGEST_CELL = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Row(Mapping[str, Any]):
    """One row of a dataset; as a mapping it is its inputs."""

    id: str
    inputs: Mapping[str, Any]
    expected: Any = None
    """What is right: a value, or a mapping of expectations."""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The row as it was read."""

    def __getitem__(self, name: str) -> Any:
        return self.inputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inputs)

    def __len__(self) -> int:
        return len(self.inputs)

    __hash__ = object.__hash__


def read_rows(dataset: Any, *, folders: Sequence[Path]) -> list[Row]:
    """The rows of ``dataset``: mappings, or a JSONL, CSV or JSON file in one of ``folders``.

    A row has ``inputs`` and ``expectations``, or columns: those named expected, expected_response,
    expected_output or reference are what is right, ``id`` names the row, the others are inputs.

    Raises:
        ValueError: there is no such file, or a row cannot be used; says which.
    """
    if isinstance(dataset, str | Path):
        path = _find(Path(dataset), folders)
        where, given = path.name, _read(path)
    elif isinstance(dataset, Sequence):
        where, given = "dataset", list(dataset)
    else:
        raise ValueError(f"dataset must be a file or a list of rows, not a {type(dataset).__name__}")
    rows = [_row(item, number, where) for number, item in enumerate(given, 1)]
    if not rows:
        raise ValueError(f"{where} has no rows")
    ids = [row.id for row in rows]
    twice = next((name for name in ids if ids.count(name) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise ValueError(f"{where}: two rows have the id {twice!r}")
    return rows


def _find(path: Path, folders: Sequence[Path]) -> Path:
    for folder in folders:
        if (folder / path).is_file():
            return folder / path
    looked = ", ".join(str(folder) for folder in dict.fromkeys(folders))
    raise ValueError(f"there is no dataset {str(path)!r} (looked in {looked})")


def _read(path: Path) -> list[Any]:
    kind = path.suffix.lower()
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    if kind == ".csv":
        limit = csv.field_size_limit(_LONGEST_CELL)
        try:
            return list(csv.DictReader(text.splitlines(keepends=True)))
        finally:
            csv.field_size_limit(limit)
    if kind in (".jsonl", ".ndjson"):
        return [
            _json(line, f"{path.name}, line {n}")
            for n, line in enumerate(text.split("\n"), 1)
            if line.strip()
        ]
    if kind == ".json":
        found = _json(text, path.name)
        if isinstance(found, list):
            return found
        raise ValueError(f"{path.name} must hold a list of rows")
    raise ValueError(f"{path.name}: a dataset is a .jsonl, .csv or .json file")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}") from error


def _row(item: Any, number: int, where: str) -> Row:
    if isinstance(item, Row):
        return item
    if not isinstance(item, Mapping):
        raise ValueError(f"{where}, row {number} is not a mapping: {item!r:.60}")
    inputs = item.get("inputs")
    if inputs is None:
        inputs = {name: value for name, value in item.items() if name not in (*_EXPECTED, *_META)}
    if not isinstance(inputs, Mapping):
        raise ValueError(f"{where}, row {number}: 'inputs' must be a mapping")
    expected = item.get("expectations")
    if not expected:
        expected = next((item[name] for name in _EXPECTED if item.get(name) not in (None, "")), None)
    return Row(id=str(item.get("id") or number), inputs=inputs, expected=expected, data=item)
