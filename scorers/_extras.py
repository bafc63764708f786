"""Packages that some scorers need and that are not installed with the others."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from scorers._errors import ScorerSpecError


@cache
def installed(module: str) -> bool:
    """Whether ``module`` can be imported (it is not)."""
    return importlib.util.find_spec(module) is not None


def needed(module: str, *, scorer: str, install: str) -> Any:
    """The module ``module``, which comes with what ``pip install`` is told to install.

    Raises:
        ScorerSpecError: it is not installed; the message says what to install.
    """
    if not installed(module):
        raise ScorerSpecError(
            f"{scorer} needs the package {module.partition('.')[0]!r}, which is not installed: "
            f"pip install '{install}'"
        )
    return importlib.import_module(module)
