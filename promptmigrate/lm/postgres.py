"""PostgreSQL as the store of workers on several hosts: one thread, one connection, no word of a password."""

from __future__ import annotations

import asyncio
import queue
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from itertools import count
from typing import Any, TypeVar

from promptmigrate.errors import StorageError
from promptmigrate.lm.redact import brief
from promptmigrate.lm.schema import POSTGRES
from promptmigrate.lm.store import Mode, Session

T = TypeVar("T")
_RECONNECT_S = 30.0
"""How long a server may be away (a restart, a failover) before a run gives up."""
_FIRST_WAIT_S, _LAST_WAIT_S = 0.05, 2.0
_LOCK = 0x70726F6D
"""Advisory lock of this schema: one at a time creates it or joins a run."""
_SETTINGS = """
SET search_path TO promptmigrate;
SET idle_in_transaction_session_timeout TO '10s'
"""
"""A client that stops in the middle of a transaction must not keep the others waiting."""
_CONNECT = {
    "application_name": "promptmigrate", "connect_timeout": 10, "tcp_user_timeout": 20_000,
    "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
}  # fmt: skip
_AGAIN = frozenset({"40001", "40P01"})
"""Two transactions in each other's way, and the server has ended this one."""


class _Session:
    """Statements without a result are sent together with the next that has one, or with the commit."""

    def __init__(self, connection: Any, opening: str) -> None:
        self._cursor = connection.cursor()
        self._buffer: list[bytes] = [opening.encode()] if opening else []

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See :class:`promptmigrate.lm.store.Session`."""
        self.write(sql, values)
        self.flush()
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def write(self, sql: str, values: Sequence[object] = ()) -> None:
        """See :class:`promptmigrate.lm.store.Session`."""
        self._buffer.append(self._cursor.mogrify(_translated(sql), values))

    def flush(self) -> None:
        """Send what is pending."""
        buffer, self._buffer = self._buffer, []
        if buffer:
            self._cursor.execute(b";".join(buffer))


class Postgres:
    """The tables in the schema ``promptmigrate``; implements :class:`promptmigrate.lm.store.Database`.

    One thread runs all transactions, so the event loop waits for no round trip. A lost connection is made
    anew, and what was under way is run again; a transaction in mode ``once`` carries its number, so that it
    is known afterwards whether it was committed.

    Raises:
        StorageError: no driver, not a PostgreSQL URL, no server, refused login, or another format.
    """

    clock = "extract(epoch FROM clock_timestamp())::float8"
    for_update = " FOR UPDATE"
    dated = True

    def __init__(self, url: str) -> None:
        self._options = _Options()
        self._driver = _driver()
        self._options = _options(url, self._driver)
        self._client = secrets.randbits(62)
        self._turns = count(1)
        self._connection: Any = None
        self._patience_s = _RECONNECT_S
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        if (failure := self._connect()) is not None:
            raise failure
        self._thread = threading.Thread(target=self._serve, name="promptmigrate-storage", daemon=True)
        self._thread.start()
        try:
            self.run(_prepare)
        except StorageError:
            self.close()
            raise

    def alone(self, session: Session, on: str = "") -> None:
        """See :class:`promptmigrate.lm.store.Database`."""
        number = f"{_LOCK}, {zlib.crc32(on.encode()) - 2**31}" if on else f"{_LOCK}"
        session.write(f"SELECT pg_advisory_xact_lock({number})")

    def run(self, work: Callable[[Session], T], mode: Mode = "write") -> T:
        """See :class:`promptmigrate.lm.store.Database`."""
        done: Future[T] = Future()

        def job() -> None:
            result = self._transact(work, mode)
            if isinstance(result, StorageError):
                done.set_exception(result)
            else:
                done.set_result(result)

        self._jobs.put(job)
        return done.result()

    def submit(
        self, work: Callable[[Session], T], deliver: Callable[[T | StorageError], None], mode: Mode
    ) -> None:
        """See :class:`promptmigrate.lm.store.Database`."""
        loop = asyncio.get_running_loop()

        def job() -> None:
            result = self._transact(work, mode)
            with suppress(RuntimeError):  # the loop has ended, and with it all who could wait
                loop.call_soon_threadsafe(deliver, result)

        self._jobs.put(job)

    def close(self) -> None:
        """Close the connection."""
        self._jobs.put(None)
        self._thread.join()

    def __repr__(self) -> str:
        return f"Postgres({_place(self._options)})"

    # --- on the thread -----------------------------------------------------------------------------------

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        if self._connection is not None:
            self._connection.close()

    def _transact(self, work: Callable[[Session], T], mode: Mode) -> T | StorageError:
        """The result of ``work`` once it is committed, or why it cannot be."""
        driver = self._driver
        turn = next(self._turns) if mode == "once" else None
        opening = "" if mode == "read" else "BEGIN"
        if turn is not None:
            # An earlier attempt that did arrive, or still may, is met here, before ``work`` does anything.
            opening += f"; DELETE FROM turns WHERE client = {self._client} AND turn < {turn}"  # noqa: S608
            opening += f"; INSERT INTO turns VALUES ({self._client}, {turn})"  # noqa: S608
        results: list[T] = []
        give_up, wait = 0.0, _FIRST_WAIT_S
        while True:
            try:
                session = _Session(self._connected(), opening)
                result = work(session)
                results.append(result)
                if opening:
                    session.write("COMMIT")
                session.flush()
                self._patience_s = _RECONNECT_S
                return result
            except driver.Error as error:
                if turn is not None and results and _doubled(error):
                    self._roll_back()
                    return results[-1]
                give_up = give_up or time.monotonic() + self._patience_s
                if not self._again(error) or time.monotonic() > give_up:
                    self._patience_s = 0.0  # what is still to come, a close above all, need not wait again
                    return _unusable(error, self._options)
            except StorageError as error:
                self._roll_back()
                return error
            time.sleep(wait)
            wait = min(wait * 2, _LAST_WAIT_S)

    def _again(self, error: Any) -> bool:
        """Whether the work may be tried again after ``error``; the connection is usable then, or gone."""
        if self._connection is None or self._connection.closed:
            self._connection = None
            return isinstance(error, self._driver.OperationalError | self._driver.InterfaceError)
        self._roll_back()
        return error.pgcode in _AGAIN

    def _roll_back(self) -> None:
        with suppress(self._driver.Error):  # a connection that is gone has rolled back
            self._connection.cursor().execute("ROLLBACK")

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _connect(self) -> StorageError | None:
        """Connect for the first time; gives the failure, so that no traceback holds the driver's frames."""
        try:
            self._connection = self._open()
        except self._driver.Error as error:
            return _unusable(error, self._options)
        return None

    def _open(self) -> Any:
        connection = self._driver.connect(**{**_CONNECT, **self._options})
        connection.autocommit = True  # transactions are begun and committed in the statements
        connection.cursor().execute(_SETTINGS)
        return connection


