"""The typer application and its one place for errors and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from promptmigrate import __version__
from promptmigrate.cli import (
    calibrate,
    config,
    demo,
    doctor,
    evaluate,
    harvest,
    init,
    migrate,
    report,
    route,
    simulate,
    storage,
    traces,
    verify,
)
from promptmigrate.errors import PromptMigrateError

_STOPPED = 130
"""What Typer makes of Ctrl-C, without a word."""

app = typer.Typer(
    name="promptmigrate",
    help="Move a production prompt to another model, and prove on held-out data that nothing broke.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich costs 0.1 s
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("harvest")(harvest.harvest)
app.command("evaluate")(evaluate.evaluate)
app.command("calibrate")(calibrate.calibrate)
app.command("migrate")(migrate.migrate)
app.command("report")(report.report)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.add_typer(config.app, name="config")
app.add_typer(route.app, name="route")
app.add_typer(simulate.app, name="simulate")
app.add_typer(storage.app, name="storage")
app.add_typer(traces.app, name="traces")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"promptmigrate {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line; every error on purpose ends as one sentence and its exit code."""
    # These libraries look at the network or phone home unless told otherwise before their first import.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    try:
        app()
    except PromptMigrateError as error:
        if os.environ.get("PROMPTMIGRATE_DEBUG") and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        _fail(str(error), error.exit_code)
    except SystemExit as ended:
        if ended.code != _STOPPED:
            raise
        resumed = sys.argv[1:2] in (["migrate"], ["evaluate"])
        _fail("stopped" + ("; the same command goes on where it was" if resumed else ""), _STOPPED)
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None
    except Exception as error:
        if os.environ.get("PROMPTMIGRATE_DEBUG"):
            raise
        from promptmigrate.redact import told

        _fail(f"internal error: {told(error)} (set PROMPTMIGRATE_DEBUG=1 for the traceback)", 1)


def _fail(message: str, code: int) -> None:
    print(f"promptmigrate: {message}", file=sys.stderr)
    raise SystemExit(code)
