"""Every gate tries itself on its own rows, where the right answer is known, before it is believed.

Three trials, through the very code that decides and on the very rows it decides on:

- *identical*: production against itself, same rows and same costs. Calling it worse (REJECT) is an error;
  where a candidate has to be better, calling it better (PROMOTE) is. Limits below 1 on cost and latency
  count as 1 here: nothing is cheaper than itself.
- *broken*: production against a copy of itself with its answers really broken and scored again
  (:mod:`promptmigrate.decide.breakage`), until the mean is worse by the margin and 5 points more (at least
  twice the margin). The loss is a fact of these rows, not an estimate, so PROMOTE is an error however few or
  many they are. Only quality may stop it: costs, other scores, slices and doubts about judges are left out,
  so that they cannot hide a rule that is blind to the loss. Where the scores do not notice that answers are
  broken, or say something else when asked again, there is nothing to decide on, and that is an error too
  (:mod:`promptmigrate.decide.blindness`). Where production's quality leaves no room for such a loss,
  ``broken`` is None.
- *at the limit*: 40 candidates drawn so that each is worse by the margin on average (whole groups break), or,
  where a candidate has to be better, no better on average (production and candidate swapped at random by
  group). A sound rule for quality lets pass (1 - confidence) / 2 of them. More than a sound rule would by
  chance once in 2,000 gates is an error: a rule that takes any higher mean for a proof passes about half.

What is broken follows from the digest of the rows, so that the same rows give the same trials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from promptmigrate.decide.assess import assess
from promptmigrate.decide.blindness import blind, quality_scorers, unsteady, untried
from promptmigrate.decide.breakage import against_itself, break_answers, broken_row
from promptmigrate.decide.quality import estimate, status
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Breakage, Decision, Quality, SelfTest
from promptmigrate.decide.wording import plural, points

_DRAWS = 40
_FALSE_ALARM = 1 / 2000
_PLANTED = {
    "emptied": "emptied on purpose",
    "swapped": "swapped for those of other rows on purpose",
    "noise": "replaced by noise on purpose",
    "planted": "broken on purpose",
}

Decider: TypeAlias = Callable[[Sequence[PairedRow], Rules, int], Decision]
Ruler: TypeAlias = Callable[[Sequence[PairedRow], Rules], "Quality | None"]


def gate_says(rows: Sequence[PairedRow], rules: Rules, seed: int) -> Decision:
    """The decision alone."""
    return assess(rows, rules, seed=seed, confidence=rules.confidence).verdict.verdict


def quality_says(rows: Sequence[PairedRow], rules: Rules) -> Quality | None:
    """The rule for quality alone."""
    found = estimate(rows, rules, confidence=rules.confidence)
    if found is None:
        return None
    return status(found.delta, found.limits, margin=rules.margin, superiority=rules.superiority)


def self_test(
    rows: Sequence[PairedRow],
    rules: Rules,
    *,
    seed: int,
    decider: Decider = gate_says,
    ruler: Ruler = quality_says,
) -> SelfTest:
    """Run the trials on checked ``rows``. ``decider`` and ``ruler`` are what is on trial."""
    fair = replace(rules, guardrails={name: max(1.0, limit) for name, limit in rules.guardrails.items()})
    problems = []
    identical = decider([against_itself(row) for row in rows], fair, seed)
    if rules.superiority and identical == "PROMOTE":
        problems.append(
            "The gate failed its own test: it calls production better than itself on these rows, so it "
            "cannot be believed."
        )
    if not rules.superiority and identical == "REJECT":
        problems.append(
            "The gate failed its own test: it rejects production compared with itself on these rows, so it "
            "cannot be believed."
        )
    breakages = break_answers(
        rows,
        rules,
        decide=lambda planted, alone: decider(planted, alone, seed),
    )
    worst = _worst(breakages)
    problems += [_promoted(breakage, rules) for breakage in breakages if breakage.decision == "PROMOTE"]
    found, warnings = unsteady(rows, rules)
    if not found:  # else what broken answers score says nothing either
        found, told = blind(rows, rules, breakages)
        warnings += told
    problems += found
    drawn = _at_the_limit(rows, rules, seed)
    promoted = sum(ruler(candidate, rules) == "pass" for candidate in drawn)
    allowed = allowance(len(drawn), (1 - rules.confidence) / 2)
    if promoted > allowed:
        problems.append(
            f"The gate failed its own test: of {len(drawn)} candidates that are just too bad to pass, drawn "
            f"from these rows, its rule for quality lets {promoted} pass, where {allowed} are the most that "
            "chance explains; these rows (their groups or weights) are not what its statistics assume."
        )
    return SelfTest(
        identical=identical,
        broken=worst.decision if worst else None,
        broken_by=worst.broken_by if worst else 0.0,
        broken_rows=worst.broken_rows if worst else 0,
        draws=len(drawn),
        promoted=promoted,
        allowed=allowed,
        passed=not problems,
        problems=tuple(problems),
        breakages=breakages,
        unasked=tuple(quality_scorers(rows, rules)[1]) if breakages else (),
        # Scores that were found out above are not to be told off for want of room.
        warnings=(*warnings, *(untried(breakages) if not found and any(row.paired for row in rows) else ())),
    )


def allowance(draws: int, level: float) -> int:
    """The most passes that a rule of that level shows but once in 2,000 gates."""
    from scipy.special import bdtrc

    return next((k for k in range(draws) if bdtrc(k, draws, level) <= _FALSE_ALARM), draws)


def _worst(breakages: Sequence[Breakage]) -> Breakage | None:
    """The one to report first: one that is promoted, else the first that was decided on."""
    decided = [breakage for breakage in breakages if breakage.decision is not None]
    return next((b for b in decided if b.decision == "PROMOTE"), decided[0] if decided else None)


def _promoted(breakage: Breakage, rules: Rules) -> str:
    return (
        f"The gate failed its own test: it promotes production with {plural(breakage.broken_rows, 'answer')} "
        f"{_PLANTED[breakage.how]}, a loss of {points(breakage.broken_by, sign=False)} where "
        f"{points(rules.margin, sign=False)} are tolerated, so it cannot be believed."
    )


def _at_the_limit(rows: Sequence[PairedRow], rules: Rules, seed: int) -> list[list[PairedRow]]:
    import numpy as np

    paired = [row for row in rows if row.paired]
    total = sum(row.weight for row in paired)
    quality = sum(row.weight * (row.baseline or 0.0) for row in paired) / total if total else 0.0
    if not paired or (not rules.superiority and (quality <= rules.margin or not rules.margin)):
        return []
    share = 0.5 if rules.superiority else rules.margin / quality
    spared = paired if rules.superiority else [against_itself(row) for row in paired]
    struck = [_flip(row) if rules.superiority else broken_row(row, 0.0) for row in paired]
    place = {name: index for index, name in enumerate(sorted({row.cluster for row in paired}))}
    hits = np.random.default_rng(seed).random((_DRAWS, len(place))) < share
    return [
        [
            hit if draw[place[row.cluster]] else kept
            for row, kept, hit in zip(paired, spared, struck, strict=True)
        ]
        for draw in hits.tolist()
    ]


def _flip(row: PairedRow) -> PairedRow:
    return replace(
        row,
        baseline=row.candidate,
        candidate=row.baseline,
        baseline_label=row.candidate_label,
        candidate_label=row.baseline_label,
    )
