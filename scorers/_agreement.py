"""How far two judges, or a judge and people, agree.

Verdicts are labels of any kind, or :class:`scorers.Score` (its value counts); None and unscored are left out,
pair by pair. A text that begins with "tie" is a tie, whatever follows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal, TypeAlias

from scorers._stats import Estimate, bootstrap, normal_quantile, wilson
from scorers._types import Score

Label: TypeAlias = Hashable
Ties: TypeAlias = Literal["count", "drop"]
_TIE = "tie"


def agreement(
    a: Iterable[Any],
    b: Iterable[Any] | None = None,
    *,
    ties: Ties = "count",
    tie: Label = _TIE,
    confidence: float = 0.95,
) -> Estimate:
    """The share of pairs of verdicts on one item that are the same, with Wilson's interval.

    ``a`` and ``b`` hold one entry per item, in the same order. An entry is a verdict, or a list of several
    raters' verdicts: then each of ``a`` is paired with each of ``b``, and all pairs count alike. Without
    ``b``, the raters of each entry of ``a`` are paired with one another. With ``ties="drop"`` a pair with a
    tie on either side is left out; else a tie agrees with a tie only. (These are setups S2 and S1 of Zheng et
    al. 2023, arXiv 2306.05685, where a flip counts as a tie.) ``tie`` is a further label that means a tie,
    such as 0.5 or "C".

    Raises:
        ValueError: ``a`` and ``b`` differ in length.

    Example:
        >>> import scorers
        >>> str(scorers.agreement(["A", "B", "tie", "A"], ["A", "A", "tie", None]))
        '0.667 [0.208, 0.939] (n=3)'
        >>> scorers.agreement(["A", "B", "tie"], [["A", "A"], ["tie"], ["B"]], ties="drop").value
        1.0
    """
    pairs = _pairs(a, b, tie)
    if ties == "drop":
        pairs = [pair for pair in pairs if _TIE not in pair]
    return wilson(sum(x == y for x, y in pairs), len(pairs), confidence=confidence)


def cohens_kappa(
    a: Iterable[Any],
    b: Iterable[Any],
    *,
    weights: Literal["linear", "quadratic"] | None = None,
    labels: Sequence[Label] | None = None,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Cohen's kappa (1960; weighted 1968): agreement beyond what the two label rates give by chance.

    ``weights`` lets near misses count in part: by the distance of numbers, or of places in ``labels``
    (sorted, if not given). The interval is Wilson's for the agreement, carried over with chance agreement as
    observed: in simulations with 30 to 200 rows its 95 % cover 91 to 97 %, where the large-sample one
    (Fleiss, Cohen and Everitt 1969) covers 83 to 94 % and the percentile bootstrap 45 to 95 %. Weighted
    kappa has the large-sample interval; with ``groups`` (one per item: rows of one session, say) it is a
    bootstrap over groups. Not determined where both sides use one and the same label throughout.

    Raises:
        ValueError: ``a`` and ``b`` (or ``groups``) differ in length.

    Example:
        >>> import scorers
        >>> kappa = scorers.cohens_kappa([1, 1, 1, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 1, 0])
        >>> kappa.value
        0.75
    """
    one, two = list(a), list(b)
    _same_length(one, two)
    if groups is not None:
        _same_length(one, groups)
    rows = [
        (x, y, groups[i] if groups is not None else i)
        for i, (x, y) in enumerate(zip(map(_label, one), map(_label, two), strict=True))
        if x is not None and y is not None
    ]
    pairs = [(x, y) for x, y, _ in rows]
    order = _order([label for pair in pairs for label in pair], labels)
    alike = _alike(order, weights)
    value = _kappa(pairs, alike)
    if value is None:
        return Estimate(value=None, n=len(pairs), confidence=confidence, method="undetermined")
    if all(x == y for x, y in pairs) or (groups is None and weights is None):
        # Perfect agreement has no variance to see, weighted or grouped: the other intervals would be [1, 1].
        low, high = _carried(pairs, alike, confidence)
        method = "Wilson, chance agreement as observed"
        return Estimate(value=value, low=low, high=high, n=len(pairs), confidence=confidence, method=method)
    if groups is None:
        half = normal_quantile(0.5 + confidence / 2) * _kappa_error(pairs, alike)
        interval, method = (value - half, value + half), "Fleiss, Cohen and Everitt 1969"
    else:
        clusters: dict[Hashable, list[tuple[Label, Label]]] = {}
        for x, y, group in rows:
            clusters.setdefault(group, []).append((x, y))
        found = bootstrap(
            list(clusters.values()),
            lambda sample: _kappa(sample, alike),
            resamples=resamples,
            seed=seed,
            confidence=confidence,
        )
        method = "bootstrap over groups"
        if found is None:
            return Estimate(value=value, n=len(pairs), confidence=confidence, method="undetermined")
        interval = found
    return Estimate(
        value=value,
        low=max(-1.0, interval[0]),
        high=min(1.0, interval[1]),
        n=len(pairs),
        confidence=confidence,
        method=method,
    )


