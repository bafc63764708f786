"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from promptmigrate.errors import BudgetExceeded

ConfigPath: TypeAlias = Annotated[
    Path, typer.Argument(help="The experiment file (promptmigrate init writes one).")
]
Runs: TypeAlias = Annotated[Path, typer.Option("--runs", help="Where run folders and the call cache are.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Show the result only.")]
Record: TypeAlias = Annotated[
    Path | None, typer.Option("--record", help="Append every paid answer to this file, for --replay.")
]
Replay: TypeAlias = Annotated[
    Path | None, typer.Option("--replay", help="Answer every call from this recording; send nothing.")
]


def names_lines(command: Callable[..., None]) -> Callable[..., None]:
    """``command``, whose errors about a key of its experiment file ``config`` say file and line."""

    @wraps(command)
    def run(*, config: Path | None, **options: Any) -> None:
        from promptmigrate.config import naming_lines

        if config is None:
            return command(config=config, **options)
        with naming_lines(config):
            return command(config=config, **options)

    return run


@contextmanager
def names_option(limit: str, option: str, *, given: object) -> Iterator[None]:
    """Errors about ``limit`` of a budget say ``option``, where it was ``given`` in place of the file's."""
    try:
        yield
    except BudgetExceeded as error:
        if given is None or error.limit != limit:
            raise
        raise BudgetExceeded(f"{error.message}; raise {option}") from error
