"""What goes wrong and how often: failing train rows of a candidate, clustered and written for an editor.

Only train rows are read here, and only answers that the model really gave: a row whose call failed is
neither a failure nor a success.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from promptmigrate import template
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.contract import Contract
from promptmigrate.search.problems import problem_of
from promptmigrate.search.table import Cell, Table
from promptmigrate.search.text import counted, draw, normalised, one_line, shorten
from promptmigrate.types import Example

GOOD = 0.999
"""Quality from which a row counts as answered well."""
_INPUT_CHARS = 700
_ANSWER_CHARS = 400
_EMPTY = "(empty)"
_SHOWN = 12
"""Failing rows in a report without focus."""
KNOWN, KNOWN_CHARS = 25, 10_000
"""Further rows of which only the expected answer is shown, and about how many characters of them."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One answered train row."""

    example: Example
    cell: Cell
    problem: str
    """What kind of failure it is; empty for a row that was answered well."""
    form: bool = False
    """The failure is one of form (the right answer may be in there), not a wrong answer."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Failures of one kind."""

    title: str
    rows: tuple[Row, ...]
    form: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a candidate does on train rows."""

    clusters: tuple[Cluster, ...]
    """Most frequent first."""
    passed: tuple[Row, ...]
    notes: tuple[str, ...]
    """Habits of the model seen in its answers."""

    @property
    def failed(self) -> int:
        """Number of failing rows."""
        return sum(len(c.rows) for c in self.clusters)

    @property
    def failing_ids(self) -> frozenset[str]:
        """Ids of the failing rows."""
        return frozenset(row.example.id for c in self.clusters for row in c.rows)

    @property
    def form_share(self) -> float:
        """Share of failures that are failures of form."""
        return sum(len(c.rows) for c in self.clusters if c.form) / self.failed if self.failed else 0.0


def analyse(table: Table, candidate: Candidate, rows: Sequence[Example], contract: Contract | None) -> Report:
    """The report on the measured ``rows`` (train rows; demos of the candidate left out)."""
    quoted = {demo.example for demo in candidate.demos}
    passed: list[Row] = []
    groups: dict[str, list[Row]] = {}
    for example in rows:
        cell = table.cell(candidate, example)
        if cell is None or cell.quality is None or example.id in quoted:
            continue
        if cell.quality >= GOOD:
            passed.append(Row(example=example, cell=cell, problem=""))
            continue
        said = next((f.kind for f in cell.findings if f.kind and f.value is not None and f.value < GOOD), "")
        problem, form = problem_of(example, cell, contract, said=said)
        groups.setdefault(problem, []).append(Row(example=example, cell=cell, problem=problem, form=form))
    groups = _gather_singles(groups)
    clusters = [
        Cluster(title=title, rows=tuple(g), form=all(r.form for r in g)) for title, g in groups.items()
    ]
    clusters.sort(key=lambda c: (-len(c.rows), c.title))
    return Report(clusters=tuple(clusters), passed=tuple(passed), notes=_notes(passed, clusters))


def joined_reports(report: Report, other: Report) -> Report:
    """``report`` with the failures that ``other`` has on rows that ``report`` does not know."""
    known = report.failing_ids | {row.example.id for row in report.passed}
    groups = {cluster.title: list(cluster.rows) for cluster in report.clusters}
    for cluster in other.clusters:
        new = [row for row in cluster.rows if row.example.id not in known]
        if new:
            groups.setdefault(cluster.title, []).extend(new)
    clusters = [
        Cluster(title=title, rows=tuple(rows), form=all(row.form for row in rows))
        for title, rows in groups.items()
    ]
    clusters.sort(key=lambda c: (-len(c.rows), c.title))
    return Report(clusters=tuple(clusters), passed=report.passed, notes=report.notes)


def render(report: Report, *, focus: int | None, draws: Sequence[object], limit: int = 12_000) -> str:
    """The failures as plain text, at most about ``limit`` characters.

    ``focus``: index of the cluster to show most of; None: all in proportion. ``draws`` selects the sample, so
    that two requests with different draws show different rows.
    """
    total = report.failed + len(report.passed)
    lines = [f"Of {total} inputs, {len(report.passed)} were answered well and {report.failed} were not."]
    order = list(range(len(report.clusters)))
    if focus is not None:
        order.sort(key=lambda i: i != focus % max(1, len(order)))
    shown = number = 0
    for position, index in enumerate(order):
        cluster = report.clusters[index]
        lines.append(
            f"\n## Problem {position + 1} ({len(cluster.rows)} of {report.failed} failures): {cluster.title}"
        )
        if focus is not None:
            most = 8 if position == 0 else 1
        else:
            most = max(2, round(_SHOWN * len(cluster.rows) / max(1, report.failed)))
        for row in sorted(cluster.rows, key=lambda r: draw(*draws, r.example.id))[:most]:
            number += 1
            text = _show(row, number)
            if number > 1 and shown + len(text) > limit:
                return "\n".join(lines)
            shown += len(text)
            lines.append("\n" + text)
    return "\n".join(lines)


def keep_text(report: Report, *, draws: Sequence[object]) -> str:
    """What is answered well already and must not break."""
    if not report.passed:
        return ""
    counts = Counter(one_line(template.as_text(r.example.expected), 40) or _EMPTY for r in report.passed)
    lines = [f"{len(report.passed)} inputs are answered well with the current instructions."]
    if len(counts) <= 12:
        lines.append("Right answers so far: " + ", ".join(f"{k} ({n})" for k, n in counts.most_common()))
    for row in sorted(report.passed, key=lambda r: draw(*draws, "keep", r.example.id))[:2]:
        lines.append(
            f"Input: {one_line(inputs_text(row.example), 240)}\n"
            f"Answer (right): {one_line(row.cell.text, 160) or _EMPTY}"
        )
    return "\n".join(lines)


def known_text(rows: Sequence[Example], *, draws: Sequence[object], limit: int = KNOWN_CHARS) -> str:
    """Some of ``rows`` with what is expected, about ``limit`` characters at most.

    Who sees inputs with their answers finds rules too, without a call of the target model (Honovich et al.
    2022, Instruction Induction, arXiv 2205.10782).
    """
    texts: list[str] = []
    for example in sorted(rows, key=lambda e: draw(*draws, "known", e.id))[:KNOWN]:
        expected = _expected(example)
        text = f"Input: {shorten(inputs_text(example), _INPUT_CHARS)}\nExpected answer: {expected}"
        limit -= len(text)
        if limit < 0:
            break
        texts.append(text)
    return "\n\n".join(texts)


def inputs_text(example: Example) -> str:
    """The variables of an example as text."""
    if len(example.inputs) == 1:
        return template.as_text(next(iter(example.inputs.values())))
    return "\n".join(f"{name}: {template.as_text(value)}" for name, value in example.inputs.items())


def feedback(cell: Cell, problem: str) -> str:
    """What the scorers said against an answer, or else what kind of failure it is."""
    said = [f.rationale for f in cell.findings if f.value is not None and f.value < GOOD and f.rationale]
    parts = list(dict.fromkeys([*said, problem]))
    if cell.cut:
        parts.append("the answer was cut off at the token limit")
    return "; ".join(shorten(p, 300) for p in parts if p) or "not the expected answer"


def _show(row: Row, number: int) -> str:
    """One failing row, with what is wrong about the answer."""
    said = feedback(row.cell, row.problem)
    reference = row.example.reference
    if reference and normalised(reference) != normalised(template.as_text(row.example.expected)):
        said += f"; production answered: {shorten(reference, _ANSWER_CHARS)}"
    return evidence(
        number,
        shorten(inputs_text(row.example), _INPUT_CHARS),
        shorten(row.cell.text, _ANSWER_CHARS),
        f"Expected answer: {_expected(row.example)}\nFeedback: {said}",
    )


def _expected(example: Example) -> str:
    return shorten(template.as_text(example.expected), _ANSWER_CHARS) or _EMPTY


def evidence(number: int, inputs: str, answer: str, said: str) -> str:
    """One example for a reflection model, in the layout that GEPA made common (arXiv 2507.19457)."""
    parts = ("Inputs", inputs), ("Generated Outputs", answer or _EMPTY), ("Feedback", said)
    return "\n".join([f"### Example {number}", *(f"#### {title}\n{text}" for title, text in parts)])


def _gather_singles(groups: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Confusions and odd values that occur once or twice are shown together."""
    few: dict[str, list[str]] = {}
    for title, rows in groups.items():
        for prefix, name in (
            ('expected "', "another label than the expected one"),
            ("not one of the labels", "an answer that is not one of the labels"),
            ("wrong value of", "wrong values of some fields"),
        ):
            if title.startswith(prefix) and len(rows) <= 2:
                few.setdefault(name, []).append(title)
    for name, titles in few.items():
        if len(titles) > 2:
            groups[name] = [row for title in titles for row in groups.pop(title)]
    return groups


