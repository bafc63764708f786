"""A page that a person reads: ``report.write(run_dir)`` makes ``report.html`` from the files of a run.

:mod:`promptmigrate.report.data` says which files and fields it reads.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["write"]


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
