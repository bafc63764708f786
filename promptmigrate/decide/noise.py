"""Production's own noise: how far it is from itself when asked the same twice."""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.decide.quality import Estimated, weighted_mean
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Interval, Noise
from promptmigrate.decide.wording import percent, plural, points, span

_SAME = 1e-9


def measure_noise(rows: Sequence[PairedRow], *, confidence: float) -> Noise | None:
    """The difference of production's second answers from its first; None where there are none."""
    twice = []
    for row in rows:
        # A mean over repeats holds the second answer too: compared with that, noise would look too small.
        first = row.baseline if row.baseline_first is None else row.baseline_first
        if first is not None and row.baseline_again is not None:
            twice.append((row, row.baseline_again - first))
    found = weighted_mean([row for row, _ in twice], [value for _, value in twice], lower=-1.0)
    if found is None:
        return None
    limits = found.interval(confidence)
    return Noise(
        delta=found.mean,
        interval=Interval(*limits) if limits else None,
        rows=found.rows,
        changed=sum(abs(value) > _SAME for _, value in twice),
    )


def say(noise: Noise | None, found: Estimated | None, rules: Rules, *, production: float | None) -> list[str]:
    """What the noise floor means for the comparison."""
    said = []
    if noise is not None and not noise.changed:
        said.append(
            f"Production asked twice scores the same on all {plural(noise.rows, 'row')}: it has no noise."
        )
    elif noise is not None and noise.interval is not None:
        asked = (
            f"Production asked twice differs from itself on {noise.changed} of {plural(noise.rows, 'row')} "
            f"(difference {points(noise.delta)}, interval {span(*noise.interval)})"
        )
        if found is not None and noise.interval.low <= found.delta <= noise.interval.high:
            said.append(
                f"{asked}: the candidate's difference of {points(found.delta)} lies within production's own "
                "noise."
            )
        elif found is not None:
            said.append(f"{asked}: the candidate's difference of {points(found.delta)} lies outside of that.")
        else:
            said.append(f"{asked}.")
    if rules.yardstick == "references" and production is not None:
        if rules.rerun:
            said.append(
                "Answers are compared with production's recorded ones, and production itself, asked again, "
                f"scores {percent(production)} against them: that is the noise floor which the candidate is "
                "held to, not 100%."
            )
        else:
            said.append(
                "Answers are compared with production's recorded ones and production was not asked again, so "
                "its own noise counts against the candidate; gate.baseline: rerun measures it."
            )
    return said
