"""Records on disk until they are delivered: append-only files, bounded, shared by several processes.

Each writer has a name of its own and holds the lock ``<writer>.lock`` as long as it lives; what a dead writer
left is adopted by whoever gets its lock. How much of a segment has been delivered is kept beside it, so a
restart goes on where the last one stopped. A record that is delivered twice after a crash has the same ids
and overwrites itself in the store.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from promptmigrate.errors import StorageError
from promptmigrate.files import atomic_write

if sys.platform != "win32":  # there, leftovers of other writers are not adopted
    import fcntl

SEGMENT_BYTES = 8_000_000
SPOOL_BYTES = 1_000_000_000
_READ_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines of one segment from ``start``; delivered up to ``end`` once they are."""

    segment: Path
    lines: tuple[bytes, ...]
    end: int


class Spool:
    """The files of one route in ``folder``. One thread appends, one thread takes.

    Args:
        folder: made if it is not there.
        segment_bytes: a file longer than this is followed by the next one.
        spool_bytes: what may wait at most; more is not taken.
        archive: the files are kept for good, without locks and without a limit.

    Raises:
        StorageError: the folder cannot be made or written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        spool_bytes: int = SPOOL_BYTES,
        archive: bool = False,
    ) -> None:
        self.folder = folder
        self._segment_bytes, self._spool_bytes = segment_bytes, spool_bytes
        self._lock = threading.Lock()
        self._writer = os.urandom(6).hex()
        self._number = 0
        self._handle: int | None = None
        self._current: Path | None = None
        self._size = 0
        self._waiting_bytes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._locks = {} if archive else {self._writer: _lock(folder / f"{self._writer}.lock")}
        except OSError as error:
            raise StorageError(f"{folder}: traces cannot be kept here: {error.strerror or error}") from error
        if archive:  # nothing is ever taken: the files are what is wanted, and their owner clears them away
            self._spool_bytes = sys.maxsize
        else:
            self.adopt()

    def append(self, line: bytes) -> bool:
        """Keep one record (a line with its newline); False if the spool is full.

        Raises:
            OSError: the disk does not take it; nothing of it stays.
        """
        with self._lock:
            if self._waiting_bytes + len(line) > self._spool_bytes:
                return False
            if self._handle is None or self._size >= self._segment_bytes:
                self._rotate()
            assert self._handle is not None
            try:
                written = os.write(self._handle, line)
                if written != len(line):
                    raise OSError(28, "No space left on device")
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, self._size)
                raise
            self._size += written
            self._waiting_bytes += written
            return True

    def take(self, limit: int) -> Batch | None:
        """The oldest records that are not delivered, at most ``limit``; None if there are none."""
        for segment in self._segments():
            at = self._offset(segment)
            with segment.open("rb") as stream:
                stream.seek(at)
                data = stream.read(_READ_BYTES)
                while data and b"\n" not in data and (more := stream.read(_READ_BYTES)):
                    data += more
            end = at
            lines: list[bytes] = []
            for line in data.splitlines(keepends=True):
                if len(lines) == limit or not line.endswith(b"\n"):
                    break
                lines.append(line)
                end += len(line)
            if lines:
                return Batch(segment, tuple(lines), end)
            self._finish(segment)
        return None

    def delivered(self, batch: Batch) -> None:
        """Remember that ``batch`` is done with."""
        atomic_write(_beside(batch.segment), str(batch.end))
        with self._lock:
            self._waiting_bytes -= sum(map(len, batch.lines))

    def refuse(self, line: bytes) -> None:
        """Put aside a record that the store does not take."""
        handle = os.open(self.folder / "refused.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def adopt(self) -> None:
        """Take over what writers that are gone have left."""
        if sys.platform == "win32":
            return
        left = {path.name.partition("-")[0] for path in self.folder.glob("*-*.jsonl")}
        for path in self.folder.glob("*.lock"):
            if path.stem in self._locks:
                continue
            try:
                handle = _lock(path)
            except OSError:
                continue  # its writer lives
            if path.stem in left:
                self._locks[path.stem] = handle
            else:
                path.unlink(missing_ok=True)
                os.close(handle)
        with self._lock:
            self._waiting_bytes = sum(
                max(0, segment.stat().st_size - self._offset(segment)) for segment in self._segments()
            )

    def close(self) -> None:
        """Close the files and give up the locks; what is not delivered stays for the next writer."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
            self._current = None
        left = {segment.name.partition("-")[0] for segment in self._segments()}
        for writer, handle in self._locks.items():
            if writer not in left:
                (self.folder / f"{writer}.lock").unlink(missing_ok=True)
            os.close(handle)
        self._locks = {}

    def abandon(self) -> None:
        """In a forked child: let go of the parent's files without touching them."""
        for handle in self._locks.values():
            os.close(handle)
        if self._handle is not None:
            os.close(self._handle)
        self._locks, self._handle, self._current = {}, None, None

    def _segments(self) -> Iterator[Path]:
        for path in sorted(self.folder.glob("*-*.jsonl"), key=lambda path: path.name.partition("-")[2]):
            if path.name.partition("-")[0] in self._locks:
                yield path

    def _offset(self, segment: Path) -> int:
        try:
            return int(_beside(segment).read_text("ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def _finish(self, segment: Path) -> None:
        """Remove a segment of which all complete lines are delivered (a torn last line is a crash's)."""
        with self._lock:
            if segment == self._current:
                if self._size > self._offset(segment):
                    return  # a record came in since
                assert self._handle is not None
                os.close(self._handle)
                self._handle = self._current = None
            segment.unlink(missing_ok=True)
            _beside(segment).unlink(missing_ok=True)
        writer = segment.name.partition("-")[0]
        if writer != self._writer and not any(self.folder.glob(f"{writer}-*.jsonl")):
            (self.folder / f"{writer}.lock").unlink(missing_ok=True)
            os.close(self._locks.pop(writer))

    def _rotate(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        self._number += 1
        self._current = self.folder / f"{self._writer}-{self._number:06d}.jsonl"
        self._handle = os.open(self._current, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = 0


def _beside(segment: Path) -> Path:
    return segment.with_suffix(".at")


def _lock(path: Path) -> int:
    """Hold ``path`` locked; the kernel lets go when the process ends.

    Raises:
        OSError: someone else holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
