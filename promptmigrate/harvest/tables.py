"""Rows of a data file: JSONL, CSV or Parquet, each with the place it came from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from promptmigrate.errors import DataError
from promptmigrate.mlflow_store import nearest

_NAMED = 10
EXTENSIONS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
MAX_CELL_CHARS = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One data row; ``number`` is 1-based, ``line`` too where the format has lines."""

    file: str
    number: int
    line: int | None
    values: dict[str, Any]

    def error(self, message: str) -> DataError:
        """A DataError that says where this row is."""
        return DataError(
            f"line {self.line}: {message}" if self.line else message, file=self.file, row=self.number
        )


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of ``path``, in order.

    Raises:
        DataError: the file is missing, empty, of another kind, or a row cannot be read; says which row.
    """
    if not path.exists():
        try:
            files = [item.name for item in path.parent.iterdir() if item.suffix.lower() in EXTENSIONS]
        except OSError:
            files = []
        hint = f"; {nearest(path.name, files)}" if files else ""
        raise DataError(f"the data file does not exist{hint}", file=path)
    if path.is_dir():
        raise DataError("this is a folder; give a .jsonl, .csv or .parquet file", file=path)
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        hint = "; write one JSON object per line and call it .jsonl" if extension == ".json" else ""
        raise DataError(
            f"a data file must be .jsonl, .csv or .parquet, not {extension or 'without extension'!r}{hint}",
            file=path,
        )
    try:
        if path.stat().st_size == 0:
            raise DataError("the data file is empty", file=path)
        reader = {".parquet": _parquet, ".csv": _csv, ".tsv": _csv}.get(extension, _jsonl)
        count = 0
        for row in reader(path):
            count += 1
            yield row
    except UnicodeDecodeError as error:
        raise DataError(f"the data file is not UTF-8 text (byte {error.start})", file=path) from error
    except OSError as error:
        raise DataError(f"the data file cannot be read: {error.strerror or error}", file=path) from error
    if not count:
        raise DataError("the data file has no rows", file=path)


def _jsonl(path: Path) -> Iterator[Row]:
    number = 0
    with path.open(encoding="utf-8-sig") as stream:
        lines = ((line, text) for line, text in enumerate(stream, 1) if text.strip())
        for line, text in lines:
            number += 1
            found = _object(text)
            if isinstance(found, str):
                # All of them at once: nobody likes to mend a file line by line.
                others = [str(other) for other, text in lines if isinstance(_object(text), str)]
                more = f" (and {len(others) - _NAMED} more)" if len(others) > _NAMED else ""
                also = f"; likewise line {', '.join(others[:_NAMED])}{more}" if others else ""
                raise DataError(f"line {line} {found}{also}", file=path, row=number)
            yield Row(file=str(path), number=number, line=line, values=found)


def _object(text: str) -> dict[str, Any] | str:
    """The JSON object on a line, or what is wrong with it."""
    try:
        value = json.loads(text.rstrip("\r\n"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        said = getattr(error, "msg", None) or str(error)
        column = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return f"is not valid JSON: {said}{column}"
    if isinstance(value, dict):
        return value
    return f'must be a JSON object such as {{"inputs": {{...}}, "reference": "..."}}, not {_kind(value)}'


def _csv(path: Path) -> Iterator[Row]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            lines = _cells(reader)
            header = next(lines, None)
            if not header or not any(name.strip() for name in header):
                raise DataError("the first line must name the columns", file=path)
            header = [name.strip() for name in header]
            double = {name for name in header if header.count(name) > 1}
            if double:
                raise DataError(f"column {sorted(double)[0]!r} appears twice in the first line", file=path)
            number, line = 0, reader.line_num + 1
            for cells in lines:
                if cells:
                    number += 1
                    row = Row(
                        file=str(path),
                        number=number,
                        line=line,
                        values=dict(zip(header, cells, strict=False)),
                    )
                    if len(cells) != len(header):
                        raise row.error(
                            f"the row has {len(cells)} cells, the first line names {len(header)} columns"
                        )
                    yield row
                line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"not valid CSV near line {reader.line_num}: {error}", file=path) from error


def _cells(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    """``lines`` of a csv reader. The limit of a cell is the process's: it is ours only while a line is read,
    since a reader may be left half way, or read in turns with another one."""
    while True:
        before = csv.field_size_limit(MAX_CELL_CHARS)
        try:
            cells = next(lines, None)
        finally:
            csv.field_size_limit(before)
        if cells is None:
            return
        yield cells


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    number += 1
                    yield Row(file=str(path), number=number, line=None, values=values)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"not a readable Parquet file: {str(error).splitlines()[0]}", file=path) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {"list": "an array", "str": "a text", "bool": "true or false"}.get(
        type(value).__name__, "a number"
    )
