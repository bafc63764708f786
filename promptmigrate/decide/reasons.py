"""The sentences of a Verdict, for a person who was woken up by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptmigrate.decide.interval import BoundedMean
from promptmigrate.decide.power import rows_needed
from promptmigrate.decide.quality import Estimated
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Missing, Quality
from promptmigrate.decide.wording import percent, plural, points, span

MIN_CLUSTERS = 5
"""With fewer independent groups no cluster variance can be trusted."""
_DOUBTFUL = 0.5
"""A production score below which the measure is more likely wrong than production."""
_MANY_ROWS = 100_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the rows say about quality, under the settings of the gate."""

    quality: Quality
    estimated: Estimated
    baseline: float
    """Mean quality of production."""
    candidate: float
    margin: float
    confidence: float
    superiority: bool
    rows_needed: int | None
    """Further rows while quality is open; None: more rows will not help."""


def unusable(
    used: Sequence[PairedRow],
    missing: Missing,
    difference: BoundedMean | None,
    estimated: Estimated | None,
    rules: Rules,
    *,
    production: float | None,
) -> list[str]:
    """Why the rows cannot carry a decision; ``production``: its score."""
    found = []
    if missing.share > rules.max_missing:
        found.append(
            f"{percent(missing.share)} of the test rows have no measurement ({missing.baseline} under "
            f"production, {missing.candidate} under the candidate), more than the "
            f"{percent(rules.max_missing)} allowed: fix the calls or scorers that failed and run the same "
            "command again; finished calls are not repeated."
        )
    count = plural(len(used), "test row")
    if len(used) < rules.min_rows:
        found.append(f"Only {count} could be compared; at least {rules.min_rows} are needed for any verdict.")
    elif difference is not None and difference.clusters < MIN_CLUSTERS:
        found.append(
            f"The {count} come from only {plural(difference.clusters, 'group')} (sessions or users); at "
            f"least {MIN_CLUSTERS} are needed, since rows of one group may all succeed or fail together."
        )
    elif not rules.superiority and production is not None and production <= rules.margin:
        found.append(
            f"Production itself scores only {percent(production)}, so that any answer would be within the "
            f"tolerated loss of {points(rules.margin, sign=False)}: check that the scorers and the expected "
            "answers fit what the prompt asks for."
        )
    errors = rules.judge_errors
    if estimated is not None and errors is not None and estimated.corrected is None:
        found.append(
            f"The judge's labels ({errors.good} good, {errors.bad} bad answers; it calls "
            f"{percent(errors.sensitivity)} of the good and {percent(1 - errors.specificity)} of the bad "
            "ones good) do not show that it is better than a coin: mend the judge, or label more answers."
        )
    return found


def explain(finding: Finding) -> str:
    """What the interval says about quality."""
    found = finding.estimated
    seen = (
        f"{'by the judge, ' if found.corrected else ''}the candidate scores {percent(finding.candidate)} and "
        f"production {percent(finding.baseline)} on {plural(found.difference.rows, 'test row')} (difference "
        f"{points(found.difference.mean)}, {round(100 * finding.confidence, 2):g}% interval "
        f"{span(*found.interval)})"
    )
    if found.corrected:
        seen += (
            f"; with the judge's mistakes taken out, as human labels show them, the difference is "
            f"{points(found.delta)} ({span(*found.limits)})"
        )
    loss = points(finding.margin, sign=False)
    if finding.superiority:
        return {
            "pass": f"Quality improves: {seen}; the whole interval lies above zero.",
            "fail": f"Quality does not improve: {seen}; a change of the prompt alone has to score higher to "
            "be worth shipping.",
            "open": f"An improvement is not proven: {seen}; the interval still contains zero.",
        }[finding.quality]
    return {
        "pass": f"Quality holds: {seen}; a loss of {loss} or more is ruled out.",
        "fail": f"Quality drops: {seen}; even the better end of the interval is below the tolerated loss of "
        f"{loss}.",
        "open": f"Not proven either way: {seen}; a loss of more than the tolerated {loss} is still possible.",
    }[finding.quality]


