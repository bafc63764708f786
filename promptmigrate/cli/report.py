"""``promptmigrate report``: build the page of a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(run_dir: Annotated[Path, typer.Argument(help="A run folder: runs/<name>/<id>.")]) -> None:
    """Write report.html of a run folder (without any call) and print its path."""
    from promptmigrate.report import write

    typer.echo(write(run_dir))
