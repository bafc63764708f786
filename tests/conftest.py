from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _loop_to_go_back_to() -> Iterator[None]:
    """pytest-asyncio makes the event loop that it goes back to where there is none yet, and never closes it:
    the garbage collector then complains in the middle of some other test."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
