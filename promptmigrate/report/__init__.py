"""What a person reads after a run: ``report.write(run_dir)`` makes ``report.html`` from the files of a run,
``report.write_regressions(run_dir)`` says what broke and writes it as tests.

:mod:`promptmigrate.report.data` says which files and fields it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write", "write_regressions"]


def write(run_dir: Path) -> Path:
    """Write ``report.html`` into a run folder from its ``verdict.json`` and ``test_rows.jsonl``.

    The page needs no other file, no network and no script.

    Raises:
        DataError: a file is missing or does not hold what it should.
        StorageError: the page cannot be written.
    """
    from promptmigrate.files import atomic_write
    from promptmigrate.report.data import load
    from promptmigrate.report.page import render

    path = Path(run_dir) / "report.html"
    atomic_write(path, render(load(Path(run_dir))))
    return path


def write_regressions(
    run_dir: Path, *, name: str, specs: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Find what broke in a run folder's ``test_rows.jsonl`` and write it as tests to ``regressions/``.

    ``conftest.py`` is written once and then left alone: it is the team's. Tests of an earlier call that are
    not there any more are removed.

    Args:
        run_dir: The run folder.
        name: Of the experiment; the tests are called after it.
        specs: Of the scorers, as :func:`scorers.to_spec` gives them.

    Returns:
        ``broken_clusters`` of ``verdict.json``: one entry per cluster, ``file`` relative to the run folder.

    Raises:
        DataError: the rows cannot be read, or there is no such scorer.
        StorageError: the folder cannot be written.
    """
    from promptmigrate.report import regressions

    return regressions.write(Path(run_dir), name=name, specs=specs)
