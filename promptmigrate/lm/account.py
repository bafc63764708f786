"""The account of one run in its tables: what was spent for each purpose, and every request by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import astuple
from typing import get_args

from promptmigrate.lm.budget import Totals, Worst
from promptmigrate.lm.store import Database, Session
from promptmigrate.types import Purpose

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


class Account:
    """The totals as they were last read, with what was changed since.

    All methods work inside a transaction, which may run again after its connection was lost: it begins with
    :meth:`load` and ends with :meth:`store`.

    Args:
        database: holds the tables.
        run: whose account it is.
        worker: whose requests are written here.
    """

    def __init__(self, database: Database, run: str, worker: int) -> None:
        self._database, self._run, self._worker = database, run, worker
        self._totals: dict[Purpose, Totals] = {}
        self._changed: set[Purpose] = set()

    @property
    def totals(self) -> Mapping[Purpose, Totals]:
        """What was spent for each purpose; a purpose without an entry has none yet."""
        return self._totals

    def begin(self, session: Session) -> None:
        """Open the account, if nobody has."""
        for purpose in PURPOSES:
            session.write(
                "INSERT INTO totals (run, purpose, sent, tokens, held_tokens, nanousd, held_nanousd, "
                "unpriced) VALUES (?, ?, 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
                (self._run, purpose),
            )
        self.load(session)

    def load(self, session: Session) -> None:
        """Read the totals, and keep others from changing them until the transaction ends."""
        rows = session.rows(
            "SELECT purpose, sent, tokens, held_tokens, nanousd, held_nanousd, unpriced FROM totals "  # noqa: S608
            f"WHERE run = ? ORDER BY purpose{self._database.for_update}",
            (self._run,),
        )
        self._totals = {purpose: Totals(*numbers) for purpose, *numbers in rows}
        self._changed.clear()

    def store(self, session: Session) -> None:
        """Write what was changed."""
        for purpose in self._changed:
            session.write(
                "UPDATE totals SET sent=?, tokens=?, held_tokens=?, nanousd=?, held_nanousd=?, unpriced=? "
                "WHERE run=? AND purpose=?",
                (*astuple(self._totals[purpose]), self._run, purpose),
            )

    def reserve(self, session: Session, number: int, purpose: Purpose, model: str, worst: Worst) -> None:
        """Count a request at its worst case."""
        self._of(purpose).count(worst)
        session.write(
            "INSERT INTO requests (id, run, worker, purpose, model, state, tokens, nanousd) "
            "VALUES (?, ?, ?, ?, ?, 'reserved', ?, ?)",
            (number, self._run, self._worker, purpose, model, *worst),
        )

    def settle(
        self,
        session: Session,
        number: int,
        purpose: Purpose,
        worst: Worst,
        *,
        tokens: int,
        nanousd: int | None,
    ) -> None:
        """Count it at what it has really taken."""
        self._of(purpose).settle(worst, tokens, nanousd)
        session.write(
            "UPDATE requests SET state='settled', tokens=?, nanousd=? WHERE id=?", (tokens, nanousd, number)
        )

    def release(self, session: Session, number: int, purpose: Purpose, worst: Worst) -> None:
        """It was not sent after all."""
        self._of(purpose).count(worst, -1)
        session.write("DELETE FROM requests WHERE id=?", (number,))

    def lose(self, session: Session, number: int) -> None:
        """It was sent and no answer came: its worst case stays."""
        session.write("UPDATE requests SET state='lost' WHERE id=?", (number,))

    def under_way(self, session: Session, workers: Collection[int]) -> Worst:
        """The worst case of what ``workers`` have sent and not settled."""
        if not workers:
            return Worst(0, 0)
        rows = session.rows(
            "SELECT worker, SUM(tokens), SUM(nanousd) FROM requests WHERE run = ? AND state = 'reserved' "
            "GROUP BY worker",
            (self._run,),
        )
        held = [
            Worst(int(tokens), int(nanousd or 0)) for worker, tokens, nanousd in rows if worker in workers
        ]
        return Worst(sum(worst.tokens for worst in held), sum(worst.nanousd or 0 for worst in held))

    def _of(self, purpose: Purpose) -> Totals:
        self._changed.add(purpose)
        return self._totals[purpose]
