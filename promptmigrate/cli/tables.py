"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def number(value: float | None, form: str = "{:.3f}", *, none: str = "-") -> str:
    """``value`` in ``form``, or ``none``."""
    return none if value is None else form.format(value)


_COSTS = ("$ per\ncall", "p95\nlatency")


def _table(title: str | None, style: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """A table whose ``texts`` give way in a narrow terminal; ``numbers``, and a verdict, are never broken."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=title,
        title_style=style,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    for name in texts:
        table.add_column(name, overflow="fold", no_wrap=name == "verdict")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def verdict_table(summary: Mapping[str, Any]) -> Table:
    """Production, the old prompt on the new model, and the candidate, side by side."""
    from rich.markup import escape

    title = "all models are simulated" if summary.get("simulated") else None
    table = _table(title, "italic yellow", ("", "model"), ("score", "interval", *_COSTS))
    sides = [
        ("production", summary["baseline"]),
        (f"old prompt, new model ({summary.get('before_split', 'validation')} rows)", summary.get("before")),
        ("candidate", summary["candidate"]),
    ]
    for name, side in sides:
        if side is None:
            continue
        interval = side.get("interval")
        table.add_row(
            name,
            escape(side["model"]),
            number(side["score"]),
            "-" if not interval else f"{interval[0]:.3f} to {interval[1]:.3f}",
            number(side["cost_per_call_usd"], "{:.6f}", none="unknown"),
            number(side["p95_latency_s"], "{:.2f} s"),
        )
    rows = [(f"difference (margin {summary['margin']:g})", summary)]
    if corrected := summary.get("corrected"):
        rows.append(("that decided: the judge's mistakes taken out", corrected))
    for name, found in rows:
        low, high = found["interval"] or (None, None)
        sign = "" if low is None else f"{low:+.3f} to {high:+.3f}"
        table.add_row(name, "", number(found["delta"], "{:+.3f}"), sign, "", "")
    return table


def targets_table(summary: Mapping[str, Any]) -> Table:
    """All targets side by side, the chosen one marked.

    The intervals of the difference are those that decided; those of the ratios to production, under cost and
    latency, hold for all targets at once.
    """
    from rich.markup import escape

    table = _table("targets", "bold", ("", "model, verdict"), ("score", "difference", *_COSTS))
    for target in summary["targets"]:
        side, interval = target["candidate"], target["interval"]
        table.add_row(
            "*" if target["chosen"] else "",
            f"{escape(target['model'])}\n{target['verdict']}",
            number(side["score"]),
            number(target["delta"], "{:+.3f}")
            + ("" if not interval else f"\n{interval[0]:+.3f} to {interval[1]:+.3f}"),
            number(side["cost_per_call_usd"], "{:.6f}", none="unknown") + _times(target["cost_ratio"]),
            number(side["p95_latency_s"], "{:.2f} s") + _times(target["p95_latency_ratio"]),
        )
    return table


def _times(ratio: Mapping[str, Any]) -> str:
    """A line of its own for the interval of a ratio to production."""
    return "" if not ratio["interval"] else "\n{:.2f} to {:.2f}x".format(*ratio["interval"])
