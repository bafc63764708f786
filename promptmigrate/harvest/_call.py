"""One production call as it was recorded, and what happens to calls on their way to a Dataset."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

TIMESTAMP = "timestamp"
"""Metadata key: ISO 8601, UTC."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One production call, before redaction: never written or logged (its repr shows no content)."""

    inputs: dict[str, Any] = field(repr=False)
    reference: str | None = field(default=None, repr=False)
    expectations: dict[str, Any] = field(default_factory=dict, repr=False)
    group: str = field(default="", repr=False)
    trace_ids: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    weight: float = 1.0


@dataclass
class Tally:
    """What was counted while calls were read."""

    source: str = ""
    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str) -> None:
        """Count one call that was left out."""
        self.dropped[reason] += 1

    def note(self, text: str) -> None:
        """Say something about the data once."""
        if text not in self.notes:
            self.notes.append(text)


class NotPlainError(ValueError):
    """A value that cannot be kept as JSON."""


def plain(value: Any) -> Any:
    """``value`` as plain JSON data; dates become ISO texts, lone surrogates the replacement character.

    Raises:
        NotPlainError: bytes, NaN, infinity or an object.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotPlainError(f"the number {value} is not valid JSON")
        return value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise NotPlainError(f"a value of type {type(value).__name__} is not plain data")
