"""From the data of a run to the text of ``report.html``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promptmigrate.report import diff, examples, figures, fronts, sections, wording
from promptmigrate.report.shapes import (
    GuardrailFigures,
    Prompts,
    RunData,
    VariantFigures,
    VerdictFile,
)

_TEMPLATES = Path(__file__).parent / "templates"
_CONTEXT_LINES = 3
_HEADLINES = {
    "PROMOTE": "Safe to ship",
    "REJECT": "Do not ship this",
    "INCONCLUSIVE": "Not proven yet",
}
_STYLES = {"PROMOTE": "good", "REJECT": "bad", "INCONCLUSIVE": "open"}
_MARKS = {"PROMOTE": "✓", "REJECT": "✕", "INCONCLUSIVE": "?"}
_GUARDRAILS = {"cost_ratio": "Cost per call", "p95_latency_ratio": "95th percentile latency"}
_P_VALUES = {
    "not_worse_than_margin": "p, worse by the margin or more",
    "better": "p, not better at all",
    "mcnemar": "p, exact McNemar (two-sided)",
}


def render(data: RunData) -> str:
    """The page as one HTML text, all content escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "clean",
        "percent",
        "points",
        "span",
        "usd",
        "seconds",
        "duration",
        "times",
        "count",
        "when",
    ):
        environment.filters[name] = getattr(wording, name)
    return environment.get_template("report.html.j2").render(**_context(data))


def _context(data: RunData) -> dict[str, Any]:
    v = data.verdict
    return {
        "v": v,
        "headline": _HEADLINES[v.verdict],
        "style": _STYLES[v.verdict],
        "mark": _MARKS[v.verdict],
        "confidence": f"{100 * v.confidence:g}%",
        "joint_confidence": v.joint and f"{round(100 * v.joint.confidence, 2):g}%",
        "quality_name": wording.clean(v.primary)
        if v.primary and v.primary != "quality"
        else "the mean of all scorers",
        "variants": _variants(v),
        "facts": _facts(v),
        "difference": _difference(v),
        "scores": _scores(v),
        "guardrails": [_guardrail(g) for g in v.guardrails],
        "front": fronts.front(v.search.front) if v.search else None,
        "target_front": fronts.targets(v.targets, v.baseline, margin=v.margin, superiority=v.superiority),
        "outcomes": sections.OUTCOMES,
        "slices": [sections.slice_row(s) for s in sorted(v.slices, key=lambda s: sections.ALARM[s.status])],
        "alarm": "bad" if any(s.status == "worse" for s in v.slices) else "open",
        "breaking": [s for s in v.slices if s.status in ("worse", "suspect")],
        "trials": sections.trials(v),
        "judged": [sections.rail(g) for g in v.guardrail_scores],
        "clusters": v.broken_clusters,
        "purposes": sections.purposes(v),
        "earned": v.break_even if isinstance(v.break_even, str) else v.break_even and v.break_even.sentence,
        "removed": [(r, None) if isinstance(r, str) else (r.text, r.reason) for r in v.search.removed]
        if v.search
        else [],
        "changes": _folded(v.prompts),
        "candidate_prompt": _turns(v.prompts),
        "examples": examples.choose(data.test_rows),
        "scorers": [
            (
                s.name,
                s.baseline,
                s.candidate,
                None if s.baseline is None or s.candidate is None else s.candidate - s.baseline,
            )
            for s in v.scorers
        ],
        "p_values": [
            (_P_VALUES.get(name, wording.clean(name)), value)
            for name, value in v.p_values.items()
            if value is not None
        ],
        "sent": v.spend.calls.task + v.spend.calls.judge + v.spend.calls.reflection,
    }


def _variants(v: VerdictFile) -> list[dict[str, Any]]:
    """Rows of the before/after table."""
    split = wording.clean(v.before_split) if v.before_split else None
    rows: list[tuple[str, str, VariantFigures, str | None]] = [("Production today", "", v.baseline, None)]
    if v.before is not None:
        on = f"measured on the {split} rows" if split and split != "test" else None
        rows.append(("Old prompt, new model", "muted", v.before, on))
    rows.append(
        ("New prompt, new model" if v.before is not None else "Candidate", "after", v.candidate, None)
    )
    return [
        {
            "label": label,
            "class": style,
            "figures": figure,
            "note": note,
            "digest": _short(figure.prompt_digest),
            "cost_ratio": v.cost_ratio.value if figure is v.candidate else None,
            "latency_ratio": v.p95_latency_ratio.value if figure is v.candidate else None,
        }
        for label, style, figure, note in rows
    ]


