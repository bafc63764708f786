"""``promptmigrate harvest``: production calls to dataset.parquet, with a profile of what was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptmigrate.cli.console import ConsoleListener, console, print_json
from promptmigrate.cli.options import ConfigPath, Json, names_lines


@names_lines
def harvest(
    config: ConfigPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the dataset.")] = Path(
        "dataset.parquet"
    ),
    as_json: Json = False,
    log: Annotated[bool, typer.Option("--log/--no-log", help="Log the dataset to MLflow.")] = True,
) -> None:
    """Harvest production calls into a dataset and print its profile. No model is asked."""
    from promptmigrate.config import load_config
    from promptmigrate.pipeline.steps import harvest_only

    out = console()
    with ConsoleListener(out) as listener:
        found = harvest_only(
            load_config(config), folder=config.parent, output=output, log=log, listener=listener
        )
    if as_json:
        print_json({**found.profile.to_json(), "dataset": str(output), "digest": found.dataset.digest})
