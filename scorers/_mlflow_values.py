"""Values of MLflow feedback, as values in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Mapped: TypeAlias = Mapping[str, float] | Callable[[Any], float | None] | None

_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def value_of(given: Any, mapping: Mapped = None) -> float | None:
    """``given`` as a value in [0, 1]; None if it cannot be told.

    Without a mapping: booleans, ``yes`` and ``no``, and numbers that are within [0, 1]. A mapping of texts is
    looked up without regard to case; a function is asked. What they give must be within [0, 1], too.
    """
    given = getattr(given, "value", given)  # MLflow's CategoricalRating is an enumeration
    found: Any = given
    if callable(mapping):
        found = mapping(given)
    elif mapping is not None:
        told = str(given).strip().casefold()
        found = next((value for key, value in mapping.items() if str(key).strip().casefold() == told), None)
    elif isinstance(given, str):
        found = _WORDS.get(given.strip().casefold())
    if isinstance(found, bool):
        return float(found)
    if isinstance(found, int | float) and math.isfinite(found) and 0 <= found <= 1:
        return float(found)
    return None
