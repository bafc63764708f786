"""SQLite files that several processes share."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from promptmigrate.errors import StorageError
from promptmigrate.lm.store import Mode, Session

T = TypeVar("T")
_BUSY_S = 20.0


class Sqlite:
    """A WAL database; implements :class:`promptmigrate.lm.store.Database`. ``path`` None keeps it in memory.

    A commit survives the death of the process (kill -9); only a power cut may lose the last ones
    (``synchronous=NORMAL``). A transaction is short, so it runs where it is asked for, also on the event
    loop; one thread at a time may use it.

    Args:
        path: the file.
        steps: the schema; each step brings a file one version on, and its number is kept in the file.
        what: what it holds, for messages.
        lost: what it means to begin without it, for messages.

    Raises:
        StorageError: unreadable, not a database, read-only, or written by a newer version.
    """

    clock = "((julianday('now') - 2440587.5) * 86400.0)"
    for_update = ""
    dated = False

    def __init__(self, path: Path | None, steps: Sequence[str], what: str, lost: str) -> None:
        self._path, self._what, self._lost = path, what, lost
        self._connection = _connect(path, steps, what, lost)
        self.write = self._connection.execute

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See :class:`promptmigrate.lm.store.Session`."""
        return self._connection.execute(sql, values).fetchall()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """:meth:`rows` without a transaction.

        Raises:
            StorageError: the file cannot be read.
        """
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self.unusable(error) from error

    def alone(self, session: Session, on: str = "") -> None:
        """There is only one writer at a time anyway."""

    def run(self, work: Callable[[Session], T], mode: Mode = "write") -> T:
        """See :class:`promptmigrate.lm.store.Database`."""
        connection = self._connection
        try:
            # A reader waits for no writer.
            connection.execute("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")
            result = work(self)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self.unusable(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return result

    def submit(
        self, work: Callable[[Session], T], deliver: Callable[[T | StorageError], None], mode: Mode
    ) -> None:
        """See :class:`promptmigrate.lm.store.Database`."""
        try:
            result: T | StorageError = self.run(work, mode)
        except StorageError as error:
            result = error
        deliver(result)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def unusable(self, error: Exception) -> StorageError:
        """The error for this file."""
        return _unusable(self._what, self._path, self._lost, error)


def _connect(path: Path | None, steps: Sequence[str], what: str, lost: str) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        # One thread uses it alone once it is open, whichever thread opened it.
        connection = sqlite3.connect(
            str(path) if path else ":memory:", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > len(steps):
            raise StorageError(
                f"{what} {path} was written by a newer promptmigrate (format {found}, this one reads "
                f"{len(steps)}); update promptmigrate, or move that file away: {lost}"
            )
        for step in steps[found:]:
            for statement in step.split(";"):
                if statement.strip():
                    connection.execute(statement)
        if found < len(steps):
            connection.execute(f"PRAGMA user_version={len(steps)}")
        connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise _unusable(what, path, lost, error) from error
    except StorageError:
        if connection is not None:
            connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite does not wait by itself where another process does so just now."""
    end = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _unusable(what: str, path: Path | None, lost: str, error: Exception) -> StorageError:
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if full or getattr(error, "errno", None) == errno.ENOSPC:
        return StorageError(
            f"{what} {path} cannot be written: {reason}; free some space and run the same command again: "
            "what was stored is kept"
        )
    if path is None:
        return StorageError(f"{what} in memory cannot be used: {reason}")
    return StorageError(
        f"{what} {path} cannot be used: {reason}; make it readable and writable, or move it away: {lost}"
    )
