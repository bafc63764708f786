"""Time as the policy sees it; tests give another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Time for deadlines, waits, breakers and budgets."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds that never go back."""
    time_ns: Callable[[], int] = time.time_ns
    """Nanoseconds since 1970, for traces."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
