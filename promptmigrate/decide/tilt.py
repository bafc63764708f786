"""Rows that one side lacks: where the candidate lacks more of them, they may hide a loss.

What fails for want of luck fails as often under production as under the candidate; what fails because the
candidate cannot do it, fails under the candidate alone, and on the rows that it would have lost. The two
cannot be told apart row by row, but their balance can: each row that one side alone lacks counts as failed by
that side (intention to treat: nothing drops out after it was assigned; Lachin 2000, Controlled Clinical
Trials 21:167-189). Luck cancels out, and makes the interval as much wider as it is uncertain; a loss stays.
Where that makes the candidate look worse, it has to pass so too. A test of whether chance explains the lack
(the sign test of 5 against 0, say) would not do: what is not shown on five rows may be there all the same,
and five rows of 220 are 2.3 points.

It is right as far as luck strikes both sides alike; where production is unlucky more often, as much as that
may stay hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptmigrate.decide.quality import Estimated, estimate, status
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.wording import plural, points, span

_SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class Tilt:
    """Rows missing on one side make the candidate look better than it may be."""

    lost: int
    """Measured under production alone."""
    others: int
    """Measured under the candidate alone."""
    estimated: Estimated
    """The difference with these rows counted as failed by the side that lacks them."""
    passes: bool

    @property
    def sentence(self) -> str:
        """What is in doubt."""
        limits = self.estimated.interval
        reach = f", interval {span(*limits)}" if limits else ""
        back = f", and {self.others} the other way round" if self.others else ""
        return (
            f"{plural(self.lost, 'row')} could be measured under production but not under the candidate"
            f"{back}: counted as failed {'by the side that lacks them ' if self.others else ''}they make the "
            f"difference {points(self.estimated.delta)}{reach}. Find out why these calls fail or go unscored."
        )


def measure_tilt(rows: Sequence[PairedRow], rules: Rules, *, confidence: float) -> Tilt | None:
    """The doubt that missing rows leave; None where they do not speak against the candidate."""
    lost = [row for row in rows if row.candidate is None and row.baseline is not None]
    others = [row for row in rows if row.baseline is None and row.candidate is not None]
    if not lost:
        return None
    paired = [row for row in rows if row.paired]
    counted = [
        *paired,
        *(replace(row, candidate=0.0) for row in lost),
        *(replace(row, baseline=0.0) for row in others),
    ]
    counted.sort(key=lambda row: row.example)
    seen, found = (estimate(each, rules, confidence=confidence) for each in (paired, counted))
    if seen is None or found is None or found.delta >= seen.delta - _SAME:
        return None
    quality = status(found.delta, found.limits, margin=rules.margin, superiority=rules.superiority)
    return Tilt(lost=len(lost), others=len(others), estimated=found, passes=quality == "pass")
