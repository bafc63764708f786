"""The wall time of a run: while at least one of its workers was at work."""

from __future__ import annotations

import time

from promptmigrate.lm.store import Session

_EVERY_S = 1.0


class Clock:
    """Kept as one span for each worker, whose end is written about once a second.

    Spans that overlap count once, and the time between a crash and the next start does not count.

    Args:
        sql: SQL for the time that all workers share; only the start of a span is read from it.
        worker: this process.
        run: whose time it is.
    """

    def __init__(self, sql: str, worker: int, run: str) -> None:
        self._sql, self._worker, self._run = sql, worker, run
        self._born = self._ticked = time.monotonic()
        self._started = self._before_s = 0.0

    @property
    def seconds(self) -> float:
        """Wall time of the run so far."""
        return self._before_s + time.monotonic() - self._ticked

    @property
    def due(self) -> bool:
        """Whether it should be written again."""
        return time.monotonic() - self._ticked >= _EVERY_S

    def begin(self, session: Session) -> None:
        """This worker starts now."""
        ((self._started,),) = session.rows(f"SELECT {self._sql}")
        self._born = time.monotonic()
        session.write(
            "INSERT INTO spans (worker, run, started, ended) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self._worker, self._run, self._started, self._started),
        )
        self.tick(session)

    def tick(self, session: Session) -> None:
        """This worker is still at work."""
        now = time.monotonic()
        session.write(
            "UPDATE spans SET ended = ? WHERE worker = ?", (self._started + now - self._born, self._worker)
        )
        spans = session.rows("SELECT started, ended FROM spans WHERE run = ? ORDER BY started", (self._run,))
        self._before_s, self._ticked = _covered(spans), now


def _covered(spans: list[tuple[float, float]]) -> float:
    total, until = 0.0, float("-inf")
    for started, ended in spans:
        total += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return total
