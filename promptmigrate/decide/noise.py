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
    # A mean over repeats holds the second answer too, and is that answer where the first one failed: compared
    # with it, noise would look too small.
    repeated = any(row.baseline_first is not None for row in rows)
    twice = []
    for row in rows:
        first = row.baseline_first if repeated else row.baseline
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
    """One sentence on what the noise floor means for the comparison, where anything is known of it."""
    told = [*_twice(noise), *_against_records(rules, production)]
    if noise is not None and noise.changed and noise.interval is not None and found is not None:
        within = noise.interval.low <= found.delta <= noise.interval.high
        told.append(
            f"the candidate's difference of {points(found.delta)} lies "
            + ("within production's own noise" if within else "outside of production's own noise")
        )
    if not told:
        return []
    sentence = "; ".join(told)
    return [f"{sentence[:1].upper()}{sentence[1:]}."]


def _twice(noise: Noise | None) -> list[str]:
    """How production's answers to the same rows differ among themselves."""
    if noise is None:
        return []
    if not noise.changed:
        return [f"production, asked twice, scores the same on all {plural(noise.rows, 'row')}"]
    limits = "" if noise.interval is None else f", interval {span(*noise.interval)}"
    return [
        f"production, asked twice, differs from itself on {noise.changed} of {plural(noise.rows, 'row')} "
        f"(difference {points(noise.delta)}{limits})"
    ]


def _against_records(rules: Rules, production: float | None) -> list[str]:
    """How far today's production is from its recorded answers, where these are what is compared with."""
    if rules.yardstick != "references" or production is None:
        return []
    if not rules.rerun:
        return [
            "answers are compared with production's recorded ones and production was not asked again, so its "
            "own noise counts against the candidate; gate.baseline: rerun measures it"
        ]
    # What is not shown as 100 % is not to be called less, nor the other way round.
    held = "" if percent(production) == percent(1.0) else ", which is what the candidate is held to, not 100%"
    return [
        "answers are compared with production's recorded ones, and production itself, asked again, scores "
        f"{percent(production)} against them{held}"
    ]
