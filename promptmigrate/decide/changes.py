"""What differs between two settings, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 60


def differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """``gate.margin (0.05 -> 0.1)`` for each value of JSON data that is another one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}, key=str):
            yield from differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{key}.{index}")
    elif old != new:
        yield f"{key} ({_short(old)} -> {_short(new)})"


def _short(value: Any) -> str:
    text = "not given" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
