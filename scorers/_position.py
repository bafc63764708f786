"""Whether a judge of pairs follows the order in which the answers are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from scorers._stats import Estimate, wilson

_TIE = "tie"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionalBias:
    """How often a judge holds to its verdict when the two answers change places.

    A pair of verdicts is *consistent* if both name the same answer, or both a tie. Else the judge favoured a
    position: the first (*primacy*: first/first, first/tie, tie/first) or the second (*recency*).
    (Position consistency, primacy and recency as in Shi et al. 2024, arXiv 2406.07791; ``preference`` has the
    sense of their preference fairness, which scales the same counts otherwise. Consistency and bias toward
    first as in Zheng et al. 2023, arXiv 2306.05685.)
    """

    n: int
    """Pairs with two verdicts."""
    invalid: int
    """Pairs in which one order has no verdict; they count for nothing else."""
    consistent: int
    consistent_ties: int
    """Those of the consistent pairs that are ties."""
    primacy: int
    recency: int
    consistency: Estimate
    """``consistent`` / ``n``; one minus it is the flip rate."""
    toward_first: Estimate
    """``primacy`` / ``n``."""
    toward_second: Estimate
    """``recency`` / ``n``."""
    preference: float | None
    """(``recency`` - ``primacy``) / ``n``, from -1 (always the first) to 1 (always the second); 0 is fair."""

    @property
    def flip_rate(self) -> float | None:
        """The share of pairs whose verdicts contradict each other."""
        return None if self.consistency.value is None else 1.0 - self.consistency.value


_POSITIONS: dict[str, str] = {
    "first": "first", "a": "first", "1": "first", "[[a]]": "first", "model_1": "first", "model_a": "first",
    "second": "second", "b": "second", "2": "second", "[[b]]": "second", "model_2": "second",
    "model_b": "second", "c": _TIE, "[[c]]": _TIE, "0.5": _TIE,
}  # fmt: skip


def positional_bias(
    first_order: Iterable[Any],
    second_order: Iterable[Any],
    *,
    named: Literal["position", "answer"] = "position",
    read: Callable[[Any], str | None] | None = None,
    confidence: float = 0.95,
) -> PositionalBias:
    """Consistency and preference for a position, from the verdicts on the same pairs in both orders.

    Args:
        first_order: the verdicts with answer 1 shown first.
        second_order: the verdicts with answer 2 shown first, in the same order of pairs.
        named: what a verdict names: the *position* that won ("A" is whatever was shown first), or the
            *answer* ("A" is answer 1 in both orders).
        read: how to read a verdict as "first", "second", "tie" or None; by default A/B/C, 1/2, first/second,
            model_1/model_2, model_a/model_b and tie are known, and all else has no verdict.
        confidence: of the intervals.

    Raises:
        ValueError: the two differ in length.

    Example:
        >>> import scorers
        >>> found = scorers.positional_bias(["A", "A", "B", "tie"], ["B", "A", "A", "tie"])
        >>> found.consistent, found.primacy, found.recency, found.preference
        (3, 1, 0, -0.25)
    """
    one, two = list(first_order), list(second_order)
    if len(one) != len(two):
        raise ValueError(f"both orders need one entry per item, got {len(one)} and {len(two)}")
    reader = read or _position
    pairs = [(reader(x), reader(y)) for x, y in zip(one, two, strict=True)]
    if named == "answer":
        turned = {"first": "second", "second": "first"}
        pairs = [(x, turned.get(y, y) if y is not None else None) for x, y in pairs]
    valid = [(x, y) for x, y in pairs if x is not None and y is not None]
    lean = {"first": -1, "second": 1, _TIE: 0}
    leans = [lean[x] + lean[y] for x, y in valid]
    n = len(valid)
    primacy, recency = sum(v < 0 for v in leans), sum(v > 0 for v in leans)
    consistent = n - primacy - recency
    return PositionalBias(
        n=n,
        invalid=len(pairs) - n,
        consistent=consistent,
        consistent_ties=sum(pair == (_TIE, _TIE) for pair in valid),
        primacy=primacy,
        recency=recency,
        consistency=wilson(consistent, n, confidence=confidence),
        toward_first=wilson(primacy, n, confidence=confidence),
        toward_second=wilson(recency, n, confidence=confidence),
        preference=(recency - primacy) / n if n else None,
    )


def _position(verdict: Any) -> str | None:
    if verdict is None:
        return None
    text = str(verdict).strip().casefold()
    return _TIE if text.startswith(_TIE) else _POSITIONS.get(text)
