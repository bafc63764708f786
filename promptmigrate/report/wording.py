"""How values are written on the page."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

DASH = "–"
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """``text`` without what HTML cannot hold: control characters and lone surrogates become U+FFFD."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def text(value: Any) -> str:
    """A value of a row: texts as they are, anything else as readable JSON."""
    if isinstance(value, str):
        return clean(value)
    return clean(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def percent(value: float | None) -> str:
    """``0.9312`` as ``93.1%``."""
    return DASH if value is None else f"{100 * value:.1f}%"


def score(value: float) -> str:
    """One row's score, without decimals that say nothing: ``100%``, ``66.7%``."""
    return f"{round(100 * value, 1):g}%"


def points(value: float | None) -> str:
    """A difference of scores: ``+1.2 points``."""
    if value is None:
        return DASH
    rounded = round(100 * value, 1) + 0.0
    sign = "−" if rounded < 0 else "+" if rounded > 0 else ""
    return f"{sign}{abs(rounded):.1f} point{'' if abs(rounded) == 1 else 's'}"


def span(limits: tuple[float, float]) -> str:
    """An interval of differences: ``−1.2 to +3.4``, in points."""
    return " to ".join(points(limit).split()[0] for limit in limits)


def usd(value: float | None) -> str:
    """Money: cents where it is dollars, three digits that count where it is fractions of a cent."""
    if value is None:
        return "price unknown"
    if value == 0:
        return "$0"
    if abs(value) >= 1:
        return f"${value:,.2f}"
    digits = f"{value:.3g}"
    return f"${float(digits):.10f}".rstrip("0").rstrip(".") if abs(value) >= 1e-9 else f"${digits}"


def seconds(value: float | None) -> str:
    """A latency."""
    if value is None:
        return DASH
    return f"{1000 * value:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def seconds_span(limits: tuple[float, float]) -> str:
    """An interval of latencies, in the unit of its upper end: ``343 to 756 ms``."""
    low, high = limits
    return f"{1000 * low:.0f} to {1000 * high:.0f} ms" if high < 0.9995 else f"{low:.2f} to {high:.2f} s"


def duration(value: float | None) -> str:
    """How long a run took."""
    if value is None:
        return DASH
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def times(value: float | None) -> str:
    """A ratio."""
    if value is None:
        return DASH
    return f"{value:.2f}×" if value >= 0.095 or value == 0 else f"{value:.2g}×"


def count(value: int | None) -> str:
    """``1204`` as ``1,204``."""
    return DASH if value is None else f"{value:,}"


def when(value: str | None) -> str:
    """An ISO 8601 time without its fractions; as it is where it is not one."""
    if not value:
        return DASH
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return clean(value)
    zone = moment.strftime(" %z").rstrip().replace(" +0000", " UTC")
    return f"{moment:%Y-%m-%d %H:%M:%S}{zone}"
