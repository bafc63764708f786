"""The Door: the one way by which every part asks models."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from promptmigrate.errors import PromptMigrateError
from promptmigrate.lm.attempts import Asker
from promptmigrate.lm.calls import Caller
from promptmigrate.lm.endpoints import resolve
from promptmigrate.lm.ledger import Ledger
from promptmigrate.lm.loop import BackgroundLoop
from promptmigrate.lm.outage import LIMIT_S
from promptmigrate.lm.prices import Price, Prices
from promptmigrate.lm.record import Recorder, Recording
from promptmigrate.lm.routes import Routes
from promptmigrate.lm.spend import Spend
from promptmigrate.lm.stores import open_alone, open_shared, open_storage
from promptmigrate.types import Reply, Request

if TYPE_CHECKING:
    from typing import Self

    from promptmigrate.config import BudgetConfig, EndpointConfig, PriceConfig
    from promptmigrate.lm.cache import Cache
    from promptmigrate.lm.claims import SharedCache

T = TypeVar("T")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Door:
    """Asks models: cached, counted, limited, retried. Open it with :meth:`open`, use it as a context manager.

    Asynchronous inside, on one event loop of its own; :meth:`complete` is the same code for threads and
    :meth:`acomplete` for coroutines of any loop. A thousand tasks are best run by :meth:`run`, where each
    call is made on the Door's loop itself.
    """

    def __init__(
        self, *, caller: Caller, prices: Prices, ledger: Ledger, endpoints: Mapping[str, EndpointConfig],
        closing: ExitStack,
    ) -> None:  # fmt: skip
        self._caller, self._prices, self._ledger, self._endpoints = caller, prices, ledger, endpoints
        self._closing = closing
        self._loop = BackgroundLoop()
        atexit.register(self.close)

    @classmethod
    def open(
        cls,
        *,
        endpoints: Mapping[str, EndpointConfig] = _NOTHING,
        prices: Mapping[str, PriceConfig] = _NOTHING,
        cache: Path | None = None,
        ledger: Path | None = None,
        budget: BudgetConfig | None = None,
        record: Path | None = None,
        replay: Path | None = None,
        total_timeout_s: float = 300,
        max_attempts: int = 4,
        outage_s: float = LIMIT_S,
        on_wait: Callable[[str], None] | None = None,
        storage: str | None = None,
        run: str = "",
        shared: bool = False,
    ) -> Door:
        """Open a Door. Nothing is sent.

        Several workers may do the same run together, each with a Door of its own: of each request one worker
        asks and the others get its reply, the budget holds over all of them, and what a dead one was asking
        is asked by another. They have files in common (``shared``) or a database (``storage``).

        Args:
            endpoints: by provider, the first part of ``provider/model``.
            prices: by ``provider/model``; they go before all others.
            cache: SQLite file of answers; without one every call is sent.
            ledger: SQLite file of what was spent; the budget holds over all processes that use it. Without
                one it is kept in memory.
            budget: what may be spent; no request is sent that could go over it.
            record: JSONL file to which every reply is appended.
            replay: a recording that answers instead of any endpoint; no connection is made.
            total_timeout_s: seconds that one call may take with all its retries, from when it is first sent.
            max_attempts: requests that one call may send.
            outage_s: seconds without any answer of an endpoint after which waiting calls are given up.
            on_wait: is told, on the Door's thread, that such an endpoint is waited for, and why.
            storage: URL of a PostgreSQL database (``postgresql://...``) in place of ``cache`` and
                ``ledger``, for workers on any host.
            run: what the workers do together: the budget is its, and a call that failed is not asked again
                until it is started anew.
            shared: whether other workers of this host use ``cache`` and ``ledger`` at the same time.

        Raises:
            UsageError: ``shared`` without files.
            StorageError: a file or the database cannot be used.
        """
        with ExitStack() as stack:
            answers: Cache | SharedCache | None
            if storage is not None:
                answers, account = open_storage(stack, storage, budget, run)
            elif shared:
                answers, account = open_shared(stack, cache, ledger, budget, run)
            else:
                answers, account = open_alone(stack, cache, ledger, budget)
            recording = Recording(replay) if replay is not None else None
            recorder = None
            if record is not None:
                recorder = Recorder(record)
                stack.callback(recorder.close)
            stated = Prices(prices)
            caller = Caller(
                routes=Routes(endpoints, recording, outage_s=outage_s, on_wait=on_wait),
                prices=stated,
                asker=Asker(
                    prices=stated,
                    ledger=account,
                    total_timeout_s=total_timeout_s,
                    max_attempts=max_attempts,
                ),
                cache=answers,
                ledger=account,
                recorder=recorder,
            )
            return cls(
                caller=caller, prices=stated, ledger=account, endpoints=endpoints, closing=stack.pop_all()
            )
        raise AssertionError("unreachable: the stack does not swallow exceptions")

    async def acomplete(self, request: Request) -> Reply:
        """Ask ``request.model``; from any event loop.

        A call that fails gives a Reply that is not ``answered``, with its ``kind`` and ``error``.

        Raises:
            BudgetExceeded: the call could go over the budget; it was not sent.
            EndpointError: the endpoint refuses the key, lacks the model or was never reached.
            EndpointDown: the endpoint has answered nothing for ``outage_s``.
            StorageError: cache, ledger or recording cannot be read or written.
        """
        if self._loop.running_here():
            return await self._caller.ask(request)
        return await asyncio.wrap_future(self._loop.submit(self._caller.ask(request)))

    def complete(self, request: Request) -> Reply:
        """:meth:`acomplete` for threads."""
        return self._loop.run(self._caller.ask(request))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the Door's loop and give its result; Ctrl-C cancels it and what it started."""
        return self._loop.run(coroutine)

    def limit(self, budget: BudgetConfig | None, part: str = "") -> None:
        """Hold to ``budget`` from now on; what was spent before counts.

        So one part of a run can be kept from using what another will need; ``part`` says which, for the
        messages of errors, until a limit without it holds for the whole again.
        """
        self._ledger.limit(budget, part)

    def preflight(self, models: Iterable[str]) -> None:
        """Check that every model could be asked: key present and accepted, endpoint reachable, model served.

        Prices that an endpoint states are learnt on the way. No chat completion is sent.

        Raises:
            EndpointError: the first thing that is wrong.
        """
        from promptmigrate.lm.preflight import preflight

        self._loop.run(preflight(self._caller.routes, self._prices, list(models)))

    def price(self, model: str) -> Price | None:
        """What ``model`` costs, or None if nobody states it.

        Raises:
            EndpointError: there is no endpoint for it.
        """
        name = model.removeprefix("replay/").rpartition(".jsonl/")[2]
        endpoint, wire_model = resolve(name, self._endpoints)
        return self._prices.find(name, endpoint, wire_model)

    def recall(self, request: Request) -> Reply | None:
        """The reply to a request that was answered before, from the cache or a recording; asks nobody.

        Raises:
            StorageError: the cache cannot be read.
        """
        return self.run(self._caller.recall(request))

    @property
    def spend(self) -> Spend:
        """What was spent so far."""
        return self._ledger.spend

    def account(self) -> Spend:
        """What was spent, with what other workers have spent up to now.

        Raises:
            StorageError: the ledger cannot be read.
        """
        self.run(self._ledger.refresh())
        return self._ledger.spend

    def close(self) -> None:
        """Cancel what is under way, close connections and files. Again does nothing.

        Raises:
            StorageError: something could not be written to the end.
        """
        if self._loop.running_here():
            raise PromptMigrateError("a Door cannot be closed from inside its own loop")
        atexit.unregister(self.close)
        if self._loop.forked:
            return  # thread, connections and files are the parent's
        try:
            self._loop.close(self._caller.aclose())
        finally:
            self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Door(endpoints={sorted(self._endpoints)})"
