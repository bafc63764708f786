"""The call cache, which is also the checkpoint: an answer that was paid for is never paid for again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from promptmigrate.lm.sqlite import Group, connect, unusable
from promptmigrate.types import Reply

_SCHEMA = "CREATE TABLE replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID"
_FIELDS = (
    "kind", "text", "model", "finish_reason", "input_tokens", "output_tokens", "cost_usd", "latency_s",
    "status", "error",
)  # fmt: skip
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def dump_reply(reply: Reply) -> str:
    """``reply`` as JSON; whether it was cached and how many attempts it took are not part of it."""
    return _encode({name: getattr(reply, name) for name in _FIELDS})


def load_reply(text: str) -> Reply:
    """The reply in ``text``, marked as cached; cost and latency are those of the original call.

    Raises:
        ValueError: not a reply.
    """
    values: Any = json.loads(text)
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise ValueError("not a reply")
    return Reply(**{name: values[name] for name in _FIELDS if name in values}, cached=True, attempts=0)


class Cache:
    """Replies by request key, in a SQLite file that several processes may share.

    Holds hashes of requests, never their text.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, _SCHEMA, 1, "the call cache")
        self._group = Group(self._connection, "the call cache", path)

    def get(self, key: bytes) -> Reply | None:
        """The stored reply.

        Raises:
            StorageError: the file cannot be read.
        """
        try:
            row = self._connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return None if row is None else load_reply(row[0])
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise unusable("the call cache", self._path, error) from error

    async def put(self, key: bytes, reply: Reply) -> None:
        """Store ``reply``; it is on disk when this returns.

        Raises:
            StorageError: the file cannot be written.
        """
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        row = (key, dump_reply(reply))
        self._group.add(
            lambda: self._connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", row), future
        )
        await future

    def close(self) -> None:
        """Commit what is pending and close the file.

        Raises:
            StorageError: it could not be written.
        """
        try:
            self._group.finish()
        finally:
            self._connection.close()
