"""Which workers are at work: each shows that it is alive by a heartbeat."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import suppress
from pathlib import Path

from promptmigrate.errors import StorageError
from promptmigrate.lm.store import Database, Session

LEASE_S = 10.0
"""A worker that has not shown itself for so long is dead: others ask what it was asking."""
BEAT_S = 2.0


def live(clock: str) -> str:
    """SQL for the workers that are alive."""
    return f"SELECT worker FROM workers WHERE beat > {clock} - {LEASE_S}"  # noqa: S608 - constants


class Workers:
    """This process among the workers of a run.

    A process that was killed on this host is seen within :data:`BEAT_S`, one on another host when its lease
    is over. ``database`` is used from a thread of its own.
    """

    def __init__(self, database: Database, run: str) -> None:
        self.run = run
        self.me = secrets.randbits(38)
        self._database = database
        self._host = _host()
        self._over = threading.Event()
        database.run(self._join)
        self._pulse = threading.Thread(target=self._beats, name="promptmigrate-heartbeat", daemon=True)
        self._pulse.start()

    def leave(self) -> None:
        """Give up everything that is held, so that nobody waits for it.

        Raises:
            StorageError: it cannot be written.
        """
        self._over.set()
        self._pulse.join()
        self._database.run(self._leave)

    def _beats(self) -> None:
        while not self._over.wait(BEAT_S):
            # A store that cannot be reached is said where it is needed; the next beat tries again.
            with suppress(StorageError):
                self._database.run(self._beat)

    def _join(self, session: Session) -> None:
        self._database.alone(session)
        self._bury(session)
        clock = self._database.clock
        session.write(f"DELETE FROM workers WHERE beat <= {clock} - {LEASE_S}")  # noqa: S608
        session.write("DELETE FROM claims WHERE worker NOT IN (SELECT worker FROM workers)")
        if not session.rows("SELECT worker FROM workers WHERE run = ?", (self.run,)):
            # A new start of the run: what failed is asked again.
            session.write("DELETE FROM failures WHERE run = ?", (self.run,))
        self._beat(session)

    def _beat(self, session: Session) -> None:
        clock = self._database.clock
        session.write(
            f"INSERT INTO workers (worker, run, host, pid, beat) VALUES (?, ?, ?, ?, {clock}) "  # noqa: S608
            "ON CONFLICT (worker) DO UPDATE SET beat = excluded.beat",
            (self.me, self.run, self._host, os.getpid()),
        )
        self._bury(session)

    def _bury(self, session: Session) -> None:
        for worker, pid in session.rows("SELECT worker, pid FROM workers WHERE host = ?", (self._host,)):
            if not _running(pid):
                session.write("DELETE FROM workers WHERE worker = ?", (worker,))

    def _leave(self, session: Session) -> None:
        session.write("DELETE FROM claims WHERE worker = ?", (self.me,))
        session.write("DELETE FROM workers WHERE worker = ?", (self.me,))


def _host() -> str:
    """This host; process numbers mean the same in all that have the same name for it."""
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            file = Path(path)
            parts.append(str(file.readlink()) if file.is_symlink() else file.read_text("ascii").strip())
    return " ".join(parts)


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # killed, but its parent has not asked for it yet
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):  # no such file on this system, or it is gone just now: the next beat sees
        return True
