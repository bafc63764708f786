"""Production with its answers broken on purpose: whether the scores notice, and what the gate says then.

An answer is broken in three ways, since each kind of scorer sees its own: *emptied*, replaced by *noise* (a
check of form sees both), or *swapped* for what production answered to another row (its form is right, so that
only a scorer that looks at what is said sees it). What the scorers that need no model say of these is
measured, not assumed (:attr:`promptmigrate.decide.PairedRow.trials`).

Quality notices a way of breaking where production would lose more than the margin, were all its answers
broken so, or where more answers cannot be scored than may be missing. What follows from that is in
:mod:`promptmigrate.decide.blindness`.

Where no scorer of the quality could be run (judges ask a model, and that is paid for), the loss is *planted*:
quality is set to 0. That tries the statistics and not the judge; what is known of a judge is in its card.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Breakage, Decision
from promptmigrate.files import digest

Decide: TypeAlias = Callable[[Sequence[PairedRow], Rules], Decision]
_EXTRA = 0.05
SAME = 1e-9


def against_itself(row: PairedRow) -> PairedRow:
    """``row`` with production in the candidate's place."""
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


def broken_row(row: PairedRow, quality: float) -> PairedRow:
    """Production against itself with this row's answer broken."""
    label = None if row.baseline_label is None else quality
    return replace(against_itself(row), candidate=quality, candidate_label=label)


def mean(rows: Sequence[PairedRow], values: Mapping[str, float]) -> float | None:
    """Of the ``values`` of rows by example, by the rows' weights; None without any."""
    used = [(row.weight, values[row.example]) for row in rows if row.example in values]
    total = math.fsum(weight for weight, _ in used)
    return math.fsum(weight * value for weight, value in used) / total if total else None


def break_answers(
    rows: Sequence[PairedRow],
    rules: Rules,
    *,
    decide: Decide,
) -> tuple[Breakage, ...]:
    """What comes of each way of breaking; none where production has no more to lose than the margin.

    Args:
        rows: The test rows.
        rules: The rules of the gate.
        decide: The gate.
    """
    paired = [row for row in rows if row.paired]
    quality = mean(paired, {row.example: row.baseline or 0.0 for row in paired})
    if quality is None or quality <= rules.margin + SAME:
        return ()
    if not any(row.trials for row in paired):
        return (_broken("planted", rows, rules, {row.example: 0.0 for row in paired}, decide),)
    found = []
    ways: tuple[Literal["emptied", "swapped", "noise"], ...] = ("emptied", "swapped", "noise")
    for how in ways:
        if there := {row.example: row.trials[how] for row in paired if how in row.trials}:
            found.append(_broken(how, rows, rules, there, decide))
    return tuple(found)


def _broken(
    how: Literal["emptied", "swapped", "noise", "planted"],
    rows: Sequence[PairedRow],
    rules: Rules,
    there: Mapping[str, float | None],
    decide: Decide,
) -> Breakage:
    """``there``: the quality of each row's answer, broken so."""
    values = {example: value for example, value in there.items() if value is not None}
    loss, unscored = _loss(rows, values), len(there) - len(values)
    planted, lost, count = _plant(rows, rules, values)
    seen = loss is not None and loss > rules.margin + SAME
    return Breakage(
        how=how,
        loss=loss,
        rows=len(values),
        unscored=unscored,
        noticed=seen or unscored > rules.max_missing * len(there),
        decision=decide(planted, _quality_alone(rules)) if planted else None,
        broken_by=lost,
        broken_rows=count,
    )


def _loss(rows: Sequence[PairedRow], values: Mapping[str, float]) -> float | None:
    """How much lower the mean of ``values`` is than what production scores on the same rows."""
    broken = [row for row in rows if row.example in values]
    return mean(broken, {row.example: (row.baseline or 0.0) - values[row.example] for row in broken})


def _plant(
    rows: Sequence[PairedRow], rules: Rules, values: Mapping[str, float]
) -> tuple[list[PairedRow], float, int]:
    """Rows with answers broken, the loss in mean quality, and how many; no rows where there is no room.

    An answer whose broken text could not be scored stays as it is: it would be missing, not wrong.
    """
    paired = [row for row in rows if row.paired]
    total = sum(row.weight for row in paired)
    target = rules.margin + max(_EXTRA, rules.margin)
    lost = 0.0
    chosen: set[str] = set()
    for row in sorted(paired, key=lambda row: digest(["broken", row.example])):
        if lost >= target * total:
            break
        if row.baseline and row.example in values:
            chosen.add(row.example)
            lost += row.weight * (row.baseline - values[row.example])
    loss = lost / total if total else 0.0
    if loss <= rules.margin + SAME:
        return [], 0.0, 0
    planted = [
        broken_row(row, values[row.example]) if row.example in chosen else against_itself(row) for row in rows
    ]
    # Costs take no part here; without them nothing is drawn for their intervals.
    free = [replace(row, candidate_cost_usd=None, candidate_latency_s=None) for row in planted]
    return free, loss, len(chosen)


def _quality_alone(rules: Rules) -> Rules:
    return replace(rules, guardrails={}, scores={}, slices="report", judges="any")
