"""Second opinions on the paired difference, beside the interval that decides."""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.decide.bca import bca
from promptmigrate.decide.clustered_t import clustered_t
from promptmigrate.decide.mcnemar import mcnemar
from promptmigrate.decide.permutation import permutation
from promptmigrate.decide.quality import Estimated
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Interval


def p_values(
    used: Sequence[PairedRow],
    estimated: Estimated | None,
    rules: Rules,
    fixed: int,
    broken: int,
    *,
    seed: int,
) -> dict[str, float | None]:
    """See :attr:`promptmigrate.decide.Verdict.p_values`."""
    found: dict[str, float | None] = dict.fromkeys(
        (
            "not_worse_than_margin",
            "better",
            "t_not_worse_than_margin",
            "t_better",
            "permutation_better",
            "mcnemar",
        )
    )
    if not used:
        return found
    differences, clusters, weights = _columns(used)
    t = clustered_t(differences, clusters=clusters, weights=weights)
    flipped = permutation(differences, clusters=clusters, weights=weights, seed=seed)
    binary = all(row.baseline in (0.0, 1.0) and row.candidate in (0.0, 1.0) for row in used)
    return {
        "not_worse_than_margin": estimated.p_greater(-rules.margin) if estimated else 1.0,
        "better": estimated.p_greater(0.0) if estimated else 1.0,
        "t_not_worse_than_margin": t.p_greater(-rules.margin),
        "t_better": t.p_greater(0.0),
        "permutation_better": flipped.greater,
        "mcnemar": mcnemar(fixed, broken) if binary else None,
    }


def intervals(used: Sequence[PairedRow], *, confidence: float, seed: int) -> dict[str, Interval | None]:
    """See :attr:`promptmigrate.decide.Verdict.intervals`."""
    if not used:
        return {"t": None, "bca": None}
    differences, clusters, weights = _columns(used)
    t = clustered_t(differences, clusters=clusters, weights=weights)
    limits = t.interval(confidence) if t.standard_error > 1e-15 else None
    drawn = bca(differences, clusters=clusters, weights=weights, confidence=confidence, seed=seed)
    return {
        "t": Interval(*limits) if limits else None,
        "bca": Interval(*drawn) if drawn else None,
    }


def _columns(used: Sequence[PairedRow]) -> tuple[list[float], list[str], list[float]]:
    return (
        [row.difference for row in used],
        [row.cluster for row in used],
        [row.weight for row in used],
    )
