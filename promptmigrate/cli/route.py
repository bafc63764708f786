"""``promptmigrate route``: look at a route file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptmigrate.cli.console import console, print_json
from promptmigrate.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Route files: what the gateway serves.")


@app.callback()
def _group() -> None:
    """Keeps ``show`` a subcommand although it is the only one."""


@app.command("show")
def show(
    path: Annotated[Path, typer.Argument(help="A route file.")],
    as_json: Json = False,
) -> None:
    """Validate a route file and show its variants, traffic, stages and evidence."""
    from promptmigrate.gateway.route import load_route

    route = load_route(path)
    if as_json:
        print_json(route.model_dump(mode="json", by_alias=True, exclude_none=True))
        return
    from rich.markup import escape
    from rich.table import Table

    out = console()
    out.print(f"{route.route}  revision {route.revision}  {route.state}", markup=False)
    table = Table(show_edge=False, pad_edge=False)
    for column in ("variant", "model", "prompt", "traffic"):
        table.add_column(column, justify="right" if column == "traffic" else "left")
    for name, variant in route.variants.items():
        role = " (control)" if name == route.control else ""
        table.add_row(
            escape(name) + role,
            escape(variant.model),
            escape(variant.prompt.uri or variant.prompt.digest[:19]),
            f"{route.traffic.get(name, 0) / 100:g} %",
        )
    out.print(table)
    if route.rollout:
        stages = ", ".join(f"{stage.share / 100:g} %" for stage in route.rollout.stages)
        out.print(f"stages: {stages}", markup=False)
    if route.evidence:
        facts = route.evidence.model_dump(mode="json", exclude_none=True)
        out.print("evidence: " + ", ".join(f"{key} {value}" for key, value in facts.items()), markup=False)
