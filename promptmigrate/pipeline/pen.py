"""Who writes the result of a run, where several hosts could: the lead alone does not tell.

The lead of a run is lost with the connection to the shared storage, and so another host may have it while the
first is still writing. Therefore who writes shows it by a note that changes all the time; another host takes
the pen only from one whose note stands still while the storage can be read.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from promptmigrate.errors import StorageError
from promptmigrate.lm import Board

_NOTE = "pen"
_BEAT_S = 1.0
_STILL = 10
"""So often in a row, a second apart, the note was read as it was before: whoever wrote it is gone."""


class Pen:
    """The right to write the result of ``run``; one process at a time has it.

    Args:
        board: The notes that all workers share.
        run: Id of the run.
    """

    def __init__(self, board: Board, run: str) -> None:
        self._board, self._run = board, run
        self._me = secrets.token_hex(8)
        self._turn = 0
        self._held: str | None = None
        self._seen: str | None = None
        self._unchanged = 0
        self._moving = threading.Lock()

    def free(self) -> bool:
        """Whether nobody writes, as far as can be told by now; ask again every second.

        Raises:
            StorageError: the storage cannot be read.
        """
        note = self._board.read(self._run, _NOTE)
        self._unchanged = self._unchanged + 1 if note == self._seen else 0
        self._seen = note
        return note is None or self._unchanged >= _STILL

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the pen, after it was :meth:`free`, until the block ends.

        Raises:
            StorageError: another process was faster.
        """
        self._move(self._seen)
        over = threading.Event()
        pulse = threading.Thread(target=self._beats, args=(over,), name="promptmigrate-pen", daemon=True)
        pulse.start()
        try:
            yield
        finally:
            over.set()
            pulse.join()
            with suppress(StorageError):  # the note then stands still, which tells the others as well
                self._board.swap(self._run, _NOTE, self._held, None)
            self._held = None

    def check(self) -> None:
        """Make sure that it is still held, before something is done that cannot be done twice.

        Raises:
            StorageError: another process has it, or the storage cannot be reached.
        """
        self._move()

    def _beats(self, over: threading.Event) -> None:
        while not over.wait(_BEAT_S):
            with suppress(StorageError):  # said by check(), where it matters
                self._move()

    def _move(self, first: str | None = None) -> None:
        with self._moving:
            old = self._held or first
            self._turn += 1
            new = f"{self._me} {self._turn}"
            if not self._board.swap(self._run, _NOTE, old, new):
                raise StorageError(
                    f"the shared storage was away, and another process writes the result of run {self._run} "
                    "now; wait for it on that host"
                )
            self._held = new
