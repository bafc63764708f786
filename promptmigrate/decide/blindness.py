"""What the trials of the scorers say: which of them do not notice broken answers, and what to do.

Quality that notices *swapped* answers looks at what an answer says. Where it notices only *emptied* ones
and *noise*, it looks at their form, or rows are alike in what it looks at: that may be so, and is said.
Where it does not notice noise, it looks at nothing but whether there is an answer, or how long it is; where
it does not even notice emptied ones, it cannot tell a candidate from none. From these two nothing can be
concluded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promptmigrate.decide.breakage import SAME, mean
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Breakage
from promptmigrate.decide.wording import plural, points

_FAILED = "The gate failed its own test:"
_NOISE = 0.05
"""Mean change of a score that is scored twice, above which it says nothing whatever the margin."""
_DONE = {
    "emptied": "its answers emptied",
    "swapped": "its answers swapped for those of other rows",
    "noise": "its answers replaced by noise",
}


def quality_scorers(rows: Sequence[PairedRow], rules: Rules) -> tuple[list[str], list[str]]:
    """The scorers of the quality that were run on broken answers, and those that were not."""
    names = sorted({name for row in rows for name in row.scores} - set(rules.scores))
    ran = {name for row in rows for name in row.trial_scores}
    return [name for name in names if name in ran], [name for name in names if name not in ran]


def blind(
    rows: Sequence[PairedRow], rules: Rules, breakages: Sequence[Breakage]
) -> tuple[list[str], list[str]]:
    """Problems and warnings."""
    of = {breakage.how: breakage for breakage in breakages}
    emptied, swapped, noise = of.get("emptied"), of.get("swapped"), of.get("noise")
    tried = [breakage for breakage in (emptied, swapped) if breakage is not None]
    if not tried and noise is not None:  # production answers nothing, anywhere
        tried = [noise]
    ran, _ = quality_scorers(rows, rules)
    unseeing = [name for name in ran if not _notices(rows, rules, name, tried)]
    if not tried:
        return [], []
    tolerated = points(rules.margin, sign=False)
    if not any(breakage.noticed for breakage in tried):
        names = unseeing or ran
        return [
            f"{_FAILED} {_and(names)} {_verb(names, 'does', 'do')} not notice broken answers ("
            f"{_told(tried)}, where {tolerated} are tolerated), so a candidate that is wrong everywhere "
            f"would pass; {_mend(names)}."
        ], []
    says = swapped is not None and swapped.noticed
    if noise is not None and not noise.noticed and not says:
        seen = [breakage for breakage in (swapped, noise) if breakage is not None]
        names = [name for name in ran if not _notices(rows, rules, name, seen)] or ran
        return [
            f"{_FAILED} {_and(names)} {_verb(names, 'looks', 'look')} at nothing but the length of an answer "
            f"({_told(seen)}, where {tolerated} are tolerated), so a candidate that is wrong at length would "
            f"pass; {_mend(names)}."
        ], []
    warnings = []
    if swapped is not None and not swapped.noticed:
        warnings.append(
            f"Answers that say something else are hardly noticed: with {_DONE['swapped']} production loses "
            f"{_lost(swapped)}, where {tolerated} are tolerated. So it is where quality looks at the form of "
            "answers only, or where rows hardly differ in what it looks at: then a candidate that says the "
            "same to all of them may pass."
        )
    if emptied is not None and not emptied.noticed:
        warnings.append(
            f"Empty answers are hardly noticed: with {_DONE['emptied']} production loses {_lost(emptied)}, "
            f"where {tolerated} are tolerated."
        )
    if unseeing:
        warnings.append(
            f"{_and(unseeing)} {_verb(unseeing, 'does', 'do')} not notice broken answers: that part of the "
            "quality is the same whatever is answered."
        )
    return [], warnings


def unsteady(rows: Sequence[PairedRow], rules: Rules) -> tuple[list[str], list[str]]:
    """Problems and warnings where production's own answers score otherwise when they are scored again."""
    paired = [row for row in rows if row.paired]
    repeated = any(row.baseline_first is not None for row in paired)
    changes: dict[str, float] = {}
    for row in paired:
        first, again = row.baseline_first if repeated else row.baseline, row.trials.get("again")
        if first is not None and again is not None:
            changes[row.example] = abs(again - first)
    count = sum(change > SAME for change in changes.values())
    if not count:
        return [], []
    ran, _ = quality_scorers(rows, rules)
    # Of several answers only the first was scored again, and a row has the mean of their scores.
    names = [] if repeated else [name for name in ran if _wavers(paired, name)]
    what = f"{plural(count, 'answer')} of production ({len(changes):,} were tried)"
    shift = mean(paired, changes) or 0.0
    if shift > max(rules.margin, _NOISE):
        return [
            f"{_FAILED} scored a second time by {_and(names or ran)}, {what} score otherwise, by "
            f"{points(shift, sign=False)} on average over all, so no difference can be told from chance or "
            "the order of the calls; a score may depend on the answer and its row only: take out what the "
            "scorer remembers or draws by lot."
        ], []
    return [], [
        f"Scored a second time by {_and(names or ran)}, {what} score otherwise, by "
        f"{points(shift, sign=False)} on average over all: so much of a difference is the scorers' own noise."
    ]


def untried(breakages: Sequence[Breakage]) -> list[str]:
    """Why the gate was not tried on a broken candidate; empty where it was."""
    if any(breakage.decision is not None for breakage in breakages):
        return []
    if unscored := sum(breakage.unscored for breakage in breakages):
        return [
            f"{plural(unscored, 'broken answer')} could not be scored, so the gate could not be tried on a "
            "broken candidate: such answers count as missing rows."
        ]
    return [
        "Production's own quality leaves no room to plant a loss beyond the margin, so the gate could not be "
        "tried on a broken candidate."
    ]


def _notices(rows: Sequence[PairedRow], rules: Rules, name: str, tried: Sequence[Breakage]) -> bool:
    """Whether the mean of scorer ``name`` falls by more than the margin, or it leaves them unscored."""
    for breakage in tried:
        there = [row for row in rows if row.paired and breakage.how in row.trial_scores.get(name, {})]
        loss, scored = _change(there, name, breakage.how)
        if loss is not None and loss < -rules.margin - SAME:
            return True
        if len(there) - scored > rules.max_missing * len(there):
            return True
    return False


def _wavers(rows: Sequence[PairedRow], name: str) -> bool:
    return _change(rows, name, "again", size=abs)[0] not in (0.0, None)


def _change(
    rows: Sequence[PairedRow], name: str, how: str, *, size: Callable[[float], float] = float
) -> tuple[float | None, int]:
    """Mean of what scorer ``name`` says more of answers treated so, and of how many it says something."""
    found: dict[str, float] = {}
    for row in rows:
        before = row.scores.get(name, (None, None))[0]
        after = row.trial_scores.get(name, {}).get(how)
        if before is not None and after is not None:
            found[row.example] = size(after - before)
    return mean(rows, found), len(found)


def _told(breakages: Sequence[Breakage]) -> str:
    return "production loses " + " and ".join(
        f"{_lost(breakage)} with {_DONE[breakage.how]}" for breakage in breakages
    )


def _lost(breakage: Breakage) -> str:
    if breakage.loss is None:
        return "an unknown amount"
    return points(max(0.0, breakage.loss), sign=False)


def _mend(names: Sequence[str]) -> str:
    it = _verb(names, "it", "them")
    return f"mend {it}, or use a scorer that compares an answer with what is expected for its row"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "the quality"


def _verb(names: Sequence[str], one: str, several: str) -> str:
    return several if len(names) > 1 else one
