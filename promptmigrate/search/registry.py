"""Strategies by name: the built-in ones, and those of installed packages."""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from promptmigrate.errors import UsageError
from promptmigrate.redact import told
from promptmigrate.search.base import CHANGEABLE, Strategy

GROUP = "promptmigrate.strategies"
"""Entry point group: each entry names a class or function that gives a Strategy without arguments."""
_BUILT_IN = {
    name: f"promptmigrate.search.strategies.{path}"
    for name, path in {
        "copro": "copro:Copro",
        "fewshot": "fewshot:FewShot",
        "fewshot-optuna": "fewshot_optuna:FewShotOptuna",
        "gepa": "gepa:Gepa",
        "metaprompt": "metaprompt:Metaprompt",
        "mipro": "mipro:Mipro",
        "random": "random:Random",
        "reflective": "reflective:Reflective",
        "simba": "simba:Simba",
    }.items()
}


def names() -> tuple[str, ...]:
    """Names of all strategies, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))}))


def strategy(name: str) -> Strategy:
    """The strategy called ``name``; a built-in one before a plug-in of the same name.

    Raises:
        UsageError: there is none (naming the nearest), or the package that offers it is broken (naming it).
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        made: Strategy = getattr(import_module(module), attribute)()
        return made
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return _plugged_in(entry)
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"there is no search strategy {name!r}; {hint}Known are {', '.join(names())}")


def reflects(made: Strategy) -> bool:
    """Whether ``made`` asks a reflection model."""
    return bool(getattr(made, "reflects", True))


def changes(made: Strategy) -> frozenset[str]:
    """What ``made`` needs leave to change one of."""
    return frozenset(getattr(made, "changes", CHANGEABLE))


def _plugged_in(entry: EntryPoint) -> Strategy:
    source = f"{entry.dist.name} ({entry.value})" if entry.dist else entry.value
    try:
        made = entry.load()()
    except Exception as error:
        raise UsageError(
            f"strategy {entry.name!r} of {source} cannot be loaded: {told(error)}; "
            "update or uninstall that package"
        ) from error
    if not isinstance(made, Strategy):
        raise UsageError(
            f"strategy {entry.name!r} of {source} has no name and search(problem), so it cannot be used; "
            "its entry point has to give a class or function that makes a Strategy"
        )
    return made
