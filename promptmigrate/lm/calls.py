"""What happens to one request: key, cache, single flight, other workers, and only then the endpoint."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from promptmigrate.errors import EndpointError
from promptmigrate.lm.attempts import Asker
from promptmigrate.lm.cache import Cache
from promptmigrate.lm.claims import Place, SharedCache
from promptmigrate.lm.keys import request_key
from promptmigrate.lm.ledger import Ledger
from promptmigrate.lm.prices import Prices
from promptmigrate.lm.record import Recorder, Recording
from promptmigrate.lm.routes import Route, Routes
from promptmigrate.types import Reply, Request


class Caller:
    """Answers requests. All of it runs on one event loop."""

    def __init__(
        self,
        *,
        routes: Routes,
        prices: Prices,
        asker: Asker,
        cache: Cache | SharedCache | None,
        ledger: Ledger,
        recorder: Recorder | None,
    ) -> None:
        self.routes, self._prices, self._asker = routes, prices, asker
        self._cache, self._ledger, self._recorder = cache, ledger, recorder
        self._flights: dict[bytes, asyncio.Future[Reply | None]] = {}

    async def ask(self, request: Request) -> Reply:
        """The reply to ``request``; see :meth:`promptmigrate.lm.Door.acomplete`."""
        route = self.routes.find(request.model)
        key = request_key(route.identity, route.wire_model, request.messages, request.params, request.repeat)
        if route.recording is not None:
            return self._free(key, _recorded(route.recording, key, request))
        if self._cache is None:
            return await self._ask_upstream(route, request, key)
        while (flight := self._flights.get(key)) is not None:
            shared = await asyncio.shield(flight)
            if shared is not None:
                self._ledger.cached += shared.answered
                return replace(shared, cached=shared.answered, attempts=0)
        if isinstance(self._cache, Cache) and (hit := self._cache.get(key)) is not None:
            return self._free(key, self._priced(route, hit))
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        reply: Reply | None = None
        try:
            if isinstance(self._cache, SharedCache):
                reply = await self._ask_together(self._cache, route, request, key)
            else:
                reply = await self._ask_upstream(route, request, key)
            return reply
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # nobody need wait for it
            raise
        finally:
            del self._flights[key]
            if not flight.done():
                # None: whoever asked was cancelled, and one of those who wait for it asks instead.
                flight.set_result(reply)

    async def recall(self, request: Request) -> Reply | None:
        """The reply to ``request`` that is kept; nobody is asked, nothing is counted."""
        route = self.routes.find(request.model)
        key = request_key(route.identity, route.wire_model, request.messages, request.params, request.repeat)
        if route.recording is not None:
            return route.recording.get(key)
        if isinstance(self._cache, SharedCache):
            return await self._cache.find(key)
        found = None if self._cache is None else self._cache.get(key)
        return None if found is None else self._priced(route, found)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.routes.aclose()

    # --- asking ------------------------------------------------------------------------------------------

    def _priced(self, route: Route, reply: Reply) -> Reply:
        """``reply`` with its cost, where the price has become known since it was kept."""
        if reply.cost_usd is not None or route.outlet is None:
            return reply
        price = self._prices.find(route.model, route.outlet.endpoint, route.wire_model)
        if price is None:
            return reply
        return replace(reply, cost_usd=price.cost(reply.input_tokens, reply.output_tokens))

    def _free(self, key: bytes, reply: Reply) -> Reply:
        self._ledger.cached += reply.answered
        if self._recorder is not None:
            self._recorder.add(key, reply)
        return reply

    async def _ask_upstream(self, route: Route, request: Request, key: bytes) -> Reply:
        reply = await self._asker.ask(route, request)
        if isinstance(self._cache, Cache) and reply.answered:
            await self._cache.put(key, reply)
        if self._recorder is not None:
            self._recorder.add(key, reply)
        return reply

    async def _ask_together(self, cache: SharedCache, route: Route, request: Request, key: bytes) -> Reply:
        """Ask, unless another worker has asked or is asking."""
        assert route.outlet is not None
        limiter = route.outlet.limiter
        place = Place(route.outlet.endpoint.identity, limiter.maximum)
        while True:
            found = await cache.find(key)
            if found is None:
                # Claimed only with a place at hand: what waits in our own queue is left to the others.
                epoch = await limiter.acquire()
                try:
                    claimed = await cache.claim(key, place)
                except BaseException:
                    limiter.release()
                    cache.release(key)  # it may have been given just as we were cancelled
                    raise
                if claimed == "mine":
                    break
                limiter.release()
                if claimed == "full":
                    await cache.later()
                found = claimed if isinstance(claimed, Reply) else None
            if found is not None:
                return self._free(key, self._priced(route, found))
        try:
            reply = await cache.keep(key, await self._asker.ask(route, request, epoch))
        except BaseException:
            cache.release(key)
            raise
        if self._recorder is not None:
            self._recorder.add(key, reply)
        return reply


def _recorded(recording: Recording, key: bytes, request: Request) -> Reply:
    reply = recording.get(key)
    if reply is None:
        last = request.messages[-1]["content"] if request.messages else ""
        raise EndpointError(
            f"the recording {recording.path} has no reply of '{request.model}' (repeat {request.repeat}, "
            f"parameters {dict(request.params)}) to a request that ends with {last[-80:]!r}; record it again"
        )
    return reply
