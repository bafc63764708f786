"""``promptmigrate config``: the schema of the experiment file, and a check of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptmigrate.cli.console import print_json
from promptmigrate.cli.options import names_lines

app = typer.Typer(no_args_is_help=True, help="The experiment file: its schema, and a check of one.")


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of the experiment file, for editors."""
    from promptmigrate.config import json_schema

    print_json(json_schema())


@app.command("check")
@names_lines
def check(config: Annotated[Path, typer.Argument(help="The experiment file.")]) -> None:
    """Validate an experiment file without reading data or sending anything."""
    from promptmigrate.config import load_config, unknown_params
    from promptmigrate.pipeline.check import checks
    from promptmigrate.pipeline.strategies import asked_models

    found = load_config(config)
    for _, test in checks(found, config.parent):
        test()
    for line in unknown_params(found):
        typer.echo(f"note: {line}", err=True)
    typer.echo(f"{config} is valid: {found.name}, {len(asked_models(found))} models", err=True)
