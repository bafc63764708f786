"""What the workers of all hosts know of each other's runs: notes in PostgreSQL, and who leads."""

from __future__ import annotations

import hashlib

from promptmigrate.lm.postgres import Postgres
from promptmigrate.lm.store import Session


class Board:
    """Notes by run and name, and the lead of a run, which its process loses when it dies.

    Args:
        url: postgresql:// URL of the storage.

    Raises:
        StorageError: it cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._database = Postgres(url)

    def post(self, run: str, name: str, content: str) -> str:
        """Leave a note, unless there is one; the note that is there then."""

        def work(session: Session) -> str:
            session.write(
                "INSERT INTO notes (run, name, content) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (run, name, content),
            )
            ((found,),) = session.rows("SELECT content FROM notes WHERE run = ? AND name = ?", (run, name))
            return str(found)

        return self._database.run(work)

    def read(self, run: str, name: str) -> str | None:
        """The note; None if there is none."""
        rows = self._database.run(
            lambda session: session.rows("SELECT content FROM notes WHERE run = ? AND name = ?", (run, name)),
            "read",
        )
        return str(rows[0][0]) if rows else None

    def swap(self, run: str, name: str, old: str | None, new: str | None) -> bool:
        """Put ``new`` in the place of the note ``old`` (None: of no note); False: there was another one.

        No two notes of a name must ever be alike: what is found to be ``new`` was put there by an attempt
        whose answer was lost.
        """

        def work(session: Session) -> bool:
            self._database.alone(session, f"{run} {name}")
            rows = session.rows("SELECT content FROM notes WHERE run = ? AND name = ?", (run, name))
            found = str(rows[0][0]) if rows else None
            if found == old != new:
                session.write("DELETE FROM notes WHERE run = ? AND name = ?", (run, name))
                if new is not None:
                    session.write("INSERT INTO notes (run, name, content) VALUES (?, ?, ?)", (run, name, new))
            return found in (old, new)

        return self._database.run(work)

    def erase(self, run: str, name: str) -> None:
        """Take a note away."""
        self._database.run(
            lambda session: session.write("DELETE FROM notes WHERE run = ? AND name = ?", (run, name))
        )

    def runs(self, name: str, *, without: str) -> dict[str, str]:
        """Run -> its note ``name``, for runs that have no note ``without``."""
        rows = self._database.run(
            lambda session: session.rows(
                "SELECT run, content FROM notes AS n WHERE name = ? AND NOT EXISTS "
                "(SELECT 1 FROM notes AS other WHERE other.run = n.run AND other.name = ?) ORDER BY run",
                (name, without),
            ),
            "read",
        )
        return {str(run): str(content) for run, content in rows}

    def lead(self, run: str) -> bool:
        """Try to lead ``run``; the lead ends when this Board is closed or its process dies."""
        number = int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big", signed=True)
        rows = self._database.run(
            lambda session: session.rows("SELECT pg_try_advisory_lock(?)", (number,)), "read"
        )
        return bool(rows[0][0])

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
