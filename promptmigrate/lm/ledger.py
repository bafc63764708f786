"""Money, calls and tokens: reserved before each request is sent, settled after it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm.account import PURPOSES, Account
from promptmigrate.lm.budget import NANO, Totals, Worst, excess
from promptmigrate.lm.clock import Clock
from promptmigrate.lm.spend import Spend
from promptmigrate.lm.store import LATER, Batch, Database, Session
from promptmigrate.types import Purpose

if TYPE_CHECKING:
    from promptmigrate.config import BudgetConfig

_RETRY_S = 0.1
"""How soon it is looked again whether another worker has settled."""
_NUMBER_BITS = 24
_Operation: TypeAlias = Callable[[Session], object]


@dataclass(slots=True, eq=False)
class _Wanted:
    """A reservation that is asked for, waited for or held."""

    number: int
    purpose: Purpose
    model: str
    worst: Worst
    future: asyncio.Future[int]


class Ledger:
    """The account of one run, in a database, so that a budget holds over crashes and processes.

    A request is counted before it is sent. What a dead process had reserved stays counted: it may have been
    sent.

    Args:
        database: used on the event loop.
        budget: what may be spent.
        run: whose account it is, where the database holds several.
        worker: this process; requests under way are told apart by it.
        others: the workers that are alive beside this one; None: there are none.

    Raises:
        StorageError: the database cannot be used.
    """

    def __init__(
        self,
        database: Database,
        budget: BudgetConfig | None,
        *,
        run: str = "",
        worker: int | None = None,
        others: Callable[[Session], set[int]] | None = None,
    ) -> None:
        self._database, self._budget = database, budget
        self._whole, self._part = budget, ""
        self._worker = secrets.randbits(38) if worker is None else worker
        self._account = Account(database, run, self._worker)
        self._others = others
        self._batch: Batch[_Operation] = Batch(
            database, self._work, mode="once", after=self._after, orphan=self._orphan
        )
        self._numbers = count(self._worker << _NUMBER_BITS)
        self._open: dict[int, _Wanted] = {}
        self._waiting: dict[int, _Wanted] = {}
        self._elsewhere: Worst | None = None
        self._freed = False
        self._timer: asyncio.TimerHandle | None = None
        self.cached = 0
        self._clock = Clock(database.clock, self._worker, run)
        database.run(self._begin)

    # --- on the event loop -------------------------------------------------------------------------------

    async def reserve(self, purpose: Purpose, model: str, *, tokens: int, usd: float | None) -> int:
        """Count one request that is about to be sent, at its worst case; the number to settle it with.

        Where it fits only once requests under way are settled below their worst case, it waits for them, be
        they this worker's or another's that is alive.

        Raises:
            BudgetExceeded: it would go over a budget; nothing was counted.
            StorageError: the ledger cannot be written.
        """
        worst = Worst(tokens, None if usd is None else round(usd * NANO))
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        wanted = _Wanted(next(self._numbers), purpose, model, worst, future)
        self._batch.add(partial(self._try, wanted), future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self.release(future.result())
            raise

    async def refresh(self) -> None:
        """Read what other workers have spent since."""
        await self._batch.ask(lambda _: True)

    def limit(self, budget: BudgetConfig | None, part: str = "") -> None:
        """Hold to ``budget`` from now on; what was spent before counts.

        ``part`` says whose share of the budget before this is.
        """
        self._budget, self._part = budget, part
        if not part:
            self._whole = budget

    def settle(self, number: int, *, tokens: int, usd: float | None) -> None:
        """The request was answered (or refused, with 0 tokens and 0 USD) at this real cost."""
        nanousd = None if usd is None else round(usd * NANO)
        self._batch.add(partial(self._settle, self._open[number], tokens, nanousd))

    def release(self, number: int) -> None:
        """The request was not sent after all."""
        self._batch.add(partial(self._release, self._open[number]))

    def lose(self, number: int) -> None:
        """The request was sent and no answer came; the provider may charge, so its worst case stays."""
        self._batch.add(partial(self._lose, self._open[number]))

    def remaining_s(self) -> float | None:
        """Seconds that ``budget.minutes`` leaves; None without one."""
        if self._budget is None or self._budget.minutes is None:
            return None
        return self._budget.minutes * 60 - self.seconds

    def _orphan(self, _: _Operation, result: object) -> None:
        if isinstance(result, int):  # a reservation that came when whoever asked had gone
            self.release(result)

    def _after(self) -> None:
        if not self._waiting:
            return
        if self._freed:
            asyncio.get_running_loop().call_soon(self._retry)
        elif self._others is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_RETRY_S, self._retry)
        self._freed = False

    def _retry(self) -> None:
        self._timer = None
        for number in list(self._waiting):
            wanted = self._waiting.pop(number)
            self._batch.add(partial(self._try, wanted), wanted.future)

    # --- from any thread ---------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Wall time so far during which at least one process was at work."""
        return self._clock.seconds

    @property
    def spend(self) -> Spend:
        """A snapshot."""
        totals = {purpose: self._account.totals.get(purpose) or Totals() for purpose in PURPOSES}
        rows = totals.values()
        return Spend(
            calls={purpose: row.sent for purpose, row in totals.items()},
            cached=self.cached,
            usd=sum(row.nanousd for row in rows) / NANO,
            usd_by_purpose={purpose: row.nanousd / NANO for purpose, row in totals.items()},
            usd_held=sum(row.held_nanousd for row in rows) / NANO,
            usd_unknown_calls=sum(row.unpriced for row in rows),
            tokens=sum(row.tokens for row in rows),
            seconds=self.seconds,
        )

    def close(self) -> None:
        """Write what is pending; the database stays open.

        Raises:
            StorageError: it could not be written.
        """
        self._waiting.clear()
        self._batch.finish()
        self._database.run(self._end, "once")

    # --- inside a transaction: each may run again after its connection was lost ---------------------------

    def _begin(self, session: Session) -> None:
        self._account.begin(session)
        self._clock.begin(session)

    def _work(self, session: Session, operations: list[_Operation]) -> list[object]:
        self._load(session)
        results = [operation(session) for operation in operations]
        self._store(session)
        return results

    def _end(self, session: Session) -> None:
        self._load(session)
        for wanted in list(self._open.values()):
            if wanted.future.cancelled():  # given after whoever asked had gone
                self._release(wanted, session)
        self._store(session)
        self._clock.tick(session)

    def _load(self, session: Session) -> None:
        self._account.load(session)
        self._elsewhere = None

    def _store(self, session: Session) -> None:
        self._account.store(session)
        if self._clock.due:
            self._clock.tick(session)

    def _try(self, wanted: _Wanted, session: Session) -> object:
        self._open.pop(wanted.number, None)
        if wanted.future.done():  # whoever asked has gone
            return LATER
        over = excess(
            self._budget,
            wanted.worst,
            totals=self._account.totals.values(),
            seconds=lambda: self.seconds,
            under_way=lambda: self._under_way(session),
            whole=self._whole,
            part=self._part,
        )
        if over is not None:
            if over.final:
                return BudgetExceeded(over.message, limit=over.limit)
            self._waiting[wanted.number] = wanted
            return LATER
        self._account.reserve(session, wanted.number, wanted.purpose, wanted.model, wanted.worst)
        self._open[wanted.number] = wanted
        return wanted.number

    def _under_way(self, session: Session) -> Worst:
        """The worst case of what live workers have sent; what a dead one has reserved will not be settled."""
        if self._elsewhere is None:
            others = set() if self._others is None else self._others(session) - {self._worker}
            self._elsewhere = self._account.under_way(session, others)
        own = [wanted.worst for wanted in self._open.values()]
        return Worst(
            self._elsewhere.tokens + sum(worst.tokens for worst in own),
            (self._elsewhere.nanousd or 0) + sum(worst.nanousd or 0 for worst in own),
        )

    def _settle(self, held: _Wanted, tokens: int, nanousd: int | None, session: Session) -> None:
        self._closed(held)
        self._account.settle(session, held.number, held.purpose, held.worst, tokens=tokens, nanousd=nanousd)

    def _release(self, held: _Wanted, session: Session) -> None:
        self._closed(held)
        self._account.release(session, held.number, held.purpose, held.worst)

    def _lose(self, held: _Wanted, session: Session) -> None:
        self._closed(held)
        self._account.lose(session, held.number)

    def _closed(self, held: _Wanted) -> None:
        self._open.pop(held.number, None)
        self._freed = True
