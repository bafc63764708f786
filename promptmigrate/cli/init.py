"""``promptmigrate init``: a commented starter configuration."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from promptmigrate.errors import UsageError
from promptmigrate.files import atomic_write


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("promptmigrate.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented starter experiment file."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists; give another path or --force to overwrite it")
    text = files("promptmigrate.cli").joinpath("templates/experiment.yaml").read_text("utf-8")
    atomic_write(path, text.replace("{path}", str(path)))
    typer.echo(f"wrote {path}; edit it, check it with: promptmigrate doctor {path}", err=True)