def _notes(passed: Sequence[Row], clusters: Sequence[Cluster]) -> tuple[str, ...]:
    rows = [*passed, *(row for c in clusters for row in c.rows)]
    texts = [row.cell.text.strip() for row in rows]
    if len(texts) < 4:
        return ()
    notes = []
    n = len(texts)
    for test, note in (
        (lambda t: "```" in t, "puts its answer into a code fence"),
        (lambda t: "**" in t, "uses bold markdown"),
        (
            lambda t: bool(re.match(r"(?i)(sure|certainly|of course|here is|here's|okay|ok,)", t)),
            "opens with a polite phrase",
        ),
    ):
        share = sum(map(test, texts)) / n
        if share >= 0.25:
            notes.append(f"In {share:.0%} of its answers the model {note}.")
    unit, counts = counted([*texts, *(template.as_text(r.example.expected) for r in rows)])
    given, expected = sum(counts[:n]) / n, sum(counts[n:]) / n
    if given > 2 * expected + 3:
        notes.append(f"Its answers have {given:.0f} {unit}s on average; {expected:.0f} are expected.")
    starts = Counter(" ".join(t.split()[:3]).lower() for t in texts if len(t.split()) > 3)
    if starts and starts.most_common(1)[0][1] >= 0.3 * n:
        notes.append(f'Many answers begin with "{starts.most_common(1)[0][0]} ...".')
    if sum(row.cell.cut for row in rows) >= 0.15 * n:
        notes.append("Many answers are cut off at the token limit: they must be shorter.")
    return tuple(notes)
