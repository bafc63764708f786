"""What backtracking costs at worst, counted on the pattern as ``re`` parses it, without running it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

ONE_CHARACTER = frozenset({"LITERAL", "NOT_LITERAL", "IN", "ANY", "RANGE"})
"""Parts of a parsed pattern that match exactly one character."""


@lru_cache(maxsize=4096)
def worst_case(tree: Any, length: int, anchored: bool) -> float:
    """Steps that ``re`` may need to search a parsed pattern in a text of this length."""
    return _cost(tree, length)[1] * (1 if anchored else length)


def _cost(sequence: Any, n: int) -> tuple[float, float]:
    """In how many ways ``sequence`` can match from one position, and the steps to try them all."""
    ways, steps = 1.0, 1.0
    for op, argument in sequence:
        more_ways, more_steps = _cost_of(str(op), argument, n)
        steps += ways * more_steps
        ways *= more_ways
    return ways, steps


def _cost_of(op: str, argument: Any, n: int) -> tuple[float, float]:
    if op in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        low, high, body = argument
        ways, steps = _cost_of_repeat(low, min(high, n), body, n)
        return (1.0, steps) if op == "POSSESSIVE_REPEAT" else (ways, steps)
    if op == "BRANCH":
        costs = [_cost(branch, n) for branch in argument[1]]
        return sum(ways for ways, _ in costs), sum(steps for _, steps in costs)
    if op == "SUBPATTERN":
        return _cost(argument[3], n)
    if op == "ATOMIC_GROUP":
        return 1.0, _cost(argument, n)[1]
    if op in {"ASSERT", "ASSERT_NOT"}:
        return 1.0, _cost(argument[1], n)[1]
    if op == "GROUPREF_EXISTS":
        costs = [_cost(branch, n) for branch in argument[1:] if branch is not None]
        return max(ways for ways, _ in costs), sum(steps for _, steps in costs)
    if op in {"GROUPREF", "GROUPREF_IGNORE"}:
        return 1.0, float(n)
    return 1.0, 1.0


def _cost_of_repeat(low: int, high: int, body: Any, n: int) -> tuple[float, float]:
    if len(body) == 1 and str(body[0][0]) in ONE_CHARACTER:
        return max(1.0, high - low + 1.0), 1 + high / 8  # a tight loop in C
    ways, steps = _cost(body, n)
    if math.isinf(ways):
        return ways, ways
    if ways <= 1:
        return max(1.0, high - low + 1.0), 1 + high * steps
    if high * math.log10(ways) > 15:
        return float("inf"), float("inf")
    total = sum(ways**k for k in range(high + 1))
    return total, total * steps
