"""Waiting for a coroutine in synchronous code."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def wait_for(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of ``coroutine``, from synchronous code, whether or not a loop runs in this thread."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # A notebook or an async test: its loop cannot be entered again, so the work gets a thread of its own.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
