"""Recording calls without waiting for it: a thread that redacts and spools, and one that delivers.

A caller pays for putting one object in a queue. The spooling thread redacts and writes the record to disk
within milliseconds; the shipping thread delivers in batches, for as long as it takes, across restarts.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptmigrate.errors import StorageError
from promptmigrate.gateway.delivery import Delivery
from promptmigrate.gateway.places import spool_folder, store_uri
from promptmigrate.gateway.record import Call, build, encode
from promptmigrate.gateway.sections.traces import TraceSettings
from promptmigrate.gateway.spool import Spool
from promptmigrate.gateway.store import Unavailable

_log = logging.getLogger("promptmigrate.gateway")
BATCH = 200
"""Traces per delivery: what a server takes fastest."""
PENDING = 20_000
"""Calls that may wait in memory for the spooling thread; more are counted as dropped."""
_GATHER_S = 0.5
_PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStatus:
    """How recording goes, in calls and traces of this process."""

    recorded: int = 0
    """Calls written to the spool (or the jsonl file)."""
    delivered: int = 0
    """Traces that the store has taken, leftovers of earlier runs included."""
    refused: int = 0
    """Traces that the store does not take; they are in ``refused.jsonl`` of the spool."""
    dropped: int = 0
    """Calls that could not be kept: the spool or its disk was full."""
    last_error: str | None = None
    """Why the last delivery or write failed; None if it did not."""


class Recorder:
    """Records the calls of one route where its ``trace`` section says. Threads start with the first call."""

    def __init__(self, settings: TraceSettings, *, route: str, home: Path) -> None:
        self.settings = settings
        self._route, self._home = route, home
        self._queue: queue.SimpleQueue[Call | threading.Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._rounds = 0
        self._drained = 0
        self._busy = self._urgent = self._closing = False
        self._recorded = self._dropped = 0
        self._delivery: Delivery | None = None
        self._last_error: str | None = None
        self._threads: list[threading.Thread] = []
        self._uri = store_uri(settings) if settings.sink == "mlflow" else None
        self._spool: Spool | None = None
        if settings.sink != "none":
            folder = spool_folder(settings, route=route, home=home)
            self._spool = Spool(folder, archive=self._uri is None)

    @property
    def status(self) -> TraceStatus:
        """How recording goes."""
        return TraceStatus(
            recorded=self._recorded,
            delivered=self._delivery.delivered if self._delivery else 0,
            refused=self._delivery.refused if self._delivery else 0,
            dropped=self._dropped,
            last_error=self._last_error,
        )

    def record(self, call: Call) -> None:
        """Keep ``call``; returns at once."""
        if self._spool is None:
            return
        if self._queue.qsize() >= PENDING:
            self._dropped += 1
            return
        if not self._threads:
            self._start()
        self._queue.put(call)

    def start_leftovers(self) -> None:
        """Deliver what an earlier process left, if anything."""
        if self._spool is not None and self._uri is not None and self._spool.take(1) is not None:
            self._start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was recorded is delivered (or, for jsonl, written); False if that fails.

        Gives up early where the store does not answer: what is left stays in the spool.
        """
        if self._spool is None or not self._threads:
            return True
        deadline = time.monotonic() + timeout_s
        written = threading.Event()
        self._queue.put(written)
        if not written.wait(timeout_s):
            return False
        if self._uri is None:
            return True
        with self._idle:
            # The round under way may have looked before the last record was written: wait for a later one.
            goal = self._rounds + 2 if self._busy else self._rounds + 1
            self._urgent = True
            self._wake.set()
            while self._rounds < goal and time.monotonic() < deadline:
                self._idle.wait(max(0.0, min(0.5, deadline - time.monotonic())))
            return self._rounds >= goal and self._drained == self._rounds

    def close(self, timeout_s: float, *, exiting: bool = False) -> bool:
        """:meth:`flush`, then stop. What is not delivered stays in the spool for the next start.

        ``exiting``: the interpreter is ending, when nothing as large as MLflow can be imported any more.
        """
        if exiting and self._threads and self._needs_mlflow and "mlflow.tracing.client" not in sys.modules:
            _log.warning(
                "the traces of route '%s' wait in the spool for the next start: close the gateway before the "
                "program ends to deliver them",
                self._route,
            )
            self._closing = True
            done = False
        else:
            done = self.flush(timeout_s)
        self._closing = True
        self._queue.put(threading.Event())
        self._wake.set()
        for thread in self._threads:
            thread.join(1.0)
        if self._spool is not None and not any(thread.is_alive() for thread in self._threads):
            self._spool.close()
        return done

    def after_fork(self) -> Recorder:
        """The same recorder for a forked child, which has none of the threads."""
        if self._spool is not None:
            self._spool.abandon()
        return Recorder(self.settings, route=self._route, home=self._home)

    def _start(self) -> None:
        with self._lock:
            if self._threads:
                return
            threads = [threading.Thread(target=self._write_all, name="promptmigrate-spool", daemon=True)]
            if self._uri is not None:
                threads.append(
                    threading.Thread(target=self._ship_all, name="promptmigrate-traces", daemon=True)
                )
            self._threads = threads
        for thread in threads:
            thread.start()

    # --- spooling ----------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                if self._closing:
                    return
                continue
            self._write(item)

    def _write(self, call: Call) -> None:
        assert self._spool is not None
        try:
            line = encode(build(call), call.live.route.trace.max_bytes)
            kept = self._spool.append(line)
            if not kept:
                self._trouble("the spool is full")
        except OSError as error:
            kept = False
            self._trouble(f"a trace cannot be written: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - one odd value must not end the recording of all calls
            kept = False
            self._trouble(f"a trace cannot be built: {type(error).__name__}: {error}")
        if kept:
            self._recorded += 1
            self._wake.set()
        else:
            self._dropped += 1

    # --- shipping ----------------------------------------------------------------------------------------

    def _ship_all(self) -> None:
        from promptmigrate.gateway.ship import open_store

        assert self._uri is not None and self._spool is not None
        delivery = Delivery(open_store(self._uri), self._spool, pause=self._pause, trouble=self._trouble)
        self._delivery = delivery
        failures = 0
        while not self._closing:
            if failures:
                self._pause(_PAUSES_S[min(failures, len(_PAUSES_S)) - 1])
            else:
                self._wake.wait()
                if not self._urgent and not self._closing:
                    time.sleep(_GATHER_S)  # what comes meanwhile goes in the same batch
            with self._idle:
                self._wake.clear()
                self._urgent = False
                self._busy = True
            outcome = self._ship_waiting(delivery)
            failures = failures + 1 if outcome == "failed" else 0
            with self._idle:
                self._busy = False
                self._rounds += 1
                if outcome == "drained":
                    self._drained = self._rounds
                self._idle.notify_all()

    def _ship_waiting(self, delivery: Delivery) -> Literal["drained", "failed"]:
        assert self._spool is not None
        try:
            while (batch := self._spool.take(BATCH)) is not None:
                if self._closing:
                    return "failed"
                delivery.ship(batch)
                self._spool.delivered(batch)
                self._last_error = None
        except Unavailable as error:
            self._trouble(f"traces are kept in the spool: {error}")
            return "failed"
        except (OSError, StorageError) as error:
            self._trouble(f"the spool cannot be read: {error}")
            return "failed"
        except Exception as error:  # noqa: BLE001 - whatever it is (no MLflow, say), the traces must wait for it
            self._trouble(f"traces are kept in the spool: {type(error).__name__}: {error}")
            return "failed"
        return "drained"

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._closing and not self._urgent and time.monotonic() < deadline:
            time.sleep(min(0.05, seconds))

    @property
    def _needs_mlflow(self) -> bool:
        return self._uri is not None and not self._uri.startswith(("http://", "https://"))

    def _trouble(self, message: str) -> None:
        if self._last_error != message and not self._closing:
            _log.warning("%s", message)
        self._last_error = message
