"""``promptmigrate storage``: what the shared database holds, and taking away what is old."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from promptmigrate.cli.console import console, print_json
from promptmigrate.cli.options import ConfigPath, Json
from promptmigrate.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The database that workers share: its size, and pruning it.")
_AGE = re.compile(r"(\d+(?:\.\d+)?)([hdw])")
_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}


@app.command("show")
def show(config: ConfigPath, as_json: Json = False) -> None:
    """Say how many runs and answers the database of the experiment holds, and how large it is."""
    from promptmigrate.lm.retention import stored

    found = stored(_url(config))
    if as_json:
        print_json(found.to_json())
    else:
        _say(
            f"{found.runs} runs, {found.answers} answers, {found.megabytes:.1f} MB, "
            f"{found.working} live workers"
        )


@app.command("prune")
def prune(
    config: ConfigPath,
    older_than: Annotated[str, typer.Option("--older-than", help="An age: 30d, 12w (1d or more).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; delete nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Delete runs that nobody worked on for so long, and answers that were of no use for as long.

    A run with a live worker is never touched, and while there is one no answer is deleted.
    """
    from promptmigrate.lm.retention import check_age
    from promptmigrate.lm.retention import prune as work

    days = _days(older_than)
    check_age(days)
    gone = work(_url(config), days=days, dry_run=dry_run)
    if as_json:
        print_json(gone.to_json())
        return
    _say(f"{'would delete' if dry_run else 'deleted'} {gone.runs} runs and {gone.answers} answers")
    if gone.working:
        _say(f"answers are kept while {gone.working} workers are at work; prune again later")


def _days(age: str) -> float:
    match = _AGE.fullmatch(age.strip())
    if match is None:
        raise UsageError(f"--older-than must be an age such as 30d or 12w; got {age!r}")
    return float(match[1]) * _DAYS[match[2]]


def _url(path: Path) -> str:
    from promptmigrate.config import load_config
    from promptmigrate.pipeline.crew import storage_url

    url = storage_url(load_config(path))
    if url is None:
        raise UsageError(
            f"{path} names no 'storage'; without one, runs and answers are files under --runs: delete those"
        )
    return url


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)
