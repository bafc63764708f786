"""``promptmigrate traces``: production traces, scored where they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptmigrate.cli.console import console, print_json
from promptmigrate.cli.options import Json, Quiet, Record, Replay, Runs

if TYPE_CHECKING:
    from promptmigrate.traces import Report

app = typer.Typer(no_args_is_help=True, help="Production traces in MLflow.")
BUDGET_EXIT = 3


@app.callback()
def _group() -> None:
    """Keeps ``score`` a subcommand although it is the only one."""


@app.command("score")
def score(
    experiment: Annotated[str, typer.Option("--experiment", help="MLflow experiment with the traces.")],
    scorers: Annotated[
        str,
        typer.Option("--scorers", help="Names separated by commas, or a .yaml file (an experiment will do)."),
    ],
    since: Annotated[
        str, typer.Option("--since", help="Age (24h, 7d) or ISO date of the oldest trace.")
    ] = "24h",
    until: Annotated[str | None, typer.Option("--until", help="Age or ISO date of the newest trace.")] = None,
    filter_string: Annotated[
        str | None, typer.Option("--filter", help="MLflow search_traces filter string.")
    ] = None,
    sample: Annotated[
        float | None, typer.Option("--sample", help="Share of the traces, chosen by the hash of their ids.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="At most so many traces, chosen by the hash of their ids.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", help="provider/model of judges that are given by name.")
    ] = None,
    budget_calls: Annotated[
        int | None, typer.Option("--budget-calls", min=1, help="At most so many requests to judges.")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="MLflow store; default: MLFLOW_TRACKING_URI.")
    ] = None,
    runs: Runs = Path("runs"),
    record: Record = None,
    replay: Replay = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score production traces and write the results back to them as MLflow assessments.

    Run again, it scores only what is new: an assessment tells which scorer, version and options gave it. What
    cannot be scored is not written, but counted. Exit codes: 0 done, 3 the budget ended first.
    """
    from promptmigrate.pipeline.rundir import CACHE
    from promptmigrate.traces import ScoreJob, load_scoring
    from promptmigrate.traces import score as score_traces

    out = console()
    report = score_traces(
        ScoreJob(
            experiment=experiment,
            scoring=load_scoring(scorers, judge=judge),
            tracking_uri=tracking_uri,
            since=since,
            until=until,
            filter_string=filter_string,
            sample=sample,
            limit=limit,
            cache=runs / CACHE,
            budget_calls=budget_calls,
            record=record,
            replay=replay,
        ),
        on_progress=None if quiet else lambda done, total: out.print(f"  {done} of {total} traces"),
    )
    if as_json:
        print_json(report.to_json())
    else:
        show(report)
    if report.stopped:
        out.print(f"  stopped: {report.stopped}; the same command goes on", markup=False, soft_wrap=True)
        raise typer.Exit(BUDGET_EXIT)


def show(report: Report) -> None:
    """The summary by prompt version and model."""
    from rich.markup import escape
    from rich.table import Table

    from promptmigrate.cli.tables import number

    out = console()
    out.print(
        f"{report.traces} traces of {report.experiment}: {report.written} assessments written, "
        f"{report.present} were there; {report.calls} judge calls, {report.cached} answers from the cache, "
        f"{_money(report)}",
        markup=False,
    )
    for reason, count in sorted(report.skipped.items()):
        out.print(f"  {count} traces left out: {reason}", markup=False)
    for reason, count in sorted(report.unscored.items()):
        out.print(f"  {count} unscored, not written: {reason}", markup=False)
    names = list(dict.fromkeys(name for row in report.summary for name in row["scores"]))
    table = Table(show_edge=False, pad_edge=False)
    for column in ("prompt", "model", "traces", *names):
        table.add_column(column, justify="left" if column in ("prompt", "model") else "right")
    for row in report.summary:
        cells = [row["scores"].get(name) for name in names]
        table.add_row(
            escape(row["prompt"] or "-"),
            escape(row["model"] or "-"),
            str(row["traces"]),
            *("-" if cell is None else f"{number(cell['mean'])} ({cell['scored']})" for cell in cells),
        )
    if report.summary:
        out.print(table)


def _money(report: Report) -> str:
    if report.usd is None:
        return "price unknown"
    more = f" and {report.usd_unknown_calls} calls of unknown price" if report.usd_unknown_calls else ""
    return f"${report.usd:.4f}{more}"
