"""What keeps an outage from spreading: a breaker per variant, a budget for retries, places for calls."""

from __future__ import annotations

import asyncio
from collections import deque

from promptmigrate.errors import CallFailed
from promptmigrate.gateway.sections.serving import Breaker as BreakerSettings
from promptmigrate.gateway.sections.serving import Concurrency

_BURST = 10.0


class Breaker:
    """Leaves a failing variant alone.

    ``failures`` in a row, the first no older than ``window_s``, open it for ``open_s``; then one call may
    probe: its success closes the breaker, its failure opens it again. An error that shows that the upstream
    is there (a refused request) counts as a success.
    """

    def __init__(self, settings: BreakerSettings) -> None:
        self.settings = settings
        self._failures: deque[float] = deque()
        self._opened: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether it was opened and has not been closed since."""
        return self._opened is not None

    def allows(self, now: float) -> bool:
        """Whether a request may be sent; one that may must be followed by exactly one verdict."""
        if self._opened is None:
            return True
        if self._probing or now - self._opened < self.settings.open_s:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Verdict: the upstream is there."""
        self._failures.clear()
        self._opened = None
        self._probing = False

    def failed(self, now: float) -> None:
        """Verdict: the upstream is not there."""
        self._failures.append(now)
        while (
            now - self._failures[0] > self.settings.window_s or len(self._failures) > self.settings.failures
        ):
            self._failures.popleft()
        if self._probing or len(self._failures) >= self.settings.failures:
            self._opened = now
        self._probing = False

    def unknown(self) -> None:
        """No verdict: the call was given up before one."""
        self._probing = False


class RetryBudget:
    """Retries as a share of calls, and one per second on top, so that a brown-out is not made worse.

    A token bucket (Finagle's retry budget): each call brings ``ratio`` tokens, each second one, a retry costs
    one; at most 10 are kept.
    """

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio
        self._tokens = _BURST
        self._then = 0.0

    def call(self) -> None:
        """A call came in."""
        self._tokens = min(_BURST, self._tokens + self.ratio)

    def take(self, now: float) -> bool:
        """Whether a retry may be sent; if so, it is paid."""
        if self._then:
            self._tokens = min(_BURST, self._tokens + max(0.0, now - self._then))
        self._then = now
        if self._tokens < 1 - 1e-9:  # ten tenths must make one
            return False
        self._tokens -= 1
        return True


class Places:
    """At most ``max`` calls at once; at most ``queue`` wait, in order, for ``queue_timeout_s``."""

    def __init__(self, settings: Concurrency) -> None:
        self.settings = settings
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, patience_s: float) -> None:
        """Take a place, waiting at most ``patience_s`` (and ``queue_timeout_s``).

        Raises:
            CallFailed: the queue is full, or the wait was in vain; nothing was sent.
        """
        if self._taken < self.settings.max and not self._waiting:
            self._taken += 1
            return
        if len(self._waiting) >= self.settings.queue:
            raise CallFailed(
                f"{self._taken} calls are in flight and {len(self._waiting)} are waiting, as many as "
                "'concurrency' allows; nothing was sent",
                kind="rate_limited",
                attempts=0,
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        patience_s = min(patience_s, self.settings.queue_timeout_s)
        try:
            async with asyncio.timeout(patience_s):
                await place
        except TimeoutError:
            self._give_up(place)
            raise CallFailed(
                f"no place became free within {patience_s:.3g} s ({self._taken} calls in flight); "
                "nothing was sent",
                kind="rate_limited",
                attempts=0,
            ) from None
        except BaseException:
            self._give_up(place)
            raise

    def leave(self) -> None:
        """Give the place back."""
        self._taken -= 1
        self.wake()

    def wake(self) -> None:
        """Let in who may come in (after a place became free or the settings changed)."""
        while self._waiting and self._taken < self.settings.max:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)

    def _give_up(self, place: asyncio.Future[None]) -> None:
        if place.done() and not place.cancelled():  # the place came at the same moment
            self.leave()
        elif place in self._waiting:
            self._waiting.remove(place)
