"""Scorers by name: built from a spec, described by one, and found among plug-ins.

A spec is a mapping with ``use`` and the options that differ from their defaults, as in an experiment file:
``{"use": "label_match", "labels": ["billing", "delivery"]}``. ``use`` is a built-in name, the name of an
entry point in group ``promptmigrate.scorers``, or ``module:attribute``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from scorers._base import Base
from scorers._builtin import BUILTIN
from scorers._errors import ScorerSpecError, nearest
from scorers._function import FunctionScorer, is_scoring_function
from scorers._options import default_of, options
from scorers._types import Scorer

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "promptmigrate.scorers"


def names() -> tuple[str, ...]:
    """All names that ``use`` can have: built-in ones and those of installed plug-ins (not loaded)."""
    return tuple(sorted({*BUILTIN, *_entry_points()}))


def from_spec(spec: Mapping[str, Any] | str) -> Scorer:
    """The scorer that ``spec`` describes; a bare name stands for a spec without options.

    Raises:
        ScorerSpecError: the scorer or an option does not exist (the nearest name is told), an option is
            missing or of the wrong kind, or a plug-in cannot be loaded.
    """
    given: dict[str, Any] = {"use": spec} if isinstance(spec, str) else dict(spec)
    use = given.pop("use", None)
    if not isinstance(use, str) or not use:
        raise ScorerSpecError(
            f"a scorer needs 'use', the name of one of {', '.join(names())}; got {spec!r:.100}",
            key="use",
        )
    target = _find(use)
    if is_scoring_function(target):
        _check_options(use, given, ("name",))
        return FunctionScorer(function=target, use=use, name=given.get("name", target.__name__))
    if not isinstance(target, type) and isinstance(target, Scorer):
        _check_options(use, given, ())
        return target
    if not callable(target):
        raise ScorerSpecError(f"{use!r} is a {type(target).__name__}, not a scorer", key="use")
    return _build(use, target, given)


def to_spec(scorer: Scorer) -> dict[str, Any]:
    """The spec from which :func:`from_spec` builds an equal scorer. It holds JSON values only.

    A plug-in that is not a dataclass says it itself, in a method ``spec()``.

    Raises:
        ScorerSpecError: there is no such spec, as for a class inside a function.
    """
    if isinstance(scorer, FunctionScorer):
        spec: dict[str, Any] = {"use": scorer.use}
        return spec if scorer.name == scorer.function.__name__ else {**spec, "name": scorer.name}
    plug_in: Any = scorer
    if callable(getattr(plug_in, "spec", None)):
        return dict(plug_in.spec())
    if not is_dataclass(plug_in):
        raise ScorerSpecError(
            f"{type(scorer).__name__} is not a dataclass and has no method spec(), "
            "so there is no telling how to build it again"
        )
    spec = {"use": _name_of(type(scorer))}
    for name, option in options(type(scorer)).items():
        value = getattr(scorer, name)
        if value != default_of(option):
            spec[_spelled(option)] = _plain(value)
    return spec


def _plain(value: Any) -> Any:
    if isinstance(value, Base):
        return to_spec(cast(Scorer, value))
    if not isinstance(value, type) and callable(getattr(value, "spec", None)):
        return dict(value.spec())
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return {str(k): _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _find(use: str) -> Any:
    if use in BUILTIN:
        module, attribute = BUILTIN[use]
        return getattr(importlib.import_module(module), attribute)
    if ":" in use:
        return _load(use, use)
    points = _entry_points()
    if use not in points:
        known = names()
        raise ScorerSpecError(
            f"there is no scorer {use!r}{nearest(use, known)}; known are {', '.join(known)}, "
            "or module:attribute for your own",
            key="use",
        )
    return _load(points[use].value, f"{use} (entry point {points[use].value})")


def _load(address: str, told: str) -> Any:
    module_name, _, path = address.partition(":")
    try:
        found: Any = importlib.import_module(module_name.strip())
        for part in path.strip().split("."):
            found = getattr(found, part)
    except Exception as error:
        # Whatever a plug-in raises while it is imported, its user must be told which one it was.
        raise ScorerSpecError(
            f"the scorer plug-in {told} cannot be loaded: {type(error).__name__}: {error}", key="use"
        ) from error
    return found


@cache
def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    return {point.name: point for point in entry_points(group=GROUP)}


def _build(use: str, factory: Any, given: Mapping[str, Any]) -> Scorer:
    if isinstance(factory, type) and is_dataclass(factory):
        given = _by_field(use, given, options(factory))
    try:
        scorer = factory(**given)
    except ScorerSpecError:
        raise
    except Exception as error:
        # A plug-in may refuse its options with any exception; it must say whose options they were.
        raise ScorerSpecError(f"{use} cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(scorer, Scorer):
        raise ScorerSpecError(
            f"{use} gives a {type(scorer).__name__}, which is no scorer: it needs name, version and to be "
            "callable (scorers.testing.ScorerContract tells what else)",
            key="use",
        )
    return scorer


def _by_field(use: str, given: Mapping[str, Any], fields: Mapping[str, Field[Any]]) -> dict[str, Any]:
    """Options under the names of their fields: a field may have another name in a spec (``alias``)."""
    spelled = {_spelled(option): name for name, option in fields.items()}
    _check_options(use, given, {**spelled, **fields})
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = spelled.get(key, key)
        if name in found:
            raise ScorerSpecError(f"{use}: {name!r} and {key!r} are the same option; give one", key=key)
        found[name] = value
    for name, option in fields.items():
        if default_of(option) is MISSING and name not in found:
            raise ScorerSpecError(f"{use}: option {_spelled(option)!r} is missing", key=name)
    return found


def _spelled(option: Field[Any]) -> str:
    return str(option.metadata.get("alias", option.name))


def _check_options(use: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    known = list(allowed)
    for name in given:
        if name not in known:
            listed = f"its options are {', '.join(known)}" if known else "it has no options"
            raise ScorerSpecError(
                f"{use} has no option {name!r}{nearest(str(name), known)}; {listed}", key=str(name)
            )


def _name_of(kind: type) -> str:
    for name, place in BUILTIN.items():
        if place == (kind.__module__, kind.__qualname__):
            return name
    address = f"{kind.__module__}:{kind.__qualname__}"
    for name, point in _entry_points().items():
        if point.value.replace(" ", "") == address:
            return name
    if "<locals>" in kind.__qualname__:
        raise ScorerSpecError(f"{kind.__qualname__} is defined inside a function and cannot be found by name")
    return address
