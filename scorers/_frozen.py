"""Mappings that cannot change, for options of frozen scorers: hashable, equal to a dict of the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn


class Frozen(dict[str, Any]):
    """A mapping of JSON values that cannot change and can be hashed."""

    __slots__ = ("_hash",)
    _hash: int

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash
        except AttributeError:
            # 1 and 1.0 are equal, so they must not make a difference here.
            self._hash = hash(json.dumps(_hashed(self), sort_keys=True))
            return self._hash

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("options of a scorer cannot be changed; build another scorer")

    __setitem__ = __delitem__ = update = setdefault = _refuse
    pop = popitem = clear = __ior__ = _refuse

    def __reduce__(self) -> tuple[type[Frozen], tuple[dict[str, Any]]]:
        return Frozen, (dict(self),)


def frozen(value: Any) -> Any:
    """A JSON value with its mappings frozen and its lists as tuples.

    Raises:
        TypeError: something that is not a JSON value.
    """
    if isinstance(value, Frozen):
        return value
    if isinstance(value, Mapping):
        return Frozen({_key(key): frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def thawed(value: Any) -> Any:
    """The same value out of plain dicts and lists, for libraries that look at types."""
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    return [thawed(item) for item in value] if isinstance(value, list | tuple) else value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r:.40} is not a text")
    return key


def _hashed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hashed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hashed(item) for item in value]
    return hash(value) if isinstance(value, int | float) else value
