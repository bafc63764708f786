"""The call cache, which is also the checkpoint: an answer that was paid for is never paid for again."""

from __future__ import annotations

import json
from typing import Any

from promptmigrate.lm.sqlite import Sqlite
from promptmigrate.lm.store import Batch, Session
from promptmigrate.types import Reply

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
    """Replies by request key, in a SQLite file; for one process that does not wait for others.

    Holds hashes of requests, never their text. What other processes store meanwhile is found, too.
    """

    def __init__(self, database: Sqlite) -> None:
        self._database = database
        self._batch: Batch[tuple[bytes, str]] = Batch(database, _keep)

    def get(self, key: bytes) -> Reply | None:
        """The stored reply.

        Raises:
            StorageError: the file cannot be read.
        """
        rows = self._database.read("SELECT reply FROM replies WHERE key = ?", (key,))
        try:
            return load_reply(rows[0][0]) if rows else None
        except (ValueError, TypeError) as error:
            raise self._database.unusable(error) from error

    async def put(self, key: bytes, reply: Reply) -> None:
        """Store ``reply``; it is on disk when this returns.

        Raises:
            StorageError: the file cannot be written.
        """
        await self._batch.ask((key, dump_reply(reply)))

    def close(self) -> None:
        """Store what is pending; the database stays open.

        Raises:
            StorageError: it could not be written.
        """
        self._batch.finish()


def _keep(session: Session, replies: list[tuple[bytes, str]]) -> list[None]:
    for row in replies:
        session.write("INSERT INTO replies (key, reply) VALUES (?, ?) ON CONFLICT DO NOTHING", row)
    return [None] * len(replies)
