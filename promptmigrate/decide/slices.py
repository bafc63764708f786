"""Quality slice by slice: a mean that holds may hide a language or a tenant that broke.

Every slice with enough rows gets the paired difference with an interval; those intervals hold jointly
(Bonferroni over the slices judged), and "worse" is tested with Holm's correction, so that among many slices
that are fine one is seldom accused. What each finding means, and what it does where slices may block:

- ``holds``: a loss of the margin is ruled out.
- ``worse``: shown to lose more than the margin. Named; blocking: REJECT.
- ``suspect``: it lost more than the margin, and a slice that lost just the margin would look so bad less than
  one time in five, yet it is not proven. Named; blocking: INCONCLUSIVE, since neither a REJECT nor a pass is
  earned.
- ``open``: not proven either way, and nothing points to a break. Named among the warnings.
- ``too_few``: fewer rows than asked for, or too few groups. It can still be suspect; else it is said to be
  unjudgeable where rows of it broke, and is in the table only where none did.

An ``open`` slice does not block: a slice of 60 rows can never rule out a loss of two points, so that a gate
which demanded it of every slice could not be passed by production itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptmigrate.decide.holm import bonferroni_confidence, holm
from promptmigrate.decide.quality import weighted_mean
from promptmigrate.decide.rows import PairedRow
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Interval, Slice, SliceStatus
from promptmigrate.decide.wording import plural, points, span

_SUSPECT = 0.2
_MIN_GROUPS = 5
_SAME = 1e-9
_SHOWN = 12


def judge_slices(used: Sequence[PairedRow], rules: Rules, *, confidence: float) -> tuple[Slice, ...]:
    """Each slice of the paired rows, by name and value."""
    members: dict[tuple[str, str], list[PairedRow]] = {}
    for row in used:
        for name, value in row.slices.items():
            members.setdefault((name, value), []).append(row)
    keys = sorted(members)
    means = [weighted_mean(members[key], [r.difference for r in members[key]], lower=-1.0) for key in keys]
    judged = [
        mean is not None and mean.rows >= rules.min_slice_rows and mean.clusters >= _MIN_GROUPS
        for mean in means
    ]
    level = bonferroni_confidence(sum(judged), confidence)
    p_worse = [mean.p_less(-rules.margin) if mean and mean.df > 0 else 1.0 for mean in means]
    adjusted = iter(holm([p for p, fair in zip(p_worse, judged, strict=True) if fair]))
    found = []
    for key, mean, fair, p in zip(keys, means, judged, p_worse, strict=True):
        assert mean is not None
        limits = mean.interval(level)
        p_adjusted = next(adjusted) if fair else None
        status: SliceStatus
        if p_adjusted is not None and p_adjusted < (1 - confidence) / 2:
            status = "worse"
        # On few rows chance looks like much: only what would be proof elsewhere is named there.
        elif mean.mean < -rules.margin - _SAME and p < (_SUSPECT if fair else (1 - confidence) / 2):
            status = "suspect"
        elif not fair:
            status = "too_few"
        else:
            status = "holds" if limits is not None and limits[0] > -rules.margin else "open"
        found.append(
            Slice(
                name=key[0],
                value=key[1],
                rows=mean.rows,
                clusters=mean.clusters,
                delta=mean.mean,
                interval=Interval(*limits) if limits else None,
                fixed=sum(row.difference > _SAME for row in members[key]),
                broken=sum(row.difference < -_SAME for row in members[key]),
                p_worse=p_adjusted,
                status=status,
            )
        )
    return tuple(found)


def say(slices: Sequence[Slice], rules: Rules) -> tuple[list[str], list[str], list[str]]:
    """Sentences on the slices: (what rejects, what leaves it open, what to warn of)."""
    loss = points(rules.margin, sign=False)
    blocking = rules.slices == "block"
    broken = [
        f"Slice {_name(s)} breaks: {_seen(s)}; it loses more than the tolerated {loss}."
        for s in slices
        if s.status == "worse"
    ]
    suspected = [
        f"Slice {_name(s)} may break: {_seen(s)}; that is not proven, and not to be passed over: look at its "
        "broken rows or collect more of them."
        for s in slices
        if s.status == "suspect"
    ]
    warnings = [] if blocking else [*broken, *suspected]
    # An open slice shows no loss beyond the margin; the table of slices has it.
    few = [
        f"{_name(s)} ({s.broken} of {plural(s.rows, 'row')})"
        for s in slices
        if s.status == "too_few" and s.broken
    ]
    if few:
        warnings.append(
            f"Slices with broken rows that cannot be judged, with fewer than {rules.min_slice_rows} rows or "
            f"{_MIN_GROUPS} groups: {_list(few)}."
        )
    return (broken, suspected, warnings) if blocking else ([], [], warnings)


def _name(found: Slice) -> str:
    return f"{found.name}={found.value}"


def _seen(found: Slice) -> str:
    reach = f", interval {span(*found.interval)}" if found.interval else ""
    return (
        f"{found.broken} of {plural(found.rows, 'row')} broken and {found.fixed} fixed (difference "
        f"{points(found.delta)}{reach})"
    )


def _list(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
