"""``promptmigrate migrate``: from traces to a promoted prompt, or to the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from promptmigrate.cli.console import ConsoleListener, console, print_json
from promptmigrate.cli.options import ConfigPath, Json, Quiet, Record, Replay, Runs

if TYPE_CHECKING:
    from promptmigrate.pipeline import Run

EXIT = {"PROMOTE": 0, "REJECT": 100, "INCONCLUSIVE": 101}


def migrate(
    config: ConfigPath,
    runs: Runs = Path("runs"),
    as_json: Json = False,
    quiet: Quiet = False,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Migrate a prompt: harvest, search, gate on held-out rows, register, write the route.

    The same command again goes on where an interrupted one stopped; no answered call is paid twice. Exit
    codes: 0 promoted, 100 rejected, 101 inconclusive, 3 budget exhausted before a verdict, 2 usage, 1 broken.
    """
    from promptmigrate.config import load_config
    from promptmigrate.pipeline import migrate as run_migration

    out = console()
    with ConsoleListener(out, quiet=quiet) as listener:
        run = run_migration(
            load_config(config),
            folder=config.parent,
            runs=runs,
            listener=listener,
            record_to=record,
            replay_from=replay,
        )
    show(run)
    if as_json:
        print_json(run.summary)
    raise typer.Exit(EXIT[run.verdict])


def show(run: Run) -> None:
    """The verdict with its numbers, and where everything is."""
    from promptmigrate.cli.tables import verdict_table

    out = console()
    summary = run.summary
    colour = {"PROMOTE": "green", "REJECT": "red", "INCONCLUSIVE": "yellow"}[run.verdict]
    out.print(f"\n[bold {colour}]{run.verdict}[/bold {colour}]")
    for reason in summary["reasons"]:
        out.print(f"  {reason}", markup=False, soft_wrap=True)
    for warning in summary["warnings"]:
        out.print(f"  note: {warning}", markup=False, soft_wrap=True)
    out.print(verdict_table(summary))
    spend = summary["spend"]
    calls = ", ".join(f"{count} {purpose}" for purpose, count in spend["calls"].items())
    money = "price unknown" if spend["usd"] is None else f"${spend['usd']:.4f}"
    out.print(f"  spent: {calls} calls ({spend['cached']} answers from the cache), {money}", markup=False)
    if run.prompt_uri:
        out.print(f"  prompt:  {run.prompt_uri}", markup=False, soft_wrap=True)
    if run.route:
        out.print(f"  route:   {run.route}", markup=False, soft_wrap=True)
    out.print(f"  report:  {run.report}", markup=False, soft_wrap=True)
    out.print(f"  run:     {run.dir}", markup=False, soft_wrap=True)
