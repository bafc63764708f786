"""Inline SVG: the interval of the difference, the quality of each variant, the quality/cost front.

Horizontal positions are percentages and there is no viewBox, so a figure fills whatever width it has while
its text keeps its size, on a phone as on a desk. Colours come from the page's style sheet. Every figure has a
title and a description that say the same in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from promptmigrate.report.data import FrontFigures
from promptmigrate.report.wording import clean, percent, points, usd

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Maps values to percentages of the width (or pixels of the height), with round ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Position of ``value``, kept on the axis."""
        low, high, x = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, x = math.log(low), math.log(high), math.log(x)
        share = (x - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 2)


def axis(
    values: Sequence[float], *, start: float, end: float, least: float, pad: float = 0.08, ticks: int = 5
) -> Axis:
    """A linear axis around ``values``, at least ``least`` wide."""
    low, high = min(values), max(values)
    room = max(high - low, least) * pad + max(0.0, least - (high - low)) / 2
    low, high = low - room, high + room
    step = _step((high - low) / ticks)
    first = math.ceil(low / step - 1e-9)
    marks = tuple(round(step * k, 12) for k in range(first, math.floor(high / step + 1e-9) + 1))
    return Axis(low=low, high=high, start=start, end=end, ticks=marks)


def log_axis(values: Sequence[float], *, start: float, end: float) -> Axis:
    """A logarithmic axis around positive ``values`` with ticks at 1, 2 and 5."""
    low, high = min(values) / 1.35, max(values) * 1.35
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    many = math.log10(high / low) > 2.2
    marks = [m * 10.0**k for k in powers for m in ((1,) if many else (1, 2, 5))]
    return Axis(
        low=low, high=high, start=start, end=end, ticks=tuple(m for m in marks if low <= m <= high), log=True
    )


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next((power * factor for factor in (1, 2, 5) if power * factor >= rough), 10 * power)


def difference(
    delta: float, interval: tuple[float, float], *, margin: float, superiority: bool, confidence: float
) -> Markup:
    """The quality difference with its interval against the line that it has to stay above."""
    line = 0.0 if superiority else -margin
    low, high = interval
    across = axis([low, high, delta, line, 0.0], start=4, end=96, least=0.04)
    status = "good" if low > line else "bad" if high < line else "open"
    limit = "no change" if superiority else f"tolerated loss {points(margin).lstrip('+')}"
    words = (
        f"Difference in quality, candidate minus production: {points(delta)}, "
        f"{100 * confidence:g}% interval {points(low)} to {points(high)}. "
        f"It has to lie above {points(line)} ({limit})."
    )
    y, foot = 62, 96
    edge, zero = across.at(line), across.at(0.0)
    parts = [
        f'<rect class="forbidden" x="0" y="26" width="{edge}%" height="{foot - 26}"/>',
        f'<line class="limit" x1="{edge}%" x2="{edge}%" y1="26" y2="{foot}"/>',
        _label(edge, 16, limit, "limit-label"),
    ]
    if not superiority and margin > 0:
        parts.append(f'<line class="zero" x1="{zero}%" x2="{zero}%" y1="26" y2="{foot}"/>')
    parts += [
        f'<line class="bar {status}" x1="{across.at(low)}%" x2="{across.at(high)}%" y1="{y}" y2="{y}"/>',
        *(
            f'<line class="cap {status}" x1="{x}%" x2="{x}%" y1="{y - 8}" y2="{y + 8}"/>'
            for x in map(across.at, interval)
        ),
        f'<circle class="dot {status}" cx="{across.at(delta)}%" cy="{y}" r="7"/>',
        _label(across.at(delta), y - 16, points(delta), "value"),
        *_bottom(across, foot, points_tick),
        _label(50, foot + 38, "percentage points of quality, candidate minus production", "axis-label"),
    ]
    return _svg("difference", "Difference in quality", words, 140, parts)