def advise(finding: Finding) -> list[str]:
    """How an open question could be settled; nothing for a settled one."""
    if finding.quality != "open":
        return []
    more, difference = finding.rows_needed, finding.estimated.difference
    if more is None:
        return [
            f"More rows will hardly help: the loss seen is already {points(-difference.mean, sign=False)}, "
            f"at or beyond the tolerated {points(finding.margin, sign=False)}. A better prompt or a wider "
            "margin would."
        ]
    amount = f"About {more:,}" if more <= _MANY_ROWS else f"More than {_MANY_ROWS:,}"
    advice = f"{amount} more test rows would settle it with a chance of 80% if the difference stays as seen"
    if not finding.superiority and difference.mean < 0:
        even = rows_needed(difference, threshold=-finding.margin, confidence=finding.confidence, truth=0.0)
        if even is not None and even < more:
            enough = f"{even:,} more" if even else "as many as there are"
            advice += f" ({enough} would do if in truth there is no difference)"
    return [advice + "."]


def advise_on_judges(rules: Rules) -> str:
    """Why judges that nobody checked do not promote."""
    names = ", ".join(rules.uncalibrated)
    return (
        f"Quality rests on {names}, of which no agreement with people is known: label some answers, "
        "calibrate (scorers.calibrate) and name the card as the scorer's 'calibration', or accept it as it "
        "is with gate.judges: any."
    )


def warn(
    missing: Missing, difference: BoundedMean | None, rules: Rules, *, production: float | None
) -> list[str]:
    """What to know besides the decision."""
    found = []
    confidence = rules.confidence
    if rules.uncalibrated and rules.judges == "any":
        found.append(f"Quality rests on {', '.join(rules.uncalibrated)}, unchecked against people.")
    if production is not None and production < _DOUBTFUL:
        found.append(
            f"Production itself scores only {percent(production)}: check that the scorers and the expected "
            "answers fit what the prompt asks for."
        )
    if missing.baseline != missing.candidate:
        found.append(
            f"Measurements are missing unevenly: {plural(missing.baseline, 'row')} under production, "
            f"{missing.candidate} under the candidate. If the calls that failed were the hard ones, the "
            "comparison is tilted."
        )
    found += _warn_of_openings(rules)
    if difference is not None and difference.clusters < difference.rows and rules.threshold < 0:
        hidden = (1.0 - rules.margin) ** difference.effective_clusters
        if hidden > 0.5 - confidence / 2:
            found.append(
                f"The rows come from {plural(difference.clusters, 'group')}: a candidate that fails "
                f"{percent(rules.margin)} of all groups on all their rows would show none of them here with "
                f"a chance of {percent(hidden)}."
            )
    if difference is not None and difference.clusters < difference.rows and difference.design_effect > 1.5:
        independent = difference.effective_rows / difference.design_effect
        found.append(
            f"The {plural(difference.rows, 'row')} come in {plural(difference.clusters, 'group')} whose rows "
            f"may succeed or fail together; they count as about {independent:.0f} independent ones."
        )
    return found


def _warn_of_openings(rules: Rules) -> list[str]:
    """What it means that these rows have been decided on before."""
    openings, candidates = rules.test_openings, rules.test_candidates
    rows = "These test rows" if rules.test_seen == 1.0 else f"{percent(rules.test_seen)} of these test rows"
    found = []
    if openings > 1:
        luck = 1.0 - (0.5 + rules.confidence / 2) ** openings
        judged = plural(candidates, "candidate") if candidates > 1 else "this candidate"
        times = f" in {openings} decisions" if openings > candidates else ""
        found.append(
            f"{rows} have now judged {judged}{times}; the chance that one of them would pass by "
            f"luck alone is up to {percent(luck)} instead of {percent(0.5 - rules.confidence / 2)}. Collect "
            "fresh test rows before the next attempt."
        )
    if rules.changed_settings:
        found.append(
            f"{rows} were decided on before under other settings: "
            f"{'; '.join(rules.changed_settings)}. What is changed after rows were seen may have been "
            "changed to suit them; only fresh test rows show that it was not."
        )
    return found
