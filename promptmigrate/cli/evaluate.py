"""``promptmigrate evaluate``: how prompts do on the rows that are not the gate's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptmigrate.cli.console import ConsoleListener, console, print_json
from promptmigrate.cli.options import ConfigPath, Json, Quiet, Record, Replay, Runs, names_lines
from promptmigrate.terminal import visible


@names_lines
def evaluate(
    config: ConfigPath,
    variant: Annotated[
        list[Path] | None, typer.Option("--variant", help="A best.yaml to evaluate too; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most this many rows.")] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
    quiet: Quiet = False,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Evaluate the production prompt on the source and the target model (train and validation rows).

    Test rows stay closed: they belong to the gate. A second run costs nothing: answers come from the cache,
    and only calls that failed are made again. Exit codes: 0 done, 2 something given is wrong, or of a variant
    nothing could be measured, 3 the budget ended first.
    """
    from promptmigrate.cli.tables import number
    from promptmigrate.config import load_config
    from promptmigrate.errors import EndpointError
    from promptmigrate.pipeline.steps import evaluate_only

    out = console()
    with ConsoleListener(out, quiet=quiet) as listener:
        result = evaluate_only(
            load_config(config),
            folder=config.parent,
            runs=runs,
            variant_files=variant or [],
            limit=limit,
            listener=listener,
            record_to=record,
            replay_from=replay,
        )
    from rich.markup import escape
    from rich.table import Table

    title = "all models are simulated" if result["simulated"] else None
    table = Table(title=title, title_style="italic yellow", show_edge=False, pad_edge=False)
    for column in (
        "variant",
        "model",
        "score",
        "rows",
        "missing",
        "$ per call",
        "p50 latency",
        "p95 latency",
    ):
        table.add_column(column, justify="left" if column in ("variant", "model") else "right")
    for row in result["variants"]:
        table.add_row(
            escape(row["name"]),
            escape(row["model"]),
            number(row["score"]),
            str(row["rows"]),
            str(row["missing"]),
            number(row["cost_per_call_usd"], "{:.6f}", none="unknown"),
            number(row["p50_latency_s"], "{:.2f} s"),
            number(row["p95_latency_s"], "{:.2f} s"),
        )
    out.print(table)
    for row in result["variants"]:
        for kind, count in row["errors"].items():
            out.print(f"  {row['name']}: {count} x {kind} (not scored)", markup=False)
        if row["complaint"]:
            said = visible(f"for instance {row['complaint']}")
            out.print(f"  {row['name']}: {said}", markup=False, soft_wrap=True)
    out.print(f"  outcomes: {result['outcomes']}", markup=False, soft_wrap=True)
    if as_json:
        print_json(result)
    for row in result["variants"]:
        if not row["rows"]:
            raise EndpointError(
                f"none of {row['missing']} answers of {row['model']} could be measured: {row['complaint']}"
            )
