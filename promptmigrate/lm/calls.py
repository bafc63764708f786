"""What happens to one request: key, cache, single flight, limits, ledger, wire, cache."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from promptmigrate.errors import EndpointError
from promptmigrate.lm.cache import Cache
from promptmigrate.lm.claims import Place, SharedCache
from promptmigrate.lm.keys import request_key
from promptmigrate.lm.ledger import Ledger
from promptmigrate.lm.limits import backoff_s
from promptmigrate.lm.prices import Prices
from promptmigrate.lm.record import Recorder, Recording
from promptmigrate.lm.routes import Outlet, Route, Routes
from promptmigrate.lm.transports import (
    CONFIGURATION,
    RETRIED,
    WireError,
    WireReply,
    WireRequest,
)
from promptmigrate.types import Reply, Request

RETRY_AFTER_MAX_S = 60.0
"""A longer Retry-After is not waited for: the call fails as rate limited."""


class Caller:
    """Answers requests. All of it runs on one event loop."""

    def __init__(
        self,
        *,
        routes: Routes,
        prices: Prices,
        cache: Cache | SharedCache | None,
        ledger: Ledger,
        recorder: Recorder | None,
        total_timeout_s: float,
        max_attempts: int,
    ) -> None:
        self.routes, self._prices = routes, prices
        self._cache, self._ledger, self._recorder = cache, ledger, recorder
        self._total_timeout_s, self._max_attempts = total_timeout_s, max_attempts
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
        reply = await self._attempts(route, request)
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
            reply = await cache.keep(key, await self._attempts(route, request, epoch))
        except BaseException:
            cache.release(key)
            raise
        if self._recorder is not None:
            self._recorder.add(key, reply)
        return reply

    async def _attempts(self, route: Route, request: Request, place: int | None = None) -> Reply:
        """Ask until there is a reply; ``place`` is the place of the first attempt, if it has one already."""
        outlet = route.outlet
        assert outlet is not None
        outlet.outage.enter()
        try:
            return await self._attempts_at(outlet, route, request, place)
        finally:
            outlet.outage.leave()

    async def _attempts_at(self, outlet: Outlet, route: Route, request: Request, place: int | None) -> Reply:
        loop = asyncio.get_running_loop()
        outlet.retries.earn()
        deadline = 0.0
        attempt = sent = 0
        error: WireError | None = None
        while True:
            attempt += 1
            if error is None:
                epoch = await outlet.limiter.acquire() if place is None else place
                # Waiting for the first place is our own queue, not the provider's time.
                deadline = loop.time() + self._time_left()
            else:
                try:
                    async with asyncio.timeout_at(deadline):
                        epoch = await outlet.limiter.acquire(again=True)
                except TimeoutError:
                    return _failed(error, request, sent)
            try:
                outlet.outage.check()
                wire, cost = await self._attempt(route, outlet, request, deadline - loop.time())
            except WireError as failure:
                error = failure
                _throttle(outlet, error, epoch)
            else:
                outlet.contacted = True
                outlet.limiter.succeeded()
                outlet.outage.answered()
                return _answered(wire, cost, sent + 1)
            finally:
                outlet.limiter.release()
            if error.fault in CONFIGURATION or (error.fault == "unreachable" and not outlet.contacted):
                raise EndpointError(str(error))
            outlet.contacted = True
            if error.fault in RETRIED or error.fault == "silent":
                outlet.outage.failed(str(error))
                outlet.outage.check()
            else:  # it answered, though not what was asked for
                outlet.outage.answered()
            sent += error.sent
            wait = self._wait_before_retry(outlet, error, attempt)
            if wait is None or loop.time() + wait >= deadline:
                return _failed(error, request, sent)
            await asyncio.sleep(wait)

    def _time_left(self) -> float:
        left = self._ledger.remaining_s()
        return self._total_timeout_s if left is None else max(0.001, min(self._total_timeout_s, left))

    def _wait_before_retry(self, outlet: Outlet, error: WireError, attempt: int) -> float | None:
        """Seconds to wait before asking again, or None if it is over."""
        asked = error.retry_after_s
        if error.fault not in RETRIED or attempt >= self._max_attempts or _too_long(error):
            return None
        if error.fault != "rate_limited" and not outlet.retries.take():
            return None
        if asked is not None and _throttled(error):
            return 0.0  # the limiter keeps the gate shut for that long
        return max(backoff_s(attempt), asked or 0.0)

    async def _attempt(
        self, route: Route, outlet: Outlet, request: Request, left_s: float
    ) -> tuple[WireReply, float | None]:
        """One request on the wire, counted before it is sent and settled after; with its cost in USD."""
        worst_input, worst_output = route.sizes.worst(request.messages, request.params)
        price = self._prices.find(route.model, outlet.endpoint, route.wire_model)
        number = await self._ledger.reserve(
            request.purpose,
            route.model,
            tokens=worst_input + worst_output,
            usd=None if price is None else price.cost(worst_input, worst_output),
        )
        try:
            wire = await outlet.transport.send(
                WireRequest(
                    model=route.wire_model,
                    messages=request.messages,
                    params=request.params,
                    timeout_s=min(outlet.endpoint.timeout_s, max(left_s, 0.001)),
                )
            )
        except WireError as error:
            if not error.sent:
                self._ledger.release(number)
            elif error.maybe_billed:
                self._ledger.lose(number)
            else:
                self._ledger.settle(number, tokens=0, usd=0.0)
            raise
        except EndpointError:  # found before sending: there is no key
            self._ledger.release(number)
            raise
        except BaseException:  # cancelled: it may have reached the provider
            self._ledger.lose(number)
            raise
        cost = wire.cost_usd
        if cost is None and price is not None:
            cost = price.cost(wire.input_tokens, wire.output_tokens)
        self._ledger.settle(number, tokens=wire.input_tokens + wire.output_tokens, usd=cost)
        route.sizes.learn(worst_input, wire.input_tokens, wire.output_tokens)
        return wire, cost


def _throttled(error: WireError) -> bool:
    return error.fault == "rate_limited" or error.status in {503, 529}


def _too_long(error: WireError) -> bool:
    return error.retry_after_s is not None and error.retry_after_s > RETRY_AFTER_MAX_S


def _throttle(outlet: Outlet, error: WireError, epoch: int) -> None:
    """Slow down where the endpoint asks for it; before the place is given to the next."""
    if _throttled(error):
        outlet.limiter.throttled(epoch, None if _too_long(error) else error.retry_after_s)


def _answered(wire: WireReply, cost: float | None, attempts: int) -> Reply:
    return Reply(
        kind=wire.kind,
        text=wire.text,
        model=wire.model,
        finish_reason=wire.finish_reason,
        input_tokens=wire.input_tokens,
        output_tokens=wire.output_tokens,
        cost_usd=cost,
        latency_s=wire.latency_s,
        attempts=attempts,
        status=wire.status,
    )


def _failed(error: WireError, request: Request, sent: int) -> Reply:
    return Reply(kind=error.kind, model=request.model, attempts=sent, status=error.status, error=str(error))


def _recorded(recording: Recording, key: bytes, request: Request) -> Reply:
    reply = recording.get(key)
    if reply is None:
        last = request.messages[-1]["content"] if request.messages else ""
        raise EndpointError(
            f"the recording {recording.path} has no reply of '{request.model}' (repeat {request.repeat}, "
            f"parameters {dict(request.params)}) to a request that ends with {last[-80:]!r}; record it again"
        )
    return reply
