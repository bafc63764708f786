"""What the call cache and the ledger are kept in: one interface for SQLite and PostgreSQL.

The statements are common to both: ``?`` stands for a value, ``ON CONFLICT`` and ``RETURNING`` exist in both
(SQLite from 3.35 on).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from promptmigrate.errors import StorageError

T = TypeVar("T")
Item = TypeVar("Item")
Mode: TypeAlias = Literal["read", "write", "once"]
"""``once``: work that must not be done twice where it is not known whether the commit arrived."""
LATER = object()
"""A result that leaves the future open: something else will resolve it."""


class Session(Protocol):
    """One transaction."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What ``sql`` gives."""
        ...

    def write(self, sql: str, values: Sequence[object] = ()) -> object:
        """Run ``sql``, at the latest when the transaction is committed."""
        ...


class Database(Protocol):
    """Runs transactions."""

    clock: str
    """SQL for the time in seconds that all workers share."""
    for_update: str
    """SQL that locks the rows that are read."""
    dated: bool
    """Whether it is known of an answer when it was last of use."""

    def alone(self, session: Session, on: str = "") -> None:
        """Let no other transaction that asks for the same (``on``) run beside this one."""
        ...

    def run(self, work: Callable[[Session], T], mode: Mode = "write") -> T:
        """Run ``work`` in one transaction and wait until it is committed. Not for the event loop.

        Raises:
            StorageError: it cannot be read or written.
        """
        ...

    def submit(
        self, work: Callable[[Session], T], deliver: Callable[[T | StorageError], None], mode: Mode
    ) -> None:
        """Run ``work`` in one transaction; ``deliver`` gets the result on the event loop after the commit.

        Where a connection is lost for a moment, ``work`` runs again.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def marks(count: int, one: str = "?") -> str:
    """``count`` placeholders for an ``IN`` or ``VALUES`` list."""
    return ", ".join([one] * count)


class Batch(Generic[Item]):
    """Collects items and handles those of one turn of the event loop in one transaction.

    ``work`` gives one result for each item: a value, an exception as a value, or :data:`LATER`. The futures
    are resolved after the commit, so whoever waits knows that it is stored. ``after`` runs on the event loop
    after each commit; ``orphan`` gets the results that nobody waits for any more.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Session, list[Item]], Sequence[object]],
        *,
        mode: Mode = "write",
        after: Callable[[], None] | None = None,
        orphan: Callable[[Item, object], None] | None = None,
    ) -> None:
        self._database, self._work, self._mode = database, work, mode
        self._after, self._orphan = after, orphan
        self._pending: list[tuple[Item, asyncio.Future[Any] | None]] = []
        self._busy = False
        self._failure: StorageError | None = None

    def add(self, item: Item, future: asyncio.Future[Any] | None = None) -> None:
        """Queue ``item`` for the next commit."""
        if not self._pending and not self._busy:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append((item, future))

    async def ask(self, item: Item) -> Any:
        """The result for ``item``, once it is stored.

        Raises:
            StorageError: it cannot be.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.add(item, future)
        return await future

    def finish(self) -> None:
        """Store what is pending, outside the event loop, for the last time.

        Raises:
            StorageError: something could not be stored.
        """
        pending, self._pending = self._pending, []
        if pending:
            items = [item for item, _ in pending]
            self._database.run(lambda session: self._work(session, items), self._mode)
        if self._failure is not None:
            raise self._failure

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        self._busy = True
        items = [item for item, _ in pending]
        self._database.submit(
            lambda session: self._work(session, items),
            lambda results: self._deliver(pending, results),
            self._mode,
        )

    def _deliver(
        self, pending: list[tuple[Item, asyncio.Future[Any] | None]], results: Sequence[object] | StorageError
    ) -> None:
        self._busy = False
        if self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        if isinstance(results, StorageError):
            for _, future in pending:
                if future is None:
                    self._failure = results  # nobody waits to hear of it: whoever closes will
                elif not future.done():
                    future.set_exception(results)
            return
        for (item, future), result in zip(pending, results, strict=True):
            if future is None or result is LATER:
                continue
            if future.done():  # whoever asked has gone
                if self._orphan is not None:
                    self._orphan(item, result)
            elif isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        if self._after is not None:
            self._after()
