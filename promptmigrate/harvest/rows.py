"""Turning the rows of a table into calls: which column is what, and what must be there.

Three shapes are read:

- ours: ``{"inputs": {...}, "reference": "...", "expectations": {...}, "group": "...", "metadata": {...}}``;
- MLflow's: ``{"inputs": {...}, "outputs": ..., "expectations": {...}}``;
- flat: one column per template variable, and columns for the answer, what is right, and the group.

In Parquet and CSV, nested values may be JSON texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.errors import DataError
from promptmigrate.harvest import chat, spooled
from promptmigrate.harvest._call import Call, NotPlainError, Tally, plain
from promptmigrate.harvest.tables import Row
from promptmigrate.mlflow_store import nearest
from promptmigrate.types import Prompt

_REFERENCE = ("reference", "output", "outputs", "response", "answer")
_EXPECTED = ("expected_response", "expected")
_GROUPS = {"session": ("group", "session", "user"), "user": ("group", "user", "session"), "none": ()}
_BOOKKEEPING = frozenset(
    {"id", "split", "weight", "trace_ids", "trace_id", "tags", "source", "dataset_record_id"}
)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a flat table hold what; None: those with the usual names."""

    inputs: Mapping[str, str] | Sequence[str] | None = None
    """Variable -> column, or a list of columns that have the variables' names."""
    reference: str | None = None
    expected: str | None = None
    group: str | None = None

    @property
    def mapped(self) -> dict[str, str]:
        """Variable -> column."""
        if self.inputs is None:
            return {}
        return dict(self.inputs) if isinstance(self.inputs, Mapping) else {name: name for name in self.inputs}

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that must be there."""
        others = (self.reference, self.expected, self.group)
        return (*self.mapped.values(), *(name for name in others if name is not None))


def read_calls(
    rows: Iterable[Row],
    prompt: Prompt,
    tally: Tally,
    *,
    columns: Columns | None = None,
    group_by: str = "session",
) -> list[Call]:
    """The calls in ``rows``.

    Args:
        rows: What :func:`promptmigrate.harvest.tables.read_rows` gives.
        prompt: Every row must have each of its variables.
        tally: Counts the rows and notes what was ignored.
        columns: Where things are, if not under the usual names.
        group_by: ``session``, ``user`` (which column the group is taken from) or ``none``.

    Raises:
        DataError: a row that cannot be used; names file, row, column or variable.
    """
    columns = columns or Columns()
    variables = prompt.variables
    calls = []
    for row in rows:
        if not tally.read:
            _check_columns(row, variables, columns)
        tally.read += 1
        if spooled.is_record(row.values) and (reason := spooled.reject(row.values, prompt)):
            tally.drop(reason)
            continue
        try:
            data = spooled.as_row(row) if spooled.is_record(row.values) else row
            calls.append(_call(data, variables, columns, group_by, tally))
        except NotPlainError as error:
            raise row.error(str(error)) from error
    _check_answers(calls, columns)
    return calls


def _check_answers(calls: Sequence[Call], columns: Columns) -> None:
    """A flat table whose answers are in a column that was not recognised: say so here, with the names."""
    if columns.reference or columns.expected or any(call.reference or call.expectations for call in calls):
        return
    others = sorted({name for call in calls for name in call.metadata})
    if others:
        raise DataError(
            "no column was recognised as production's answer or as what is right: name it with "
            f"data.columns.reference or data.columns.expected (other columns: {', '.join(others[:12])})"
        )


def _check_columns(row: Row, variables: Sequence[str], columns: Columns) -> None:
    """What can be said of the columns as a whole, seen at the first row."""
    for name in columns.named:
        if name not in row.values:
            raise DataError(
                f"there is no column {name!r} (named in data.columns); {nearest(name, row.values)}",
                file=row.file,
            )
    unknown = [name for name in columns.mapped if name not in variables]
    if unknown:
        raise DataError(
            f"data.columns.inputs names {unknown[0]!r}, which is not a variable of the prompt; "
            f"{nearest(unknown[0], variables)}",
            file=row.file,
        )


def _call(row: Row, variables: Sequence[str], columns: Columns, group_by: str, tally: Tally) -> Call:
    values = row.values
    nested = None if columns.mapped else _object(values.get("inputs"))
    if "inputs" in variables and nested is not None and not nested.keys() >= set(variables):
        nested = None  # a column of that name
    if nested is None and "inputs" in values and not columns.mapped and "inputs" not in variables:
        raise row.error("'inputs' must be a mapping from the template's variables to values")
    used = {"inputs"} if nested is not None else {columns.mapped.get(name, name) for name in variables}
    inputs = {}
    for name in variables:
        place = name if nested is not None else columns.mapped.get(name, name)
        source: Mapping[str, Any] = values if nested is None else nested
        if place not in source:
            where = "'inputs' of this row" if nested is not None else "this row"
            raise row.error(
                f"variable {name!r} of the prompt is missing in {where}; {nearest(place, source)}"
                + ("" if nested is not None else ", or map it with data.columns.inputs")
            )
        if source[place] is None:
            raise row.error(f"variable {name!r} of the prompt is null; give a value")
        inputs[name] = plain(source[place])
    if nested is not None and (extra := sorted(set(nested) - set(variables))):
        tally.note(f"inputs that the prompt does not use were left out: {', '.join(extra)}")

    reference_column = columns.reference or next(
        (
            name
            for name in _REFERENCE
            if name in values and name not in used and values[name] not in (None, "")
        ),
        None,
    )
    expectations = _expectations(row, columns, used)
    group_column = columns.group or next(
        (name for name in _GROUPS[group_by] if values.get(name) and name not in used), None
    )
    group = values.get(group_column) if group_column and group_by != "none" else None
    taken = used | {reference_column, group_column, columns.expected, "expectations", "metadata"}
    taken |= {*_EXPECTED, *_REFERENCE, *_BOOKKEEPING, *_GROUPS["session"]}
    return Call(
        inputs=inputs,
        reference=_reference(values.get(reference_column) if reference_column else None),
        expectations=expectations,
        group="" if group is None else str(plain(group)),
        trace_ids=_trace_ids(values),
        metadata={
            **{
                name: plain(value)
                for name, value in values.items()
                if name not in taken and value is not None
            },
            **({} if "metadata" in used else _part(row, "metadata")),
        },
        weight=_weight(row) if nested is not None else 1.0,
    )


def _expectations(row: Row, columns: Columns, used: set[str]) -> dict[str, Any]:
    found = {} if "expectations" in used else _part(row, "expectations")
    column = columns.expected or next(
        (name for name in _EXPECTED if name in row.values and name not in used), None
    )
    value = row.values.get(column) if column else None
    if value is not None and value != "":
        found["expected_response"] = plain(value)
    return {name: value for name, value in found.items() if value is not None}


def _part(row: Row, name: str) -> dict[str, Any]:
    value = row.values.get(name)
    if value is None or value == "":
        return {}
    found = _object(value)
    if found is None:
        raise row.error(f'{name!r} must be a mapping, as in {{"expected_response": "..."}}')
    return dict(plain(found))


def _object(value: Any) -> Mapping[str, Any] | None:
    """``value`` if it is a mapping, or the mapping that its JSON text holds."""
    value = chat.parsed(value)
    return value if isinstance(value, Mapping) else None


def _reference(value: Any) -> str | None:
    """Production's answer as text: a text, a number as written, or what an MLflow ``outputs`` value holds."""
    if value is None or value == "":
        return None
    if isinstance(value, bool | int | float):
        return json.dumps(plain(value))
    return chat.plain_answer(plain(value))


def _trace_ids(values: Mapping[str, Any]) -> tuple[str, ...]:
    found = values.get("trace_ids") or ()
    if isinstance(found, list | tuple):
        return tuple(str(item) for item in found)
    return ()


def _weight(row: Row) -> float:
    value = row.values.get("weight")
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise row.error(f"weight must be a number above 0, not {value!r:.40}")
    return weight
