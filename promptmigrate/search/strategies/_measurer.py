"""Measuring for code that knows no budget: what is asked for is paid once, or ends whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

from promptmigrate.errors import PromptMigrateError
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.table import Cell, Table
from promptmigrate.types import Example


class MissingOutcomeError(PromptMigrateError):
    """A row could not be evaluated; DSPy knows only exceptions for that."""


class Stop(BaseException):
    """Ends an optimizer from inside. Not an Exception: optimizers swallow those and go on."""


class Measurer:
    """Answers for an optimizer: each (prompt, row) is evaluated once, and never more than may be spent.

    Args:
        table: Where measurements and the count of calls live.
        admit: Whether a candidate may be measured at all; asked before anything is spent on it.
        calls_per_row: What one row costs.
        reserve: Calls that are kept back.
    """

    def __init__(
        self,
        table: Table,
        *,
        admit: Callable[[Candidate], bool],
        calls_per_row: int,
        reserve: int = 0,
    ) -> None:
        self.admit = admit
        self._table, self._calls_per_row, self._reserve = table, calls_per_row, reserve
        self._waiting: dict[tuple[str, str], tuple[Candidate, Example]] = {}
        self._queue = threading.Lock()
        self._work = threading.Lock()
        self._closed = False
        self.failure: Exception | None = None
        """The first error that ends the search."""

    def __deepcopy__(self, memo: object) -> Measurer:
        return self  # optimizers copy programs; the table is one

    @property
    def left(self) -> int:
        """Calls that may still be made here."""
        return max(0, self._table.left - self._reserve)

    def charge(self, calls: int = 1) -> None:
        """Count ``calls`` that are about to be made elsewhere.

        Raises:
            Stop: they are more than is left.
        """
        with self._work:
            self._stop_beyond(calls)
            self._table.charge(calls)

    def need(self, calls: int) -> None:
        """Go on only if ``calls`` are left.

        Raises:
            Stop: they are not.
        """
        with self._work:
            self._stop_beyond(calls)

    def fail(self, error: Exception) -> NoReturn:
        """End the search because of ``error``.

        Raises:
            Stop: always.
        """
        self.failure = self.failure or error
        raise Stop from error

    def measure(self, candidate: Candidate, examples: Sequence[Example]) -> None:
        """Measure what is missing, all rows at once or none.

        Raises:
            Stop: it is more than is left, or an error ends the search.
        """
        with self._work:
            self._measure([candidate], examples)

    def cell(self, candidate: Candidate, example: Example) -> Cell | None:
        """The measured cell; None if the call failed. What threads ask for meanwhile is evaluated together.

        Raises:
            Stop: see :meth:`measure`.
        """
        with self._queue:
            self._waiting[candidate.key, example.id] = (candidate, example)
        with self._work:
            if self._table.cell(candidate, example) is None:
                with self._queue:
                    waiting, self._waiting = self._waiting, {}
                groups: dict[str, list[tuple[Candidate, Example]]] = {}
                for (key, _), pair in sorted(waiting.items()):
                    groups.setdefault(key, []).append(pair)
                for pairs in groups.values():
                    self._measure([pairs[0][0]], [row for _, row in pairs])
            found = self._table.cell(candidate, example)
        return found if found is not None and found.quality is not None else None

    def close(self) -> None:
        """Wait for what is being evaluated; nothing is from now on."""
        with self._work:
            self._closed = True

    def _measure(self, candidates: Sequence[Candidate], examples: Sequence[Example]) -> None:
        self._stop_beyond(self._table.missing(candidates, examples) * self._calls_per_row)
        try:
            self._table.measure(candidates, examples)
        except Exception as error:  # noqa: BLE001 - kept and raised outside: optimizers swallow all they meet
            self.fail(error)

    def _stop_beyond(self, calls: int) -> None:
        if self._closed or self.failure is not None or calls > self.left:
            raise Stop
