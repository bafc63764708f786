"""One event loop on one background thread: where all asynchronous work of a Door happens."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from promptmigrate.errors import PromptMigrateError

T = TypeVar("T")
_DRAIN_S = 10.0
"""How long an interrupted call may take to stop what it had started."""


class BackgroundLoop:
    """Runs coroutines for synchronous callers and other event loops. Its thread starts at the first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def forked(self) -> bool:
        """Whether this process is a child of the one that made it."""
        return os.getpid() != self._pid

    def running_here(self) -> bool:
        """Whether the caller is a coroutine on this loop."""
        return self.loop is not None and asyncio._get_running_loop() is self.loop

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start ``coroutine`` on the loop; cancelling the future cancels it.

        Raises:
            PromptMigrateError: closed, or in a process forked from the one that opened it.
        """
        with self._open(coroutine) as loop:
            return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` on the loop and wait for it.

        An interrupt (Ctrl-C) cancels it, waits until it has stopped, and goes on.

        Raises:
            PromptMigrateError: called on the loop itself, closed, closed meanwhile, or after a fork.
        """
        if self.running_here():
            coroutine.close()
            raise PromptMigrateError(
                "a synchronous call inside the Door's own loop would wait for itself; await acomplete instead"
            )
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            task = asyncio.get_running_loop().create_task(coroutine)
            tasks.append(task)
            task.add_done_callback(partial(_hand_over, outcome))

        def stop() -> None:
            if tasks:
                tasks[0].cancel()
            else:  # interrupted before start was handed over; calls keep their order
                coroutine.close()
                outcome.cancel()
                outcome.set_running_or_notify_cancel()

        try:
            with self._open(coroutine) as loop:
                loop.call_soon_threadsafe(start)
            return outcome.result()
        except concurrent.futures.CancelledError:
            raise PromptMigrateError("the Door was closed while a call was under way") from None
        except BaseException as error:
            # One of ours that is not the outcome says that nothing was handed over.
            if not outcome.done() and not isinstance(error, PromptMigrateError) and self.loop is not None:
                self.loop.call_soon_threadsafe(stop)
                concurrent.futures.wait([outcome], timeout=_DRAIN_S)
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel what is under way, run ``last`` on the loop and stop. Again does nothing."""
        with self._lock:
            loop, thread, closed = self.loop, self._thread, self._closed
            self._closed = True
        if closed or loop is None or thread is None:
            last.close()
            return
        asyncio.run_coroutine_threadsafe(_wind_down(last), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    @contextmanager
    def _open(self, coroutine: Coroutine[Any, Any, Any]) -> Iterator[asyncio.AbstractEventLoop]:
        """The running loop, held open: what is handed over in here comes before the winding down."""
        if self.forked:
            coroutine.close()
            raise PromptMigrateError(
                "this Door was opened before the process forked; open a new one in the child process"
            )
        with self._lock:
            if self._closed:
                coroutine.close()
                raise PromptMigrateError("this Door is closed")
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self.loop,), name="promptmigrate-door", daemon=True
                )
                self._thread.start()
            yield self.loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


def _hand_over(outcome: concurrent.futures.Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        outcome.cancel()
        outcome.set_running_or_notify_cancel()
    elif error := task.exception():
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


async def _wind_down(last: Coroutine[Any, Any, None]) -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    with suppress(TimeoutError):  # a task that will not stop must not keep the process
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), _DRAIN_S)
    await last
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
