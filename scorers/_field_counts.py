"""How many fields of two JSON values agree, without a path for each: enough for a value without its reasons.

The counts are those that :func:`scorers._fields.leaves` and exact comparison give.
"""

from __future__ import annotations

from typing import Any

from scorers._json import MAX_DEPTH, SCALARS, Comparison

_same = Comparison().same
_ABSENT = object()


class NotPlainError(Exception):
    """A value that is not made of dicts with texts as keys, lists and scalars, as JSON is when parsed."""


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
    right = given = expected = 0
    if kind is dict:
        _check_keys(wanted)
        _check_keys(got)
        pairs = [(child, got.get(key, _ABSENT)) for key, child in wanted.items()]
        extra = [child for key, child in got.items() if key not in wanted]
    else:
        pairs = list(zip(wanted, got, strict=False))
        extra = got[len(wanted) :]
        expected = sum(_leaves(child, depth + 1) for child in wanted[len(got) :])
    for child, other in pairs:
        if child.__class__ in SCALARS and child.__class__ is other.__class__:
            expected += 1
            given += 1
            right += 1 if child == other else _same(child, other)
        elif other is _ABSENT:
            expected += _leaves(child, depth + 1)
        else:
            more = counts(child, other, depth + 1)
            right, given, expected = right + more[0], given + more[1], expected + more[2]
    for child in extra:
        given += 1 if child.__class__ in SCALARS else _leaves(child, depth + 1)
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
