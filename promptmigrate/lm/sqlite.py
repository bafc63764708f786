"""SQLite files that several processes share, written in groups: one commit per turn of the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

from promptmigrate.errors import StorageError

_BUSY_S = 20.0
LATER = object()
"""An operation returns this when its future shall stay open: another operation will resolve it."""


def connect(path: Path | None, schema: str, version: int, what: str) -> sqlite3.Connection:
    """Open (or create) a WAL database with ``schema``; ``path`` None keeps it in memory.

    A commit survives the death of the process (kill -9); only a power cut may lose the last ones
    (``synchronous=NORMAL``).

    Raises:
        StorageError: unreadable, not a database, read-only, or written by a newer version.
    """
    connection: sqlite3.Connection | None = None
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        # The event loop's thread uses it alone once it is open, whichever thread opened it.
        connection = sqlite3.connect(
            str(path) if path else ":memory:", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > version:
            raise StorageError(
                f"{what} {path} was written by a newer promptmigrate (format {found}, this one reads "
                f"{version}); update promptmigrate or name another file"
            )
        if found == 0:
            for statement in schema.split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise unusable(what, path, error) from error
    except StorageError:
        if connection is not None:
            connection.close()
        raise
    return connection


def unusable(what: str, path: Path | None, error: Exception) -> StorageError:
    """The error for a file that cannot be used."""
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return StorageError(
        f"{what} {path or 'in memory'} cannot be used: {reason}; name another file or remove it"
    )


class Group:
    """Collects operations and commits them together at the next turn of the event loop.

    An operation runs inside the transaction and returns its value, or an exception as a value; its future is
    resolved after the commit, so whoever waits knows that it is on disk.
    """

    def __init__(self, connection: sqlite3.Connection, what: str, path: Path | None) -> None:
        self._connection, self._what, self._path = connection, what, path
        self._pending: list[tuple[Callable[[], object], asyncio.Future[object] | None]] = []
        self._failure: StorageError | None = None
        self._before: Callable[[], None] | None = None
        self._after: Callable[[], None] | None = None

    def around(self, before: Callable[[], None], after: Callable[[], None]) -> None:
        """Run ``before`` first and ``after`` last inside each transaction."""
        self._before, self._after = before, after

    def add(self, operation: Callable[[], object], future: asyncio.Future[object] | None = None) -> None:
        """Queue ``operation`` for the next commit."""
        if not self._pending:
            asyncio.get_running_loop().call_soon(self.flush)
        self._pending.append((operation, future))

    def finish(self) -> None:
        """Commit what is pending, outside the event loop, for the last time.

        Raises:
            StorageError: something could not be committed.
        """
        self._pending.append((lambda: None, None))
        self.flush()
        if self._failure is not None:
            raise self._failure

    def flush(self) -> None:
        """Commit what is pending."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        results: list[object] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if self._before:
                self._before()
            results.extend(operation() for operation, _ in pending)
            if self._after:
                self._after()
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            failure = unusable(self._what, self._path, error)
            if any(future is None for _, future in pending):
                self._failure = failure  # nobody waits to hear of it: whoever closes will
            for _, future in pending:
                if future is not None and not future.done():
                    future.set_exception(failure)
            return
        for (_, future), result in zip(pending, results, strict=True):
            if future is None or future.done() or result is LATER:
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