def _scores(v: VerdictFile) -> Any:
    """The figure of all variants' qualities, where there is more than one to compare."""
    rows: list[tuple[str, VariantFigures | None, str]] = [
        ("Production today", v.baseline, "production"),
        ("Old prompt, new model", v.before, "before"),
        ("New prompt, new model" if v.before is not None else "Candidate", v.candidate, "candidate"),
    ]
    known = [
        figures.Estimate(label=label, score=figure.score, interval=figure.interval, style=style)
        for label, figure, style in rows
        if figure is not None and figure.score is not None
    ]
    title = f"Quality of each variant with its {100 * v.confidence:g}% interval"
    return figures.scores(known, title=title) if len(known) > 1 else None


def _difference(v: VerdictFile) -> Any:
    """The figure of the difference that decided."""
    found = v.corrected or v
    if found.delta is None or found.interval is None:
        return None
    return figures.difference(
        found.delta, found.interval, margin=v.margin, superiority=v.superiority, confidence=v.confidence
    )


def _facts(v: VerdictFile) -> list[dict[str, str]]:
    """The numbers that most readers come for."""
    decided = v.corrected or v
    interval = wording.span(decided.interval) if decided.interval else ""
    note = f"{100 * v.confidence:g}% interval {interval}" if interval else "not measured"
    sides = (v.baseline, v.candidate)
    facts = [
        {
            "label": "Quality change",
            "value": wording.points(decided.delta),
            "note": f"{note}, the judge's mistakes taken out" if v.corrected else note,
        },
        {
            "label": "Cost per call",
            "value": _change(v.cost_ratio.value),
            "note": " → ".join(wording.usd(side.cost_per_call_usd) for side in sides),
        },
        {
            "label": "95th percentile latency",
            "value": _change(v.p95_latency_ratio.value),
            "note": " → ".join(wording.seconds(side.p95_latency_s) for side in sides),
        },
    ]
    if v.fixed is not None and v.broken is not None:
        used = v.rows.used if v.rows.used is not None else v.rows.test
        facts.append(
            {
                "label": "Rows fixed / broken",
                "value": f"{v.fixed:,} / {v.broken:,}",
                "note": f"of {used:,} test rows compared",
            }
        )
    return facts


def _change(ratio: float | None) -> str:
    """A ratio as a change in percent, or as a factor where that reads better."""
    if ratio is None:
        return wording.DASH
    if ratio >= 2:
        return wording.times(ratio)
    change = round(100 * (ratio - 1))
    return f"{'−' if change < 0 else '+' if change > 0 else '±'}{abs(change)}%"


def _guardrail(g: GuardrailFigures) -> dict[str, Any]:
    mark, word, style = sections.STATUSES[g.status]
    return {
        "name": _GUARDRAILS.get(g.name, wording.clean(g.name)),
        "g": g,
        "mark": mark,
        "word": word,
        "style": style,
    }


def _short(digest: str | None) -> str | None:
    if not digest:
        return None
    return wording.clean(digest).removeprefix("sha256:")[:12]


def _turns(prompts: Prompts) -> list[tuple[str, str]]:
    if isinstance(prompts.candidate, str):
        return [("text", wording.clean(prompts.candidate))]
    return [(wording.clean(turn.role), wording.clean(turn.content)) for turn in prompts.candidate]


def _folded(prompts: Prompts) -> list[dict[str, Any]]:
    """The diff with long unchanged stretches folded away."""
    chat = not (isinstance(prompts.original, str) and isinstance(prompts.candidate, str))
    return [
        {
            "role": block.role if chat else None,
            "kind": block.kind,
            "parts": _fold(block.lines),
            "size": len(block.lines),
        }
        for block in diff.compare(prompts.original, prompts.candidate)
    ]


def _fold(lines: tuple[diff.Line, ...]) -> list[tuple[str, list[diff.Line]]]:
    """("lines" | "folded", lines) in order; unchanged lines away from any change are folded."""
    near = [False] * len(lines)
    for index, line in enumerate(lines):
        if line.kind != "same":
            for k in range(max(0, index - _CONTEXT_LINES), min(len(lines), index + _CONTEXT_LINES + 1)):
                near[k] = True
    parts: list[tuple[str, list[diff.Line]]] = []
    for line, shown in zip(lines, near, strict=True):
        kind = "lines" if shown else "folded"
        if parts and parts[-1][0] == kind:
            parts[-1][1].append(line)
        else:
            parts.append((kind, [line]))
    return [("lines" if len(part) <= 2 else kind, part) for kind, part in parts]
