"""Money, calls and tokens: reserved before each request is sent, settled after it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, get_args

from promptmigrate.errors import BudgetExceeded, StorageError
from promptmigrate.lm.spend import Spend
from promptmigrate.lm.sqlite import LATER, Group, connect
from promptmigrate.types import Purpose

if TYPE_CHECKING:
    from promptmigrate.config import BudgetConfig

_SCHEMA = """
CREATE TABLE requests (
  id INTEGER PRIMARY KEY, purpose TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
  tokens INTEGER NOT NULL, nanousd INTEGER);
CREATE TABLE totals (
  purpose TEXT PRIMARY KEY, sent INTEGER NOT NULL, tokens INTEGER NOT NULL, held_tokens INTEGER NOT NULL,
  nanousd INTEGER NOT NULL, held_nanousd INTEGER NOT NULL, unpriced INTEGER NOT NULL);
CREATE TABLE lifetimes (id INTEGER PRIMARY KEY, seconds REAL NOT NULL)
"""
_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_NANO = 1_000_000_000
_CLOCK_EVERY_S = 1.0


class _Reservation(NamedTuple):
    purpose: Purpose
    tokens: int
    nanousd: int | None


class _Excess(NamedTuple):
    message: str
    final: bool
    """Whether waiting for requests under way cannot help."""


_Closing: TypeAlias = Callable[[_Reservation], None]


@dataclass(slots=True)
class _Totals:
    """One row of ``totals``."""

    sent: int = 0
    tokens: int = 0
    held_tokens: int = 0
    nanousd: int = 0
    held_nanousd: int = 0
    unpriced: int = 0


class Ledger:
    """The account of one run: a SQLite file (or memory), so that a budget holds over crashes and processes.

    A request is counted before it is sent. What a dead process had reserved stays counted: it may have been
    sent. Amounts are exact integers (nano-dollars).
    """

    def __init__(self, path: Path | None, budget: BudgetConfig | None) -> None:
        self._path, self._budget = path, budget
        self._connection = connect(path, _SCHEMA, 1, "the ledger")
        self._group = Group(self._connection, "the ledger", path)
        self._group.around(self._load, self._store)
        self._open: dict[int, _Reservation] = {}
        self._waiting: deque[tuple[_Reservation, str, asyncio.Future[object]]] = deque()
        self._totals: dict[Purpose, _Totals] = {}
        self._freed = False
        self.cached = 0
        self._born = self._clocked = time.monotonic()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._load()
            before = self._connection.execute("SELECT TOTAL(seconds) FROM lifetimes").fetchone()[0]
            self._before_s = float(before)
            self._life = self._connection.execute("INSERT INTO lifetimes (seconds) VALUES (0)").lastrowid
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._connection.close()
            raise StorageError(
                f"the ledger {path} cannot be used: {error}; remove it to start anew"
            ) from error

    # --- on the event loop -------------------------------------------------------------------------------

    async def reserve(self, purpose: Purpose, model: str, *, tokens: int, usd: float | None) -> int:
        """Count one request that is about to be sent, at its worst case; the number to settle it with.

        Where it fits only once requests under way are settled below their worst case, it waits for them.

        Raises:
            BudgetExceeded: it would go over a budget; nothing was counted.
            StorageError: the ledger cannot be written.
        """
        nanousd = None if usd is None else round(usd * _NANO)
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        wanted = _Reservation(purpose, tokens, nanousd)
        self._group.add(partial(self._try, wanted, model, future), future)
        try:
            number = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                given = future.result()
                assert isinstance(given, int)
                self.release(given)
            raise
        assert isinstance(number, int)
        return number

    def limit(self, budget: BudgetConfig | None) -> None:
        """Hold to ``budget`` from now on; what was spent before counts."""
        self._budget = budget

    def settle(self, number: int, *, tokens: int, usd: float | None) -> None:
        """The request was answered (or refused, with 0 tokens and 0 USD) at this real cost."""
        nanousd = None if usd is None else round(usd * _NANO)
        self._close(number, lambda held: self._settle(number, held, tokens, nanousd))

    def release(self, number: int) -> None:
        """The request was not sent after all."""
        self._close(number, lambda held: self._release(number, held))

    def lose(self, number: int) -> None:
        """The request was sent and no answer came; the provider may charge, so its worst case stays."""
        self._close(number, lambda _: self._state(number, "lost"))

    def remaining_s(self) -> float | None:
        """Seconds that ``budget.minutes`` leaves; None without one."""
        if self._budget is None or self._budget.minutes is None:
            return None
        return self._budget.minutes * 60 - self.seconds

    # --- from any thread ---------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Wall time so far, over all lifetimes."""
        return self._before_s + time.monotonic() - self._born

    @property
    def spend(self) -> Spend:
        """A snapshot."""
        totals = {purpose: self._totals.get(purpose) or _Totals() for purpose in _PURPOSES}
        rows = totals.values()
        return Spend(
            calls={purpose: row.sent for purpose, row in totals.items()},
            cached=self.cached,
            usd=sum(row.nanousd for row in rows) / _NANO,
            usd_by_purpose={purpose: row.nanousd / _NANO for purpose, row in totals.items()},
            usd_held=sum(row.held_nanousd for row in rows) / _NANO,
            usd_unknown_calls=sum(row.unpriced for row in rows),
            tokens=sum(row.tokens for row in rows),
            seconds=self.seconds,
        )

    def close(self) -> None:
        """Write what is pending and close the file.

        Raises:
            StorageError: it could not be written.
        """
        self._clocked = float("-inf")
        self._waiting.clear()
        try:
            self._group.finish()
        finally:
            self._connection.close()

    # --- inside a transaction ----------------------------------------------------------------------------

    def _load(self) -> None:
        self._totals = {
            purpose: _Totals(*numbers)
            for purpose, *numbers in self._connection.execute(
                "SELECT purpose, sent, tokens, held_tokens, nanousd, held_nanousd, unpriced FROM totals"
            )
        }

    def _store(self) -> None:
        self._connection.executemany(
            "UPDATE totals SET sent=?, tokens=?, held_tokens=?, nanousd=?, held_nanousd=?, unpriced=? "
            "WHERE purpose=?",
            [(*astuple(row), purpose) for purpose, row in self._totals.items()],
        )
        if self._freed and self._waiting:
            asyncio.get_running_loop().call_soon(self._retry)
        self._freed = False
        now = time.monotonic()
        if now - self._clocked >= _CLOCK_EVERY_S:
            self._clocked = now
            self._connection.execute(
                "UPDATE lifetimes SET seconds = ? WHERE id = ?", (now - self._born, self._life)
            )

    def _of(self, purpose: Purpose) -> _Totals:
        row = self._totals.get(purpose)
        if row is None:
            row = self._totals[purpose] = _Totals()
            self._connection.execute("INSERT INTO totals VALUES (?, 0, 0, 0, 0, 0, 0)", (purpose,))
        return row

    def _try(self, wanted: _Reservation, model: str, future: asyncio.Future[object]) -> object:
        if future.done():  # whoever asked has gone
            return LATER
        excess = self._excess(wanted)
        if excess is not None:
            if not excess.final and self._open:
                self._waiting.append((wanted, model, future))
                return LATER
            return BudgetExceeded(excess.message)
        row = self._of(wanted.purpose)
        row.sent += 1
        row.held_tokens += wanted.tokens
        row.held_nanousd += wanted.nanousd or 0
        row.unpriced += wanted.nanousd is None
        number = self._connection.execute(
            "INSERT INTO requests (purpose, model, state, tokens, nanousd) VALUES (?, ?, 'reserved', ?, ?)",
            (wanted.purpose, model, wanted.tokens, wanted.nanousd),
        ).lastrowid
        assert number is not None
        self._open[number] = wanted
        return number

    def _excess(self, wanted: _Reservation) -> _Excess | None:
        """The first budget that ``wanted`` would go over."""
        budget = self._budget
        if budget is None:
            return None
        rows = self._totals.values()
        if budget.calls is not None and (sent := sum(row.sent for row in rows)) + 1 > budget.calls:
            return _Excess(
                f"the budget of {budget.calls} calls is used up ({sent} sent); raise budget.calls", True
            )
        if budget.minutes is not None and (used := self.seconds / 60) >= budget.minutes:
            return _Excess(
                f"the budget of {budget.minutes:g} minutes is used up ({used:.1f}); raise budget.minutes",
                True,
            )
        if budget.tokens is not None:
            used_tokens = sum(row.tokens + row.held_tokens for row in rows)
            if used_tokens + wanted.tokens > budget.tokens:
                own = sum(held.tokens for held in self._open.values())
                return _Excess(
                    f"the next call needs up to {wanted.tokens} tokens and {used_tokens} of the budget of "
                    f"{budget.tokens} are used; raise budget.tokens",
                    used_tokens - own + wanted.tokens > budget.tokens,
                )
        if budget.usd is not None and wanted.nanousd is not None:
            used_usd = sum(row.nanousd + row.held_nanousd for row in rows)
            limit = round(budget.usd * _NANO)
            if used_usd + wanted.nanousd > limit:
                own = sum(held.nanousd or 0 for held in self._open.values())
                return _Excess(
                    f"the next call may cost {wanted.nanousd / _NANO:.6f} USD and {used_usd / _NANO:.6f} of "
                    f"the budget of {budget.usd:g} USD is used; raise budget.usd",
                    used_usd - own + wanted.nanousd > limit,
                )
        return None

    def _close(self, number: int, operation: _Closing) -> None:
        def run() -> None:
            # Inside the transaction, so that open reservations and totals always agree.
            operation(self._open.pop(number))
            self._freed = True

        self._group.add(run)

    def _retry(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for wanted, model, future in waiting:
            self._group.add(partial(self._try, wanted, model, future), future)

    def _settle(self, number: int, held: _Reservation, tokens: int, nanousd: int | None) -> None:
        row = self._of(held.purpose)
        row.held_tokens -= held.tokens
        row.held_nanousd -= held.nanousd or 0
        row.tokens += tokens
        row.nanousd += nanousd or 0
        row.unpriced += (nanousd is None) - (held.nanousd is None)
        self._connection.execute(
            "UPDATE requests SET state='settled', tokens=?, nanousd=? WHERE id=?", (tokens, nanousd, number)
        )

    def _release(self, number: int, held: _Reservation) -> None:
        row = self._of(held.purpose)
        row.sent -= 1
        row.held_tokens -= held.tokens
        row.held_nanousd -= held.nanousd or 0
        row.unpriced -= held.nanousd is None
        self._connection.execute("DELETE FROM requests WHERE id=?", (number,))

    def _state(self, number: int, state: str) -> None:
        self._connection.execute("UPDATE requests SET state=? WHERE id=?", (state, number))