def _driver() -> Any:
    try:
        return import_module("psycopg2")
    except ImportError as error:
        raise StorageError(
            f"storage in PostgreSQL needs psycopg2 ({error}); "
            "install it: pip install 'promptmigrate[postgres]'"
        ) from None


class _Options(dict[str, str]):
    """What the driver connects with; shows nothing of it."""

    def __repr__(self) -> str:
        return f"<{_place(self)}>"


def _options(url: str, driver: Any) -> _Options:
    scheme, _, rest = url.partition("://")
    options = _Options()
    user, _, _ = rest.rpartition("@")
    # A sign that should have been percent-encoded would move a part of the password elsewhere.
    if scheme.partition("+")[0] in {"postgresql", "postgres"} and not set("@/?#") & set(user):
        with suppress(driver.Error):
            options.update(import_module("psycopg2.extensions").parse_dsn(f"postgresql://{rest}"))
    if not options:
        raise StorageError(
            "the storage is not a PostgreSQL URL; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with "
            "special characters of the password percent-encoded"
        )
    return options


def _place(options: _Options) -> str:
    return f"{options.get('host', 'localhost')}:{options.get('port', '5432')}/{options.get('dbname', '')}"


def _unusable(error: Exception, options: _Options) -> StorageError:
    reason = brief(str(error), [options.get("password", "")]).rstrip(".;") or type(error).__name__
    return StorageError(
        f"the storage in PostgreSQL at {_place(options)} cannot be used: {reason}; check the URL, the "
        "server and what its user may do"
    )


def _doubled(error: Any) -> bool:
    return bool(error.pgcode == "23505") and error.diag.table_name == "turns"


def _prepare(session: Session) -> None:
    """Make the tables, or bring them to this format."""
    session.write(f"SELECT pg_advisory_xact_lock({_LOCK})")
    ((schema, table),) = session.rows(
        "SELECT to_regnamespace('promptmigrate')::text, to_regclass('promptmigrate.format')::text"
    )
    if schema is None:
        session.write("CREATE SCHEMA promptmigrate")
    found = 0
    if table is not None:
        ((found,),) = session.rows("SELECT version FROM promptmigrate.format")
    if found > len(POSTGRES):
        raise StorageError(
            f"the storage in PostgreSQL was written by a newer promptmigrate (format {found}, this one reads "
            f"{len(POSTGRES)}); update promptmigrate or name another database"
        )
    for step in POSTGRES[found:]:
        session.write(step)
    if found < len(POSTGRES):
        session.write("UPDATE promptmigrate.format SET version = ?", (len(POSTGRES),))


@lru_cache(maxsize=512)
def _translated(sql: str) -> str:
    return sql.replace("?", "%s")
