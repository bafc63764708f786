"""Strategies by name: the built-in ones, and those of installed packages."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from promptmigrate.errors import UsageError
from promptmigrate.search.base import Strategy

GROUP = "promptmigrate.strategies"
"""Entry point group: each entry names a class or function that gives a Strategy without arguments."""
_BUILT_IN = {
    "gepa": "promptmigrate.search.strategies.gepa:Gepa",
    "reflective": "promptmigrate.search.strategies.reflective:Reflective",
}


def names() -> tuple[str, ...]:
    """Names of all strategies, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))}))


def strategy(name: str) -> Strategy:
    """The strategy called ``name``.

    Raises:
        UsageError: there is none (naming the nearest), or the package that offers it cannot be loaded.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return _made(getattr(import_module(module), attribute), name)
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            try:
                return _made(entry.load(), name)
            except (ImportError, AttributeError) as error:
                raise UsageError(f"strategy {name!r} ({entry.value}) cannot be loaded: {error}") from error
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"there is no search strategy {name!r}; {hint}Known are {', '.join(names())}")


def _made(factory: Callable[[], Any], name: str) -> Strategy:
    made = factory()
    if not isinstance(made, Strategy):
        raise UsageError(f"strategy {name!r} has no name and search(problem); it cannot be used")
    return made
