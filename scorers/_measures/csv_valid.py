"""csv_valid: the output is a table of comma-separated values."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from scorers._errors import ScorerSpecError
from scorers._measures._valid import Problem, Valid
from scorers._text import clip

_LONGEST = 131_072
"""Characters of a field: the limit that Python's reader starts with. It is the process's, and whoever raises
it must not change what an answer is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvValid(Valid):
    """1.0 where the output is a table: every row as wide as the first one, quotes closed, else 0.0.

    Blank lines do not count. Fields longer than 131,072 characters are refused, as by Python's reader.

    Kinds of evidence: ``match``, ``empty``, ``invalid_csv``, ``fenced_csv``, ``ragged_rows`` (``row`` is
    the first one), ``wrong_columns``, ``too_few_rows``, ``too_many_rows``.

    Example:
        >>> from scorers import csv_valid
        >>> csv_valid(columns=["name", "age"])(output="name,age\\nAnn,31\\nBob,42").value
        1.0
        >>> csv_valid()(output='name,age\\nAnn,31,Rome').evidence["kind"]
        'ragged_rows'
    """

    name: str = "csv_valid"
    delimiter: str = ","
    """One character; a tab is ``"\\t"``."""
    columns: tuple[str, ...] | None = None
    """What the first row must hold, in this order."""
    header: bool = True
    """The first row names the columns and is no row of data."""
    min_rows: int = 1
    """Rows of data, at least."""
    max_rows: int | None = None
    """Rows of data, at most."""

    def _check(self) -> None:
        if len(self.delimiter) != 1 or self.delimiter in '\r\n"':
            raise ScorerSpecError(f"{self.name}: option 'delimiter' must be one character", key="delimiter")
        if self.columns is not None and not self.header:
            raise ScorerSpecError(f"{self.name}: 'columns' needs a header", key="columns")
        if self.min_rows < 0 or (self.max_rows is not None and self.max_rows < self.min_rows):
            raise ScorerSpecError(f"{self.name}: 'min_rows' must be from 0 to 'max_rows'", key="min_rows")

    def _format(self) -> str:
        return "csv"

    def _problem(self, text: str) -> Problem | None:
        rows = width = 0
        first: list[str] = []
        reader = csv.reader(
            io.StringIO(text.strip("\r\n"), newline=""), delimiter=self.delimiter, strict=True
        )
        try:
            for row in reader:
                if not row:
                    continue
                if len(max(row, key=len)) > _LONGEST:
                    raise csv.Error(f"field larger than field limit ({_LONGEST})")
                if not rows:
                    first, width = row, len(row)
                elif len(row) != width:
                    return Problem(
                        kind="ragged_rows",
                        why=f"row {rows + 1} has {len(row)} fields and the first has {width}",
                        evidence={"row": rows + 1, "fields": len(row), "expected": width},
                    )
                rows += 1
        except csv.Error as error:
            return Problem(kind="invalid_csv", why=f"it is not CSV (line {reader.line_num}: {error})")
        if self.columns is not None and tuple(map(str.strip, first)) != self.columns:
            return Problem(
                kind="wrong_columns",
                why=f"expected the columns {clip(list(self.columns), 200)}, got {clip(first, 200)}",
                evidence={"columns": [clip(name, 60) for name in first[:50]]},
            )
        data = max(0, rows - self.header)
        if data < self.min_rows:
            return Problem(
                kind="too_few_rows", why=f"{data} rows, at least {self.min_rows}", evidence={"rows": data}
            )
        if self.max_rows is not None and data > self.max_rows:
            return Problem(
                kind="too_many_rows", why=f"{data} rows, at most {self.max_rows}", evidence={"rows": data}
            )
        return None


csv_valid = CsvValid
