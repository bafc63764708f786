"""Strict JSON: what a text says has one reading, on the machine that wrote it and on any other."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from promptmigrate.errors import DataError


def dump(value: Any) -> bytes:
    """``value`` as the one JSON text of it, and a line end."""
    return (_ascii(value) + "\n").encode()


def dump_lines(values: Iterable[Any]) -> bytes:
    """One value a line."""
    return "".join(_ascii(value) + "\n" for value in values).encode()


def plain(value: Any) -> Any:
    """``value`` as it is after it was written and read: tuples are lists, keys are texts."""
    return json.loads(_ascii(value))


def load(data: bytes, *, entry: str) -> Any:
    """The value in ``data``.

    Raises:
        DataError: not JSON in UTF-8, a key twice in one object, NaN or a number too large, or nested too
            deeply.
    """
    return _parse(data, entry, None)


def load_lines(data: bytes, *, entry: str) -> list[dict[str, Any]]:
    """One JSON object a line.

    Raises:
        DataError: as :func:`load`; with the line as row.
    """
    found = []
    lines = data.split(b"\n")
    if lines.pop():
        raise DataError("the last line has no end", file=entry, row=len(lines) + 1)
    for number, line in enumerate(lines, 1):
        value = _parse(line, entry, number)
        if not isinstance(value, dict):
            raise DataError("not a JSON object", file=entry, row=number)
        found.append(value)
    return found


def _parse(data: bytes, entry: str, row: int | None) -> Any:
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"not a JSON text that can be used ({error})", file=entry, row=row) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is larger than any number that can be used")
    return value


def _ascii(value: Any) -> str:
    # ASCII only: a lone surrogate of an input survives as an escape.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
