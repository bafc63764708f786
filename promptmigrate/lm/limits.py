"""How hard an endpoint is pushed: adaptive concurrency, a gate for Retry-After, a budget for retries."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import suppress

START = 32
"""Requests in flight at first; the slow start doubles them each round until the endpoint objects."""
_GATE_BASE_S, _GATE_MAX_S = 0.5, 20.0


class Limiter:
    """Adaptive concurrency of one endpoint: additive increase, multiplicative decrease.

    Starts at :data:`START`, grows by one per success until the endpoint throttles for the first time and by
    one per round of successes afterwards; a throttled round halves it, once. A throttled endpoint is left
    alone for as long as it asks, else for a time that doubles with each throttled round. Belongs to one event
    loop.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.limit = float(min(START, maximum))
        self.in_flight = 0
        self._epoch = 0
        self._slow_start = True
        self._throttled_rounds = 0
        self._open_at = 0.0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, *, again: bool = False) -> int:
        """Wait for a place; gives the round it belongs to. A retry (``again``) goes to the front."""
        if self._free() and (again or not self._queue):
            self.in_flight += 1
            return self._epoch
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._queue.appendleft if again else self._queue.append)(place)
        self._wake()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # the place was given at the same moment
                self.release()
            else:
                with suppress(ValueError):  # it may have been dropped from the queue already
                    self._queue.remove(place)
            raise
        return self._epoch

    def release(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        """The endpoint answered."""
        self._throttled_rounds = 0
        if self.limit < self.maximum:
            self.limit = min(self.maximum, self.limit + (1.0 if self._slow_start else 1.0 / self.limit))

    def throttled(self, epoch: int, retry_after_s: float | None) -> None:
        """The endpoint said 429 or 503 to a request of round ``epoch``."""
        now = asyncio.get_running_loop().time()
        self._slow_start = False
        if retry_after_s is not None:
            self._open_at = max(self._open_at, now + retry_after_s)
        if epoch != self._epoch:
            return
        self._epoch += 1
        self.limit = max(1.0, self.limit / 2)
        if retry_after_s is None:
            pause = min(_GATE_MAX_S, _GATE_BASE_S * 2**self._throttled_rounds)
            self._open_at = max(self._open_at, now + pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
        self._throttled_rounds += 1

    def _free(self) -> bool:
        return self.in_flight < int(self.limit) and asyncio.get_running_loop().time() >= self._open_at

    def _wake(self) -> None:
        while self._queue and self._free():
            place = self._queue.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)
        if self._queue and self._timer is None:
            loop = asyncio.get_running_loop()
            if loop.time() < self._open_at:
                self._timer = loop.call_at(self._open_at + 0.001, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake()


class RetryBudget:
    """Bounds how much retries add to the load in an outage: a fifth of the requests, and a floor.

    Throttling (429) is not charged: the :class:`Limiter` sees to it.
    """

    def __init__(self, *, share: float = 0.2, floor: float = 20.0) -> None:
        self._share, self._floor = share, floor
        self._tokens = floor

    def earn(self) -> None:
        """A first attempt was made."""
        self._tokens = min(self._floor * 5, self._tokens + self._share)

    def take(self) -> bool:
        """Whether one more retry is allowed; takes it."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def backoff_s(attempt: int) -> float:
    """Seconds to wait after ``attempt`` (from 1): exponential with full jitter, at most 8."""
    return random.uniform(0, min(8.0, 0.5 * 2 ** (attempt - 1)))  # noqa: S311 - jitter
