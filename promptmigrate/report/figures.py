"""Inline SVG: the interval of the difference and the quality of each variant, and what figures share.

Horizontal positions are percentages and there is no viewBox, so a figure fills whatever width it has while
its text keeps its size, on a phone as on a desk. Colours come from the page's style sheet. Every figure has a
title and a description that say the same in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from promptmigrate.report.wording import percent, points

if TYPE_CHECKING:
    from markupsafe import Markup


_LEAST_GAP = 0.2
"""Of the axis, between two ticks: closer ones would run into each other on a phone."""


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
    """A logarithmic axis around positive ``values`` with ticks at 1, 2 and 5, or fewer."""
    low, high = min(values) / 1.35, max(values) * 1.35
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: tuple[float, ...] = ()
    for steps in ((1, 2, 5), (1, 5), (1,)):
        marks = [step * 10.0**k for k in powers for step in steps]
        ticks = tuple(mark for mark in marks if low <= mark <= high)
        gaps = [math.log(after / before) / math.log(high / low) for before, after in pairwise(ticks)]
        if min(gaps, default=1.0) >= _LEAST_GAP:
            break
    return Axis(low=low, high=high, start=start, end=end, ticks=ticks, log=True)


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
        label(edge, 16, limit, "limit-label"),
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
        label(across.at(delta), y - 16, points(delta), "value"),
        *bottom(across, foot, points_tick),
        label(50, foot + 38, "points of quality, candidate − production", "axis-label"),
    ]
    return svg("difference", "Difference in quality", words, 140, parts)


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
        parts.append(label(across.at(estimate.score), y - 14, text, "value"))
        words.append(text + spread)
    parts += bottom(across, foot, lambda value: f"{100 * value:g}%")
    return svg("scores", title, "; ".join(words) + ".", foot + 30, parts)


def bottom(across: Axis, y: float, written: Callable[[float], str]) -> list[str]:
    """The horizontal axis at ``y`` with its ticks, each ``written``."""
    parts = [f'<line class="axis" x1="{across.start}%" x2="{across.end}%" y1="{y}" y2="{y}"/>']
    for tick in across.ticks:
        x = across.at(tick)
        parts.append(f'<line class="axis" x1="{x}%" x2="{x}%" y1="{y}" y2="{y + 4}"/>')
        parts.append(f'<text class="tick" x="{x}%" y="{y + 19}" text-anchor="middle">{written(tick)}</text>')
    return parts


def label(x: float, y: float, text: str, style: str) -> str:
    """A text at ``x`` percent, anchored so that it stays inside the figure."""
    from markupsafe import escape

    anchor = "start" if x < 25 else "end" if x > 75 else "middle"
    return f'<text class="{style}" x="{x}%" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def svg(name: str, title: str, description: str, height: int, parts: Sequence[str]) -> Markup:
    """An ``<svg>`` of ``parts`` with its title and the same in words."""
    from markupsafe import Markup, escape

    return Markup(  # noqa: S704 - every text inside went through escape, numbers were formatted here
        f'<svg class="figure {name}" role="img" width="100%" height="{height}" '
        f'aria-labelledby="{name}-title {name}-words">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-words">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
