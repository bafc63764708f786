"""An endpoint that answers nothing any more: said while it lasts, and not waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from promptmigrate.errors import EndpointDown

TELL_S = 20.0
"""How often it is said that an endpoint is waited for."""
LIMIT_S = 300.0
"""Seconds without a single answer after which a run is given up."""


class Outage:
    """Whether one endpoint is down: calls are waiting for it, and since a while all of them fail.

    Belongs to one event loop.

    Args:
        where: The endpoint, for people.
        limit_s: Seconds without any answer after which :meth:`check` raises.
        say: Is told every :data:`TELL_S` seconds what is waited for.
    """

    def __init__(self, where: str, limit_s: float, say: Callable[[str], None] | None) -> None:
        self._where, self._limit_s, self._say = where, limit_s, say
        self._waiting = 0
        self._since: float | None = None
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        """A call begins."""
        self._waiting += 1

    def leave(self) -> None:
        """A call ended. Where nobody waits, nothing is known of the endpoint."""
        self._waiting -= 1
        if not self._waiting:
            self.answered()

    def answered(self) -> None:
        """The endpoint gave an answer."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def failed(self, reason: str) -> None:
        """An attempt failed because of the endpoint."""
        self._reason = reason
        if self._since is None:
            loop = asyncio.get_running_loop()
            self._since = loop.time()
            self._timer = loop.call_later(TELL_S, self._tell)

    def check(self) -> None:
        """Raise where the endpoint has been down for too long.

        Raises:
            EndpointDown: says for how long, and the last error.
        """
        if self._since is None or (seconds := self._seconds()) < self._limit_s:
            return
        raise EndpointDown(
            f"{self._where} has answered nothing for {seconds:.0f} seconds (last: {self._reason}); run the "
            "same command again when it is back: what was answered is kept"
        )

    def _seconds(self) -> float:
        return 0.0 if self._since is None else asyncio.get_running_loop().time() - self._since

    def _tell(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TELL_S, self._tell)
        if self._say is not None:
            self._say(
                f"waiting for {self._where}: no answer for {self._seconds():.0f} seconds, given up after "
                f"{self._limit_s:.0f} (last: {self._reason})"
            )