def _label(given: Any, tie: Label = _TIE) -> Label:
    """A verdict as a label; None where there is none."""
    if isinstance(given, Score):
        given = given.value
    if isinstance(given, float) and math.isnan(given):
        return None
    if isinstance(given, str) and given.strip().casefold().startswith(_TIE):
        return _TIE
    if given is not None and given == tie:
        return _TIE
    found: Label = given
    return found


def _pairs(a: Iterable[Any], b: Iterable[Any] | None, tie: Label) -> list[tuple[Label, Label]]:
    def votes(entry: Any) -> list[Label]:
        many = entry if isinstance(entry, list | tuple) else [entry]
        return [label for label in (_label(vote, tie) for vote in many) if label is not None]

    one = [votes(entry) for entry in a]
    if b is None:
        return [(x, y) for entry in one for i, x in enumerate(entry) for y in entry[i + 1 :]]
    two = [votes(entry) for entry in b]
    _same_length(one, two)
    return [(x, y) for left, right in zip(one, two, strict=True) for x in left for y in right]


def _same_length(a: Sequence[Any], b: Sequence[Any]) -> None:
    if len(a) != len(b):
        raise ValueError(f"both need one entry per item, in the same order; got {len(a)} and {len(b)}")


def _order(found: Iterable[Label], labels: Sequence[Label] | None) -> list[Label]:
    known = set(found)
    if labels is not None:
        missing = known - set(labels)
        if missing:
            raise ValueError(f"labels lacks {sorted(map(repr, missing))[0]}, which occurs")
        return list(labels)
    numbers = [label for label in known if isinstance(label, int | float)]
    if len(numbers) == len(known):
        ranked: list[Label] = [*sorted(numbers)]
        return ranked
    return sorted(known, key=lambda label: (type(label).__name__, str(label)))


_Alike: TypeAlias = Callable[[Label, Label], float]


def _alike(order: Sequence[Label], weights: str | None) -> _Alike:
    """How far two labels count as agreement, from 0 to 1."""
    if weights is None:
        return lambda x, y: float(x == y)
    if weights not in ("linear", "quadratic"):
        raise ValueError(f"weights must be 'linear', 'quadratic' or None, got {weights!r}")
    numeric = all(isinstance(label, int | float) for label in order)
    place: dict[Label, float] = {
        label: float(label) if numeric and isinstance(label, int | float) else float(index)
        for index, label in enumerate(order)
    }
    widest = max(place.values(), default=0.0) - min(place.values(), default=0.0)
    power = 1 if weights == "linear" else 2
    return lambda x, y: 1.0 - (abs(place[x] - place[y]) / widest) ** power if widest else 1.0


def _margins(
    pairs: Sequence[tuple[Label, Label]],
) -> tuple[Counter[tuple[Label, Label]], Counter[Label], Counter[Label]]:
    return Counter(pairs), Counter(x for x, _ in pairs), Counter(y for _, y in pairs)


def _chance(pairs: Sequence[tuple[Label, Label]], alike: _Alike) -> tuple[float, float]:
    """Observed agreement, and the agreement that the label rates give by chance."""
    n = len(pairs)
    cells, left, right = _margins(pairs)
    observed = math.fsum(alike(x, y) * count for (x, y), count in cells.items()) / n
    expected = math.fsum(alike(x, y) * c * d for x, c in left.items() for y, d in right.items()) / n**2
    return observed, expected


def _kappa(pairs: Sequence[tuple[Label, Label]], alike: _Alike) -> float | None:
    if not pairs:
        return None
    observed, expected = _chance(pairs, alike)
    return None if expected >= 1 - 1e-12 else (observed - expected) / (1 - expected)


def _kappa_error(pairs: Sequence[tuple[Label, Label]], alike: _Alike) -> float:
    """The large-sample standard error of kappa, weighted or not (Fleiss, Cohen and Everitt 1969)."""
    n = len(pairs)
    cells, left, right = _margins(pairs)
    observed, expected = _chance(pairs, alike)
    row = {x: math.fsum(alike(x, y) * c for y, c in right.items()) / n for x in left}
    column = {y: math.fsum(alike(x, y) * c for x, c in left.items()) / n for y in right}
    total = math.fsum(
        count / n * (alike(x, y) * (1 - expected) - (row[x] + column[y]) * (1 - observed)) ** 2
        for (x, y), count in cells.items()
    )
    variance = (total - (observed * expected - 2 * expected + observed) ** 2) / (n * (1 - expected) ** 4)
    return math.sqrt(max(0.0, variance))


def _carried(pairs: Sequence[tuple[Label, Label]], alike: _Alike, confidence: float) -> tuple[float, float]:
    """Wilson's interval of the agreement as one of kappa, with chance agreement taken as known."""
    share = wilson(sum(x == y for x, y in pairs), len(pairs), confidence=confidence)
    expected = _chance(pairs, alike)[1]
    low, high = ((end or 0.0) - expected for end in (share.low, share.high))
    return max(-1.0, low / (1 - expected)), min(1.0, high / (1 - expected))
