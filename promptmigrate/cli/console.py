"""How the command line shows a run: progress and tables on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from promptmigrate.pipeline.events import Listener
from promptmigrate.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from promptmigrate.evaluate import Progress
    from promptmigrate.pipeline.forecast import Forecast


def console() -> Console:
    """A console on stderr, so that stdout holds results only."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 120)


def print_json(value: Any) -> None:
    """One JSON object on stdout; half a surrogate pair, which a model may write, as its escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


class ConsoleListener(Listener):
    """Shows stages as headings, notes as lines and evaluations as a progress bar."""

    def __init__(self, out: Console, *, quiet: bool = False, ask: bool = False) -> None:
        self._out = out
        self._quiet = quiet
        self._ask = ask
        self._bar: Bar | None = None
        self._task: Any = None
        self._phase: str | None = None

    def stage(self, title: str) -> None:
        """Print a heading."""
        self._end_bar()
        if not self._quiet:
            from rich.markup import escape

            self._out.print(f"\n[bold]{escape(title)}[/bold]")

    def note(self, text: str) -> None:
        """Print a line."""
        self._end_bar()
        if not self._quiet:
            self._out.print(f"  {visible(text)}", markup=False, soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """Show or advance the bar of a phase: done of total, errors, money spent, time left."""
        if self._quiet or not self._out.is_terminal:
            return
        if self._bar is None or self._phase != progress.phase:
            self._end_bar()
            self._start_bar(progress)
        assert self._bar is not None
        self._bar.update(
            self._task,
            completed=progress.done,
            money=f"${progress.usd:.4f}",
            errors=f"{progress.errors} errors" if progress.errors else "",
        )
        if progress.done >= progress.total:
            self._end_bar()

    def confirm(self, forecast: Forecast) -> bool:
        """Ask, where somebody is there to answer."""
        if not self._ask:
            return True
        import typer

        self._end_bar()
        if self._quiet:
            self._out.print(f"  {forecast.line()}", markup=False, soft_wrap=True)
        try:
            return typer.confirm("  Go on?", default=False, err=True)
        except typer.Abort:  # Ctrl-C, or Ctrl-D: the answer of somebody who does not want to
            self._out.print()
            return False

    def _start_bar(self, progress: Progress) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[money]}"),
            TimeRemainingColumn(),
            TextColumn("[red]{task.fields[errors]}"),
            console=self._out,
            transient=True,
        )
        self._bar.start()
        self._phase = progress.phase
        self._task = self._bar.add_task(
            progress.phase or "evaluating", total=progress.total, money="", errors=""
        )

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> ConsoleListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()
