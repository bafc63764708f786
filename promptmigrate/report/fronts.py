"""Inline SVG: quality over cost, of what the search found and of several targets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from promptmigrate.report.figures import Axis, axis, bottom, label, log_axis, svg
from promptmigrate.report.parts import RatioFigures, TargetFigures
from promptmigrate.report.shapes import FrontFigures, VariantFigures
from promptmigrate.report.wording import DASH, clean, percent, points, seconds, seconds_span, usd

if TYPE_CHECKING:
    from markupsafe import Markup


def front(found: Sequence[FrontFigures]) -> Markup | None:
    """Quality over cost of what the search found; None where fewer than two variants have both."""
    known = [
        (number, f.cost_per_call_usd, f.quality, f)
        for number, f in enumerate(found, 1)
        if f.quality is not None and f.cost_per_call_usd is not None
    ]
    if len(known) < 2:
        return None
    costs, qualities = [cost for _, cost, _, _ in known], [quality for _, _, quality, _ in known]
    across = _cost_axis(costs, end=95)
    up = axis(qualities, start=250, end=16, least=0.06)
    parts = _grid(up)
    edge = _best(known)
    for (x1, y1), (x2, y2) in pairwise(edge):
        a, b, c, d = across.at(x1), across.at(x2), up.at(y1), up.at(y2)
        parts.append(f'<line class="edge" x1="{a}%" x2="{b}%" y1="{c}" y2="{c}"/>')
        parts.append(f'<line class="edge" x1="{b}%" x2="{b}%" y1="{c}" y2="{d}"/>')
    for number, cost, quality, f in sorted(known, key=lambda point: point[3].chosen):
        x, y = across.at(cost), up.at(quality)
        style = "chosen" if f.chosen else "other"
        parts.append(f'<circle class="point {style}" cx="{x}%" cy="{y}" r="{12 if f.chosen else 10}"/>')
        parts.append(
            f'<text class="number {style}" x="{x}%" y="{y + 4}" text-anchor="middle">{number}</text>'
        )
    parts += bottom(across, 260, usd)
    parts.append(label(54, 298, f"cost per call{' (logarithmic)' if across.log else ''}", "axis-label"))
    words = "; ".join(
        f"{number}: {clean(f.label)}, quality {percent(quality)} at {usd(cost)} per call"
        + (" (chosen)" if f.chosen else "")
        for number, cost, quality, f in known
    )
    return svg("front", "Quality and cost per call of the variants on the front", words + ".", 306, parts)


def targets(
    found: Sequence[TargetFigures], production: VariantFigures, *, margin: float, superiority: bool
) -> Markup | None:
    """Quality over cost of several targets beside production; None where fewer than two have both.

    The thick bars are the intervals of the difference that the verdicts were decided by, set upon
    production's quality; the thin ones, and the latency in brackets, those that hold for all targets at once.
    """
    known = [
        (str(number), t.candidate.cost_per_call_usd, t.candidate.score, t)
        for number, t in enumerate(found, 1)
        if t.candidate.score is not None and t.candidate.cost_per_call_usd is not None
    ]
    if len(known) < 2:
        return None
    base, paid = production.score, production.cost_per_call_usd
    costs = [cost for _, cost, _, _ in known] + ([paid] if paid is not None and base is not None else [])
    line = None if base is None else base - (0.0 if superiority else margin)
    spans = {number: _span(t.interval, base) or t.candidate.interval for number, _, _, t in known}
    joint = {number: _span(t.joint_interval, base) for number, _, _, t in known}
    paying = {number: _scaled(t.cost_ratio, paid) for number, _, _, t in known}
    costs += [x for span in paying.values() if span for x in span]
    levels = [x for x in (base, line) if x is not None] + [score for _, _, score, _ in known]
    levels += [x for span in (*spans.values(), *joint.values()) if span for x in span]
    across = _cost_axis(costs, end=93)
    up = axis(levels, start=250, end=22, least=0.06)
    parts = _grid(up)
    if line is not None:
        y = up.at(line)
        parts.append(f'<rect class="forbidden" x="0" width="100%" y="{y}" height="{max(0.0, 252 - y)}"/>')
        parts.append(f'<line class="limit" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        said = "no better than production" if superiority else f"loss of {points(margin).lstrip('+')}"
        parts.append(f'<text class="limit-label" x="100%" y="{y + 14}" text-anchor="end">{said}</text>')
    words = []
    if base is not None and paid is not None:
        x, y = across.at(paid), up.at(base)
        parts.append(f'<circle class="dot" cx="{x}%" cy="{y}" r="7"/>')
        # Below its dot only where a target stands in the way above it.
        taken = any(abs(across.at(cost) - x) < 25 and score >= base for _, cost, score, _ in known)
        said = f"production, {seconds(production.p95_latency_s)}"
        parts.append(label(x, y + 21 if taken else y - 13, said, "tick"))
        words.append(f"production: quality {percent(base)} at {usd(paid)} per call")
    for number, cost, score, target in sorted(known, key=lambda point: point[3].chosen):
        x, y = across.at(cost), up.at(score)
        style = {"PROMOTE": "good", "REJECT": "bad", "INCONCLUSIVE": "open"}[target.verdict]
        upright = [("cap", joint[number], up, "y"), ("bar", spans[number], up, "y")]
        for kind, span, axis_, way in [("cap", paying[number], across, "x"), *upright]:
            parts += _reach(f"{kind} {style}", span, axis_, x, y, way=way)
        chosen = "chosen" if target.chosen else "other"
        parts.append(f'<circle class="point {chosen}" cx="{x}%" cy="{y}" r="{12 if target.chosen else 10}"/>')
        parts.append(
            f'<text class="number {chosen}" x="{x}%" y="{y + 4}" text-anchor="middle">{number}</text>'
        )
        slow = [] if (p95 := target.candidate.p95_latency_s) is None else [seconds(p95)]
        if slow and (limits := _scaled(target.p95_latency_ratio, production.p95_latency_s)):
            slow.append(f"({seconds_span(limits)})")
        side = f'dx="{-14 if x > 65 else 14}" text-anchor="{"end" if x > 65 else "start"}"'
        for line_, said in enumerate(reversed(slow)):
            parts.append(
                f'<text class="tick" x="{x}%" y="{round(y - 5 - 14 * line_, 2)}" {side}>{said}</text>'
            )
        quality, price = spans[number], paying[number]
        words.append(
            f"{number}: {clean(target.model)}, quality {percent(score)}"
            + (f", {percent(quality[0])} to {percent(quality[1])}" if quality else "")
            + f" at {usd(cost)} per call"
            + (f" ({usd(price[0])} to {usd(price[1])})" if price else "")
            + f", 95th percentile latency {' '.join(slow) or DASH}"
            + (" (chosen)" if target.chosen else "")
        )
    parts += bottom(across, 260, usd)
    parts.append(label(54, 298, f"cost per call{' (logarithmic)' if across.log else ''}", "axis-label"))
    title = "Quality, cost per call and latency of the targets"
    return svg("targets", title, "; ".join(words) + ".", 306, parts)


def _cost_axis(costs: Sequence[float], *, end: float) -> Axis:
    """Logarithmic where the dearest costs more than four times the cheapest."""
    if min(costs) > 0 and max(costs) / min(costs) > 4:
        return log_axis(costs, start=9, end=end)
    return axis(costs, start=9, end=end, least=max(costs) * 0.2 or 1e-6, ticks=4)


def _reach(
    style: str, span: tuple[float, float] | None, scale: Axis, x: float, y: float, *, way: str
) -> list[str]:
    """The bar of an interval through the point at (``x`` %, ``y``), along one of the two."""
    if span is None:
        return []
    low, high = map(scale.at, span)
    ends = (f'x1="{low}%" x2="{high}%" y1="{y}" y2="{y}"' if way == "x"
            else f'x1="{x}%" x2="{x}%" y1="{low}" y2="{high}"')  # fmt: skip
    return [f'<line class="{style}" {ends}/>']


def _span(difference: tuple[float, float] | None, base: float | None) -> tuple[float, float] | None:
    """Where a quality lies, by the interval of its difference from production's."""
    if difference is None or base is None:
        return None
    low, high = difference
    return min(max(base + low, 0.0), 1.0), min(max(base + high, 0.0), 1.0)


def _scaled(ratio: RatioFigures, base: float | None) -> tuple[float, float] | None:
    """Where a cost or latency lies, by the interval of its ratio to production's."""
    if ratio.interval is None or base is None:
        return None
    return ratio.interval[0] * base, ratio.interval[1] * base


def _grid(up: Axis) -> list[str]:
    """Lines of quality."""
    parts = []
    top = max((tick for tick in up.ticks if tick <= 1), default=None)
    for tick in up.ticks:
        if 0 <= tick <= 1:
            y = up.at(tick)
            unit = " quality" if tick == top else ""
            parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
            parts.append(f'<text class="tick" x="0" y="{y - 4}">{100 * tick:g}%{unit}</text>')
    return parts


def _best(known: Sequence[tuple[int, float, float, FrontFigures]]) -> list[tuple[float, float]]:
    """Corners of the front: each dearer variant that is better than all cheaper ones."""
    corners: list[tuple[float, float]] = []
    for _, cost, quality, _ in sorted(known, key=lambda point: (point[1], -point[2])):
        if not corners or quality > corners[-1][1]:
            corners.append((cost, quality))
    return corners
