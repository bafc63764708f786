"""Recordings: replies by request key, one JSON line each; no request text."""

from __future__ import annotations

import json
import os
from pathlib import Path

from promptmigrate.errors import StorageError
from promptmigrate.lm.cache import dump_reply, load_reply
from promptmigrate.types import Reply


class Recorder:
    """Appends each reply once. A run that goes on after a crash goes on in the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = {key for key, reply in _load(path).items() if reply.answered} if path.exists() else set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
            content = path.read_bytes()
            if not content.endswith(b"\n"):  # the process died in the middle of the last line
                os.truncate(path, content.rfind(b"\n") + 1)
        except OSError as error:
            raise StorageError(f"the recording {path} cannot be written: {error.strerror}") from error

    def add(self, key: bytes, reply: Reply) -> None:
        """Append ``reply``, unless the request has an answer in the file.

        Raises:
            StorageError: the file cannot be written.
        """
        if key in self._seen:
            return
        if reply.answered:
            self._seen.add(key)
        try:
            self._file.write(f'{{"key":"{key.hex()}","reply":{dump_reply(reply)}}}\n')
            self._file.flush()
        except OSError as error:
            raise StorageError(f"the recording {self._path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Recording:
    """Replies to be given again, bit for bit, marked as cached."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StorageError(f"there is no recording at {path}; make one with --record (record= in Python)")
        self.path = path
        self._replies = _load(path)
        if not self._replies and path.stat().st_size:
            raise StorageError(f"{path} holds no recorded reply; make a recording with --record")

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: bytes) -> Reply | None:
        """The recorded reply."""
        return self._replies.get(key)


def _load(path: Path) -> dict[bytes, Reply]:
    replies: dict[bytes, Reply] = {}
    try:
        lines = path.read_text("utf-8", "replace").split("\n")
    except OSError as error:
        raise StorageError(f"the recording {path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            key, reply = bytes.fromhex(entry["key"]), load_reply(json.dumps(entry["reply"]))
        except (ValueError, TypeError, KeyError) as error:
            if number >= len(lines) - 1:
                break  # the last line of a process that died
            raise StorageError(f"{path}, line {number} is not a recorded reply: {error}") from error
        # A failure is given again only where no answer was ever recorded.
        if key not in replies or (reply.answered and not replies[key].answered):
            replies[key] = reply
    return replies
