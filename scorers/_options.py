"""Options of scorers: checked against the annotations of their dataclass, whoever gives them.

A list from YAML and a tuple from Python become the same tuple, and every mapping one that cannot change
(:class:`Frozen`), so both build equal scorers that can be hashed.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, cast

from scorers._errors import ScorerSpecError
from scorers._frozen import frozen

INJECTED = {"injected": True}
"""Field metadata of what is handed in at run time: no part of a spec."""


@cache
def options(kind: Hashable) -> dict[str, dataclasses.Field[Any]]:
    """The fields of scorer class ``kind`` that a spec may set."""
    fields = dataclasses.fields(cast(Any, kind))
    return {f.name: f for f in fields if f.init and not f.metadata.get("injected")}


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cast(Any, kind))


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of ``field``, or ``dataclasses.MISSING``."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def check(scorer: Any) -> None:
    """Bring every option of a frozen dataclass to its annotated type.

    Raises:
        ScorerSpecError: an option has another type or is not one of the allowed words.
    """
    kind: Any = type(scorer)
    hints = _hints(kind)
    for name in options(kind):
        given = getattr(scorer, name)
        problem, value = _read(given, hints[name])
        if problem:
            who = getattr(scorer, "name", None)
            raise ScorerSpecError(
                f"{who if isinstance(who, str) else kind.__name__}: option {name!r} must be {problem}, "
                f"got {given!r:.80}",
                key=name,
            )
        if value is not given:
            object.__setattr__(scorer, name, value)


def _read(value: Any, hint: Any) -> tuple[str, Any]:
    """What ``value`` should have been, or nothing and the value as ``hint`` wants it."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return "", None
        return _read(value, next(h for h in typing.get_args(hint) if h is not types.NoneType))
    if origin is Literal:
        words = typing.get_args(hint)
        known = isinstance(value, str) and value in words
        return ("" if known else "one of " + ", ".join(map(str, words))), value
    if origin is tuple:
        return _read_list(value, typing.get_args(hint)[0])
    if origin is Mapping:
        return _read_mapping(value, typing.get_args(hint)[1])
    return _read_plain(value, hint)


def _read_mapping(value: Any, item: Any) -> tuple[str, Any]:
    wanted = "a mapping" + (" of texts" if item is str else "")
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return wanted, value
    if any(_read(v, item)[0] for v in value.values()):
        return wanted, value
    try:
        return "", frozen(value)
    except (TypeError, ValueError, RecursionError) as error:
        return f"a mapping of JSON values ({error})", None


def _read_list(value: Any, item: Any) -> tuple[str, Any]:
    wanted = "a list" + (" of texts" if item is str else "")
    if not isinstance(value, list | tuple):
        return wanted, value
    read = [_read(v, item) for v in value]
    if any(problem for problem, _ in read):
        return wanted, value
    result = tuple(v for _, v in read)
    return "", value if isinstance(value, tuple) and value == result else result


def _read_plain(value: Any, hint: Any) -> tuple[str, Any]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return ("" if isinstance(value, str) else "a text"), value
    if hint is bool:
        return ("" if isinstance(value, bool) else "true or false"), value
    if hint is int:
        return ("" if number and isinstance(value, int) else "a whole number"), value
    if hint is float:
        if not number or not math.isfinite(value):
            return "a number", value
        return "", value if isinstance(value, float) else float(value)
    return "", value


def check_texts(name: str, key: str, texts: Sequence[str]) -> None:
    """Raise :class:`ScorerSpecError` unless ``texts`` is a list of texts that say something."""
    if not texts or not all(text.strip() for text in texts):
        raise ScorerSpecError(f"{name}: option {key!r} needs at least one text, and none empty", key=key)
