"""Taking a batch of traces to a store, whatever one of them does to it."""

from __future__ import annotations

import json
from collections.abc import Callable

from promptmigrate.gateway.spool import Batch, Spool
from promptmigrate.gateway.store import Record, Refused, Store

_REFUSALS = 3
_AGAIN_S = 0.2
"""Before the first repetition; a second one waits twice as long."""


class Delivery:
    """Delivers to one store; what it does not take is put aside. Belongs to one thread.

    Args:
        store: takes the traces.
        spool: keeps those that are put aside.
        pause: waits so many seconds, or less where there is a reason.
        trouble: is told what went wrong.
    """

    def __init__(
        self, store: Store, spool: Spool, *, pause: Callable[[float], None], trouble: Callable[[str], None]
    ) -> None:
        self._store, self._spool = store, spool
        self._pause, self._trouble = pause, trouble
        self.delivered = 0
        """Traces that the store has taken."""
        self.refused = 0
        """Traces that were put aside."""

    def ship(self, batch: Batch) -> None:
        """Deliver all of ``batch`` that can be delivered.

        Raises:
            Unavailable: the store cannot take anything now.
        """
        records: list[tuple[bytes, Record]] = []
        for line in batch.lines:
            try:
                records.append((line, json.loads(line)))
            except ValueError:
                self._put_aside(line, "a damaged line")
        self._deliver(records)

    def _deliver(self, records: list[tuple[bytes, Record]]) -> None:
        """Deliver; halve a batch that is refused until the record that spoils it is alone."""
        if not records:
            return
        try:
            self._store.send([record for _, record in records])
        except Refused as error:
            if len(records) == 1:
                self._refuse(*records[0], error)
                return
            middle = len(records) // 2
            self._deliver(records[:middle])
            self._deliver(records[middle:])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if len(records) == 1:
                self._put_aside(
                    records[0][0], f"a record that cannot be read ({type(error).__name__}: {error})"
                )
                return
            for one in records:
                self._deliver([one])
        else:
            self.delivered += len(records)

    def _refuse(self, line: bytes, record: Record, error: Refused) -> None:
        # Servers answer 422 to a locked database too, so a refusal must repeat itself to count.
        for number in range(1, _REFUSALS):
            self._pause(_AGAIN_S * number)
            try:
                self._store.send([record])
            except Refused as again:
                error = again
            else:
                self.delivered += 1
                return
        self._put_aside(line, f"a trace that the store refuses ({error})")

    def _put_aside(self, line: bytes, what: str) -> None:
        self._spool.refuse(line)
        self.refused += 1
        self._trouble(f"{what} was put into refused.jsonl")