def points_tick(value: float) -> str:
    """A tick of the difference axis: ``+2`` or ``−0.5``."""
    number = round(100 * value, 3) + 0.0
    return f"{'−' if number < 0 else '+' if number > 0 else ''}{abs(number):g}"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A quality with its interval, for one row of a figure."""

    label: str
    score: float
    interval: tuple[float, float] | None
    style: str


def scores(estimates: Sequence[Estimate], *, title: str) -> Markup:
    """Qualities under each other on one axis."""
    known = [x for e in estimates for x in (e.score, *(e.interval or ()))]
    across = axis(known, start=3, end=95, least=0.05)
    across = Axis(
        low=max(across.low, -0.03),
        high=min(across.high, 1.03),
        start=3,
        end=95,
        ticks=tuple(tick for tick in across.ticks if 0 <= tick <= 1),
    )
    parts, step = [], 54
    foot = 8 + step * len(estimates)
    parts += [
        f'<line class="grid" x1="{across.at(t)}%" x2="{across.at(t)}%" y1="6" y2="{foot}"/>'
        for t in across.ticks
    ]
    words = []
    for index, estimate in enumerate(estimates):
        y = 40 + step * index
        spread = ""
        if estimate.interval:
            low, high = estimate.interval
            spread = f" ({percent(low)} to {percent(high)})"
            parts.append(
                f'<line class="bar {estimate.style}" x1="{across.at(low)}%" x2="{across.at(high)}%" '
                f'y1="{y}" y2="{y}"/>'
            )
        parts.append(
            f'<circle class="dot {estimate.style}" cx="{across.at(estimate.score)}%" cy="{y}" r="6"/>'
        )
        text = f"{estimate.label} {percent(estimate.score)}"
        parts.append(_label(across.at(estimate.score), y - 14, text, "value"))
        words.append(text + spread)
    parts += _bottom(across, foot, lambda value: f"{100 * value:g}%")
    return _svg("scores", title, "; ".join(words) + ".", foot + 30, parts)


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
    use_log = min(costs) > 0 and max(costs) / min(costs) > 4
    across = (
        log_axis(costs, start=9, end=95)
        if use_log
        else axis(costs, start=9, end=95, least=max(costs) * 0.2 or 1e-6, ticks=4)
    )
    up = axis(qualities, start=250, end=16, least=0.06)
    parts = []
    top = max((tick for tick in up.ticks if tick <= 1), default=None)
    for tick in up.ticks:
        if 0 <= tick <= 1:
            y = up.at(tick)
            unit = " quality" if tick == top else ""
            parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
            parts.append(f'<text class="tick" x="0" y="{y - 4}">{100 * tick:g}%{unit}</text>')
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
    parts += _bottom(across, 260, usd)
    parts.append(_label(54, 298, f"cost per call{' (logarithmic)' if use_log else ''}", "axis-label"))
    words = "; ".join(
        f"{number}: {clean(f.label)}, quality {percent(quality)} at {usd(cost)} per call"
        + (" (chosen)" if f.chosen else "")
        for number, cost, quality, f in known
    )
    return _svg("front", "Quality and cost per call of the variants on the front", words + ".", 306, parts)


def _best(known: Sequence[tuple[int, float, float, FrontFigures]]) -> list[tuple[float, float]]:
    """Corners of the front: each dearer variant that is better than all cheaper ones."""
    corners: list[tuple[float, float]] = []
    for _, cost, quality, _ in sorted(known, key=lambda point: (point[1], -point[2])):
        if not corners or quality > corners[-1][1]:
            corners.append((cost, quality))
    return corners


def _bottom(across: Axis, y: float, label: object) -> list[str]:
    write = label if callable(label) else str
    parts = [f'<line class="axis" x1="{across.start}%" x2="{across.end}%" y1="{y}" y2="{y}"/>']
    for tick in across.ticks:
        x = across.at(tick)
        parts.append(f'<line class="axis" x1="{x}%" x2="{x}%" y1="{y}" y2="{y + 4}"/>')
        parts.append(f'<text class="tick" x="{x}%" y="{y + 19}" text-anchor="middle">{write(tick)}</text>')
    return parts


def _label(x: float, y: float, text: str, style: str) -> str:
    """A text at ``x`` percent, anchored so that it stays inside the figure."""
    from markupsafe import escape

    anchor = "start" if x < 25 else "end" if x > 75 else "middle"
    return f'<text class="{style}" x="{x}%" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(name: str, title: str, description: str, height: int, parts: Sequence[str]) -> Markup:
    from markupsafe import Markup, escape

    return Markup(  # noqa: S704 - every text inside went through escape, numbers were formatted here
        f'<svg class="figure {name}" role="img" width="100%" height="{height}" '
        f'aria-labelledby="{name}-title {name}-words">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-words">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
