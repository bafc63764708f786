"""Numbers as people read them."""

from __future__ import annotations


def percent(share: float) -> str:
    """``0.9312`` as ``93.1%``."""
    return f"{100 * share:.1f}%"


def points(difference: float, *, sign: bool = True) -> str:
    """A difference of qualities in points of 100: ``-0.012`` as ``-1.2 points``."""
    value = round(100 * difference, 1) + 0.0  # no "-0.0"
    text = f"{value:+.1f}" if sign and value else f"{value:.1f}"
    return f"{text} point{'' if abs(value) == 1 else 's'}"


def span(low: float, high: float) -> str:
    """An interval of differences: ``-1.2 to +3.4 points``."""
    first, second = (round(100 * x, 1) + 0.0 for x in (low, high))
    return f"{first:+.1f} to {second:+.1f} points"


def times(ratio: float) -> str:
    """A ratio: ``0.41x``; small ones keep two digits that count."""
    return f"{ratio:.2f}x" if ratio >= 0.095 or ratio == 0 else f"{ratio:.2g}x"


def plural(count: int, noun: str) -> str:
    """``1 row``, ``1,204 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
