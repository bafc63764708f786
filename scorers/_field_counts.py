"""How many fields of two JSON values agree, without a path for each: enough for a value without its reasons.

The counts are those that :func:`scorers._fields.leaves` and exact comparison give.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from typing import Any

from scorers._json import MAX_DEPTH, SCALARS
from scorers._json_compare import Comparison

_same = Comparison().same


class NotPlainError(Exception):
    """A value that is not made of dicts with texts as keys, lists and scalars, as JSON is when parsed."""


def alike(wanted: Any, got: Any) -> bool:
    """Whether two JSON values are certainly the same, to the order of their keys (False: maybe).

    Plain equality would take True for 1. What they look like when written does not, and is found in C.
    """
    try:
        return marshal.dumps(wanted, _NO_REFERENCES) == marshal.dumps(got, _NO_REFERENCES)
    except ValueError:  # something that is no plain value, or too deep
        return False


_NO_REFERENCES = 2
"""The last version of the format that writes equal objects alike, whoever else refers to them."""


def counts(wanted: Any, got: Any, depth: int = 0) -> tuple[int, int, int]:
    """Leaves of ``wanted`` that ``got`` has right, all leaves of ``got``, and all of ``wanted``.

    Raises:
        NotPlainError: they hold something that needs a closer look.
    """
    kind = wanted.__class__
    if kind is not got.__class__ or not wanted or not got or (kind is not dict and kind is not list):
        return _right(wanted, got), _leaves(got, depth), _leaves(wanted, depth)
    if depth > MAX_DEPTH:
        raise NotPlainError
    if kind is dict:
        return _in_dicts(wanted, got, depth)
    some = min(len(wanted), len(got))
    right, given, expected = _in_pairs(wanted[:some], got[:some], depth)
    for child in wanted[some:]:
        expected += _leaves(child, depth + 1)
    for child in got[some:]:
        given += _leaves(child, depth + 1)
    return right, given, expected


def _in_dicts(wanted: dict[str, Any], got: dict[str, Any], depth: int) -> tuple[int, int, int]:
    _check_keys(wanted)
    if wanted.keys() == got.keys():
        return _in_pairs(wanted.values(), map(got.__getitem__, wanted), depth)
    _check_keys(got)
    both = wanted.keys() & got.keys()
    right, given, expected = _in_pairs(map(wanted.__getitem__, both), map(got.__getitem__, both), depth)
    for key, child in wanted.items():
        expected += 0 if key in both else _leaves(child, depth + 1)
    for key, child in got.items():
        given += 0 if key in both else _leaves(child, depth + 1)
    return right, given, expected


def _in_pairs(wanted: Iterable[Any], got: Iterable[Any], depth: int) -> tuple[int, int, int]:
    right = given = expected = 0
    for child, other in zip(wanted, got, strict=True):
        kind = child.__class__
        if kind in SCALARS and kind is other.__class__:
            expected += 1
            given += 1
            if child == other or (kind is str and _same(child, other)):
                right += 1
        else:
            more = counts(child, other, depth + 1)
            right, given, expected = right + more[0], given + more[1], expected + more[2]
    return right, given, expected


def _right(wanted: Any, got: Any) -> int:
    """Whether two values that are not both full containers of one kind are the same leaf."""
    leaf = not (wanted.__class__ in _CONTAINERS and wanted) and not (got.__class__ in _CONTAINERS and got)
    return int(leaf and _same(wanted, got))


def _leaves(value: Any, depth: int) -> int:
    kind = value.__class__
    if kind in SCALARS:
        return 1
    if depth > MAX_DEPTH or kind not in _CONTAINERS:
        raise NotPlainError
    if kind is dict:
        _check_keys(value)
        value = value.values()
    return sum(1 if child.__class__ in SCALARS else _leaves(child, depth + 1) for child in value) or 1


def _check_keys(value: dict[Any, Any]) -> None:
    try:
        odd = '"' in "".join(value)  # the paths of two such keys may coincide
    except TypeError:
        odd = True  # a key that is not a text
    if odd:
        raise NotPlainError


_CONTAINERS: frozenset[Any] = frozenset({dict, list})
