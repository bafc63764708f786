"""Rows that only the candidate lacks: too many of them are not chance, and may hide a loss.

A call that fails for want of luck fails as often under production as under the candidate. Given that exactly
one side is missing, each side is it with probability 1/2 (the sign test; Dixon & Mood 1946, JASA 41:557-566).
Where the candidate lacks more than that explains, its missing rows count as failed, the worst that they can
be (Manski 1990, American Economic Review 80:319-323), before it may pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptmigrate.decide.quality import Estimated, estimate, status
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.wording import plural, points, span


@dataclass(frozen=True, kw_only=True)
class Tilt:
    """More rows missing under the candidate than chance explains."""

    rows: int
    """Measured under production alone."""
    estimated: Estimated
    """The difference with these rows counted as failed."""
    passes: bool

    @property
    def sentence(self) -> str:
        """What is in doubt."""
        limits = self.estimated.interval
        reach = f", interval {span(*limits)}" if limits else ""
        return (
            f"{plural(self.rows, 'row')} could be measured under production but not under the candidate, "
            "more than chance explains: counted as failed they make the difference "
            f"{points(self.estimated.delta)}{reach}. Find out why these calls fail or go unscored."
        )


def measure_tilt(rows: Sequence[PairedRow], rules: Rules, *, confidence: float) -> Tilt | None:
    """The doubt that missing rows leave; None where chance explains them."""
    lost = [row for row in rows if row.candidate is None and row.baseline is not None]
    others = sum(row.baseline is None and row.candidate is not None for row in rows)
    if len(lost) <= others or _tail(len(lost), len(lost) + others) >= (1 - confidence) / 2:
        return None
    counted = [row for row in rows if row.paired] + [replace(row, candidate=0.0) for row in lost]
    counted.sort(key=lambda row: row.example)
    found = estimate(counted, rules, confidence=confidence)
    if found is None:
        return None
    quality = status(found.delta, found.limits, margin=rules.margin, superiority=rules.superiority)
    return Tilt(rows=len(lost), estimated=found, passes=quality == "pass")


def _tail(successes: int, trials: int) -> float:
    from scipy.stats import binom

    return float(binom.sf(successes - 1, trials, 0.5))
