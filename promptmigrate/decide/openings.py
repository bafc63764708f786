"""The record of who has looked at which test rows.

Test rows judge honestly once. Every further candidate shown to the same rows makes a lucky pass likelier, so
each opening is written down *before* the rows are looked at, and shown with the verdict.

The registry is a JSONL file that only grows: one line per opening, flushed to disk before the call returns.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from promptmigrate.errors import StorageError


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One candidate of one run shown to one test split."""

    split_digest: str
    run: str
    candidate_digest: str
    at: str
    """When, ISO 8601 in UTC."""


def open_test(registry_file: Path, *, split_digest: str, run: str, candidate_digest: str) -> int:
    """Record that a candidate of a run is about to see the split; how many have by now, this one included.

    The same run and candidate again is a resume, not a new opening: it is not written twice.

    Raises:
        StorageError: the registry cannot be read or written. Then the rows must stay closed.
    """
    try:
        registry_file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(registry_file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise StorageError(f"{registry_file} cannot be written: {error.strerror or error}") from error
    try:
        with _locked(handle):
            raw = registry_file.read_bytes()
            seen = {
                (opening.run, opening.candidate_digest)
                for opening in _parse(raw, registry_file)
                if opening.split_digest == split_digest
            }
            if (run, candidate_digest) not in seen:
                opening = Opening(
                    split_digest=split_digest,
                    run=run,
                    candidate_digest=candidate_digest,
                    at=datetime.now(UTC).isoformat(timespec="seconds"),
                )
                line = json.dumps(asdict(opening), ensure_ascii=False) + "\n"
                # A crash may have left half a line: it is closed off, so that it harms only itself.
                torn = bool(raw) and not raw.endswith(b"\n")
                _write_all(handle, (("\n" if torn else "") + line).encode("utf-8", "replace"))
                os.fsync(handle)
                seen.add((run, candidate_digest))
            return len(seen)
    except OSError as error:
        raise StorageError(f"{registry_file} cannot be written: {error.strerror or error}") from error
    finally:
        os.close(handle)


def read_openings(registry_file: Path, *, split_digest: str | None = None) -> tuple[Opening, ...]:
    """All recorded openings, oldest first; of one split if given. Empty if there is no registry yet.

    Raises:
        StorageError: the registry cannot be read.
    """
    try:
        raw = registry_file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StorageError(f"{registry_file} cannot be read: {error.strerror or error}") from error
    openings = _parse(raw, registry_file)
    return tuple(o for o in openings if split_digest is None or o.split_digest == split_digest)


def _parse(raw: bytes, path: Path) -> list[Opening]:
    openings = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            # Half a line of a crashed writer: its opening was never confirmed, so nobody looked.
            continue
        fields = tuple(Opening.__dataclass_fields__)
        if not isinstance(record, dict) or not all(isinstance(record.get(f), str) for f in fields):
            raise StorageError(
                f"{path}:{number}: not a record of a test opening; restore the file from a backup"
            )
        openings.append(Opening(**{f: record[f] for f in fields}))
    return openings


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


@contextmanager
def _locked(handle: int) -> Iterator[None]:
    """Hold the file for this process, so that two runs at once do not count the same opening."""
    if sys.platform == "win32":  # no flock there; two runs at once on one split are then counted late
        yield
        return
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
