"""What a run tells about itself while it works; the command line shows it, programs may ignore it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptmigrate.evaluate import Progress
    from promptmigrate.pipeline.forecast import Forecast


class Listener:
    """Receives the events of a run; the default ignores them. Called from several threads."""

    def stage(self, title: str) -> None:
        """A new part of the pipeline begins."""

    def note(self, text: str) -> None:
        """One line worth reading."""

    def progress(self, progress: Progress) -> None:
        """An evaluation advanced."""

    def confirm(self, forecast: Forecast) -> bool:
        """Whether to go on at this price; nothing was spent so far."""
        del forecast
        return True
