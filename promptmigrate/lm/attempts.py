"""Asking an endpoint until there is a reply: limits, ledger, wire, and when it is asked again."""

from __future__ import annotations

import asyncio

from promptmigrate.errors import EndpointError
from promptmigrate.lm.ledger import Ledger
from promptmigrate.lm.limits import backoff_s
from promptmigrate.lm.prices import Price, Prices
from promptmigrate.lm.routes import Outlet, Route
from promptmigrate.lm.transports import (
    CONFIGURATION,
    RETRIED,
    Usage,
    WireError,
    WireReply,
    WireRequest,
)
from promptmigrate.types import Reply, Request

RETRY_AFTER_MAX_S = 60.0
"""A longer Retry-After is not waited for: the call fails as rate limited."""


class Asker:
    """Sends requests, each as often as it takes. All of it runs on one event loop.

    Args:
        prices: what a request may cost.
        ledger: counts it before it is sent.
        total_timeout_s: seconds that one call may take with all its retries, from when it is first sent.
        max_attempts: requests that one call may send.
    """

    def __init__(self, *, prices: Prices, ledger: Ledger, total_timeout_s: float, max_attempts: int) -> None:
        self._prices, self._ledger = prices, ledger
        self._total_timeout_s, self._max_attempts = total_timeout_s, max_attempts

    async def ask(self, route: Route, request: Request, place: int | None = None) -> Reply:
        """Ask until there is a reply; ``place`` is the place of the first attempt, if it has one already.

        Raises:
            BudgetExceeded: the call could go over the budget; it was not sent.
            EndpointError: the endpoint refuses the key, lacks the model or was never reached.
            EndpointDown: the endpoint has answered nothing for too long.
        """
        outlet = route.outlet
        assert outlet is not None
        outlet.outage.enter()
        try:
            return await self._ask_at(outlet, route, request, place)
        finally:
            outlet.outage.leave()

    async def _ask_at(self, outlet: Outlet, route: Route, request: Request, place: int | None) -> Reply:
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
                raise EndpointError(str(error), key=f"endpoints.{outlet.endpoint.name}")
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
            elif error.usage is not None:
                tokens, usd = _taken(error.usage, price)
                self._ledger.settle(number, tokens=tokens, usd=usd)
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
        tokens, cost = _taken(Usage(wire.input_tokens, wire.output_tokens, wire.cost_usd), price)
        self._ledger.settle(number, tokens=tokens, usd=cost)
        route.sizes.learn(worst_input, wire.input_tokens, wire.output_tokens)
        return wire, cost


def _taken(usage: Usage, price: Price | None) -> tuple[int, float | None]:
    """Tokens and USD."""
    usd = usage.cost_usd
    if usd is None and price is not None:
        usd = price.cost(usage.input_tokens, usage.output_tokens)
    return usage.input_tokens + usage.output_tokens, usd


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
