"""``promptmigrate migrate``: from traces to a promoted prompt, or to the reason why not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptmigrate.cli.console import ConsoleListener, console, print_json
from promptmigrate.cli.options import ConfigPath, Json, Quiet, Record, Replay, Runs, names_lines
from promptmigrate.terminal import visible

if TYPE_CHECKING:
    from promptmigrate.pipeline import Run

EXIT = {"PROMOTE": 0, "REJECT": 100, "INCONCLUSIVE": 101}


@names_lines
def migrate(
    config: ConfigPath,
    runs: Runs = Path("runs"),
    run_dir: Annotated[
        Path | None,
        typer.Option("--run", help="Go on in this run folder, with the call cache beside it."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="Processes that work on the run together.")
    ] = 1,
    join: Annotated[
        bool, typer.Option("--join", help="Help with a run that another host leads (needs 'storage').")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money is spent.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    record: Record = None,
    replay: Replay = None,
    worker: Annotated[str | None, typer.Option("--worker", hidden=True)] = None,
) -> None:
    """Migrate a prompt: harvest, search, gate on held-out rows, register, write the route.

    The same command again goes on where an interrupted one stopped; no answered call is paid twice. Exit
    codes: 0 promoted, 100 rejected, 101 inconclusive, 3 budget exhausted before a verdict, 2 usage, 1 broken
    or an endpoint down for five minutes.
    """
    from promptmigrate.config import load_config
    from promptmigrate.pipeline import Crew, assist
    from promptmigrate.pipeline import migrate as run_migration
    from promptmigrate.pipeline.crew import command

    out = console()
    experiment = load_config(config)
    if worker is not None:
        index, _, size = worker.partition("/")
        if run_dir is None or not (index.isdigit() and size.isdigit()):
            raise typer.BadParameter("--worker is i/n and needs --run")
        with ConsoleListener(out, quiet=quiet) as listener:
            assist(
                experiment,
                folder=config.parent,
                runs=runs,
                run_dir=run_dir,
                crew=Crew(index=int(index), size=int(size)),
                listener=listener,
            )
        raise typer.Exit(0)
    if join:
        _check_alone(workers=workers > 1, run=run_dir, record=record, replay=replay)
        with ConsoleListener(out, quiet=quiet) as listener:
            finished = assist(
                experiment,
                folder=config.parent,
                runs=runs,
                crew=Crew(index=1, size=2, joined=True),
                listener=listener,
            )
        if finished is None:
            out.print("\nThe process that leads this run has its result.")
            if as_json:
                print_json({"verdict": None, "result": "on the host that leads the run"})
            raise typer.Exit(0)
        show(finished)
        if as_json:
            print_json(finished.summary)
        raise typer.Exit(EXIT[finished.verdict])
    ask = sys.stdin.isatty() and sys.stderr.isatty() and not (yes or as_json or replay)
    with ConsoleListener(out, quiet=quiet, ask=ask) as listener:
        run = run_migration(
            experiment,
            folder=config.parent,
            runs=runs,
            run_dir=run_dir,
            crew=Crew(size=workers, command=command(["migrate", str(config), "--runs", str(runs)])),
            listener=listener,
            record_to=record,
            replay_from=replay,
        )
    show(run)
    if as_json:
        print_json(run.summary)
    raise typer.Exit(EXIT[run.verdict])


def _check_alone(**given: object) -> None:
    """Refuse what has no meaning beside ``--join``: the run, its rows and its settings are the leader's."""
    from promptmigrate.errors import UsageError

    for name, value in given.items():
        if value:
            instead = (
                "start --join once more for each further process, each with a folder of its own as --runs"
                if name == "workers"
                else "give it to the process that leads the run"
            )
            raise UsageError(f"--join cannot be used with --{name}: {instead}")


def show(run: Run) -> None:
    """The verdict with its numbers, and where everything is."""
    from promptmigrate.cli.tables import targets_table, verdict_table

    out = console()
    summary = run.summary
    colour = {"PROMOTE": "green", "REJECT": "red", "INCONCLUSIVE": "yellow"}[run.verdict]
    out.print(f"\n[bold {colour}]{run.verdict}[/bold {colour}]")
    for reason in summary["reasons"]:
        out.print(f"  {visible(reason)}", markup=False, soft_wrap=True)
    for warning in summary["warnings"]:
        out.print(f"  note: {visible(warning)}", markup=False, soft_wrap=True)
    out.print(verdict_table(summary))
    if "targets" in summary:
        out.print(targets_table(summary))
        for target in summary["targets"]:
            out.print(f"  {visible(target['switch_if'])}", markup=False, soft_wrap=True)
    spend = summary["spend"]
    calls = ", ".join(f"{count} {purpose}" for purpose, count in spend["calls"].items())
    money = "price unknown" if spend["usd"] is None else f"${spend['usd']:.4f}"
    if spend["usd"] is not None and (unknown := spend["usd_unknown_calls"]):
        money += f" and {unknown} call{'s' if unknown > 1 else ''} of unknown price"
    out.print(f"  spent: {calls} calls ({spend['cached']} answers from the cache), {money}", markup=False)
    if summary.get("break_even"):
        out.print(f"  {summary['break_even']['sentence']}", markup=False, soft_wrap=True)
    versions = summary.get("prompt_versions") or {"": run.prompt_uri}
    for uri in filter(None, versions.values()):
        out.print(f"  prompt:  {uri}", markup=False, soft_wrap=True)
    routes = summary.get("routes") or {"": run.route}
    for route in filter(None, routes.values()):
        out.print(f"  route:   {route}", markup=False, soft_wrap=True)
    out.print(f"  proof:   {summary['bundle']['path']}", markup=False, soft_wrap=True)
    out.print(f"  report:  {run.report}", markup=False, soft_wrap=True)
    out.print(f"  run:     {run.dir}", markup=False, soft_wrap=True)
