"""Every gate tries itself on its own rows, where the right answer is known, before it is believed.

Three trials, through the very code that decides and on the very rows it decides on:

- *identical*: production against itself, same rows and same costs. Calling it worse (REJECT) is an error;
  where a candidate has to be better, calling it better (PROMOTE) is. Limits below 1 on cost and latency
  count as 1 here: nothing is cheaper than itself.
- *broken*: production against a copy of itself with answers broken (quality 0) until the mean is worse by the
  margin and 5 points more (at least twice the margin). The loss is a fact of these rows, not an estimate, so
  PROMOTE is an error however few or many they are. Only quality may stop it: costs, other scores, slices and
  doubts about judges are left out, so that they cannot hide a rule that is blind to the loss. Where
  production's quality has no such room, all of it is broken; where not even the margin is left, nothing can
  be planted, and ``broken`` is None.
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
from promptmigrate.decide.quality import estimate, status
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Decision, Quality, SelfTest
from promptmigrate.decide.wording import plural, points
from promptmigrate.files import digest

_EXTRA = 0.05
_DRAWS = 40
_FALSE_ALARM = 1 / 2000
_SAME = 1e-9

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
    identical = decider([_against_itself(row) for row in rows], fair, seed)
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
    planted, loss, count = _broken(rows, rules)
    broken = decider(planted, _quality_alone(rules), seed) if planted else None
    if broken == "PROMOTE":
        problems.append(
            f"The gate failed its own test: it promotes production with {plural(count, 'answer')} broken on "
            f"purpose, a loss of {points(loss, sign=False)} where {points(rules.margin, sign=False)} are "
            "tolerated, so it cannot be believed."
        )
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
        broken=broken,
        broken_by=loss,
        broken_rows=count,
        draws=len(drawn),
        promoted=promoted,
        allowed=allowed,
        passed=not problems,
        problems=tuple(problems),
    )


def allowance(draws: int, level: float) -> int:
    """The most passes that a rule of that level shows but once in 2,000 gates."""
    from scipy.special import bdtrc

    return next((k for k in range(draws) if bdtrc(k, draws, level) <= _FALSE_ALARM), draws)


def _against_itself(row: PairedRow) -> PairedRow:
    # People are taken to agree with the judge here: then what was planted is known in their terms as well.
    label = None if row.baseline_label is None else row.baseline
    return replace(
        row,
        candidate=row.baseline,
        baseline_label=label,
        candidate_label=label,
        candidate_cost_usd=row.baseline_cost_usd,
        candidate_latency_s=row.baseline_latency_s,
        scores={name: (before, before) for name, (before, _) in row.scores.items()},
    )


def _break(row: PairedRow) -> PairedRow:
    labelled = None if row.baseline_label is None else 0.0
    return replace(_against_itself(row), candidate=0.0, candidate_label=labelled)


def _broken(rows: Sequence[PairedRow], rules: Rules) -> tuple[list[PairedRow], float, int]:
    """Rows with answers broken, the loss in mean quality, and how many; no rows where there is no room."""
    paired = [row for row in rows if row.paired]
    total = sum(row.weight for row in paired)
    target = rules.margin + max(_EXTRA, rules.margin)
    lost = 0.0
    chosen: set[str] = set()
    for row in sorted(paired, key=lambda row: digest(["broken", row.example])):
        if lost >= target * total:
            break
        if row.baseline:
            chosen.add(row.example)
            lost += row.weight * row.baseline
    loss = lost / total if total else 0.0
    if loss <= rules.margin + _SAME:
        return [], 0.0, 0
    planted = [_break(row) if row.example in chosen else _against_itself(row) for row in rows]
    # Costs take no part here; without them nothing is drawn for their intervals.
    free = [replace(row, candidate_cost_usd=None, candidate_latency_s=None) for row in planted]
    return free, loss, len(chosen)


def _quality_alone(rules: Rules) -> Rules:
    return replace(rules, guardrails={}, scores={}, slices="report", judges="any")


def _at_the_limit(rows: Sequence[PairedRow], rules: Rules, seed: int) -> list[list[PairedRow]]:
    import numpy as np

    paired = [row for row in rows if row.paired]
    total = sum(row.weight for row in paired)
    quality = sum(row.weight * (row.baseline or 0.0) for row in paired) / total if total else 0.0
    if not paired or (not rules.superiority and (quality <= rules.margin or not rules.margin)):
        return []
    share = 0.5 if rules.superiority else rules.margin / quality
    spared = paired if rules.superiority else [_against_itself(row) for row in paired]
    struck = [_flip(row) if rules.superiority else _break(row) for row in paired]
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
