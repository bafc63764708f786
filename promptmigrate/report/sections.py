"""What the page's tables and lists say of slices, guardrail scores, the self-test and spend."""

from __future__ import annotations

from typing import Any

from promptmigrate.report import wording
from promptmigrate.report.parts import BreakageFigures, ScoreGuardrailFigures, SliceFigures
from promptmigrate.report.shapes import VerdictFile

OUTCOMES = {
    "PROMOTE": ("✓", "promote", "good"),
    "REJECT": ("✕", "reject", "bad"),
    "INCONCLUSIVE": ("?", "inconclusive", "open"),
}
SLICES = {
    "worse": ("✕", "breaks", "bad"),
    "suspect": ("?", "may break", "open"),
    "open": ("·", "not proven alone", "plain"),
    "too_few": ("·", "too few rows", "plain"),
    "holds": ("✓", "holds", "good"),
}
ALARM = {name: place for place, name in enumerate(SLICES)}
_BROKEN = {
    "emptied": "emptied on purpose",
    "swapped": "swapped for those of other rows on purpose",
    "noise": "replaced by noise on purpose",
    "planted": "broken on purpose",
}
_PURPOSES = (("task", "Task"), ("judge", "Judges"), ("reflection", "Reflection"))
STATUSES = {
    "pass": ("✓", "within limit", "good"),
    "fail": ("✕", "over limit", "bad"),
    "unclear": ("?", "unclear", "open"),
    "unmeasurable": ("?", "not measurable", "open"),
}


def slice_row(s: SliceFigures) -> dict[str, Any]:
    """One row of the table of slices."""
    mark, word, style = SLICES[s.status]
    return {"s": s, "mark": mark, "word": word, "style": style}


def rail(g: ScoreGuardrailFigures) -> dict[str, Any]:
    """One row of the table of guardrail scores."""
    mark, word, style = STATUSES[g.status]
    return {"g": g, "mark": mark, "word": word.replace("limit", "margin"), "style": style}


def trials(v: VerdictFile) -> list[tuple[str, str, str]]:
    """(style, what was tried, what came out) of the gate's test of itself."""
    tested = v.self_test
    if tested is None:
        return []
    fine = "good" if tested.passed else "bad"
    found = [
        (fine, "production against itself", OUTCOMES.get(tested.identical, ("", tested.identical, ""))[1])
    ]
    for breakage in tested.breakages:
        style = fine if breakage.noticed or not tested.passed else "open"
        found.append((style, *_breakage(breakage)))
    if tested.draws:
        found.append(
            (
                fine,
                f"{tested.draws:,} candidates drawn to be just too bad",
                f"{wording.count(tested.promoted)} let pass, {wording.count(tested.allowed)} allowed",
            )
        )
    return [(style, wording.clean(what), wording.clean(out)) for style, what, out in found]


def purposes(v: VerdictFile) -> list[tuple[str, int, float | None]]:
    """(name, calls, USD) of each purpose that money is spent for."""
    return [
        (label, getattr(v.spend.calls, name), v.spend.usd_by_purpose.get(name)) for name, label in _PURPOSES
    ]


def _breakage(breakage: BreakageFigures) -> tuple[str, str]:
    """What was tried, and what came out."""
    done = _BROKEN.get(breakage.how, breakage.how)
    if breakage.decision is not None and breakage.broken_rows is not None:
        lost = wording.points(breakage.broken_by).lstrip("+")
        what = f"production with {breakage.broken_rows:,} answers {done} (a loss of {lost})"
        return what, _outcome(breakage.decision)
    out = "not scored" if breakage.loss is None else f"scores {wording.points(-breakage.loss)}"
    return f"production with all answers {done}", out if breakage.noticed else f"{out}: not noticed"


def _outcome(decision: str) -> str:
    return OUTCOMES[decision][1] if decision in OUTCOMES else decision
