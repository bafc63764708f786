"""The call cache of several workers: each request is asked by one of them, the others wait for its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

from promptmigrate.errors import StorageError
from promptmigrate.lm.cache import dump_reply, load_reply
from promptmigrate.lm.store import Batch, Database, Session, marks
from promptmigrate.lm.workers import Workers, live
from promptmigrate.types import Reply

_FIRST_LOOK_S, _LAST_LOOK_S, _GROWTH = 0.02, 0.25, 1.5
_KNOWN = """
SELECT key, 0, reply FROM failures WHERE run = ? AND key IN ({keys})
UNION ALL SELECT key, 1, reply FROM replies WHERE key IN ({keys})
"""
_HELD = "UNION ALL SELECT key, 2, '' FROM claims WHERE key IN ({keys}) AND worker IN ({live})"
_FULL_S = 0.04
_CLAIM = 2
_NOTE, _FRESH_S = "waiting for ", 0.5
_TOUCH_S = 86400.0
"""An answer that was of use is noted as such once in so long."""
_State: TypeAlias = Literal["free", "held", "mine", "full"]


class Place(NamedTuple):
    """Where a request is asked, and how many may be asked there at a time by all workers together."""

    name: str
    most: int


class _Kept(NamedTuple):
    """A reply as it is stored; a failure counts for its run alone."""

    failed: bool
    text: str


class SharedCache:
    """Replies by request key, and who is asking for which.

    A claim belongs to a worker and holds while that worker is alive; it takes a place at its endpoint, so the
    limit of an endpoint holds for all workers that share the cache. What a worker learnt first counts for
    all workers of its run: an answer, which is kept for ever, or a failure, which is kept until the run is
    started anew. ``database`` is used on the event loop.
    """

    def __init__(self, database: Database, workers: Workers) -> None:
        self._database, self._workers = database, workers
        self._live = live(database.clock)
        self._looks: Batch[bytes] = Batch(database, self._look, mode="read")
        self._claims: Batch[tuple[bytes, Place]] = Batch(database, self._claim, orphan=self._unclaim)
        self._keeps: Batch[tuple[bytes, _Kept | None]] = Batch(database, self._keep)

    async def find(self, key: bytes) -> Reply | None:
        """The reply, waited for while another live worker asks; None if nobody does.

        Raises:
            StorageError: it cannot be read.
        """
        pause = _FIRST_LOOK_S
        while True:
            found: _Kept | _State = await self._looks.ask(key)
            if isinstance(found, _Kept):
                return _reply(found)
            if found == "free":
                return None
            await _on_the_grid(pause)
            pause = min(pause * _GROWTH, _LAST_LOOK_S)

    async def claim(self, key: bytes, place: Place) -> Reply | _State:
        """Whether this worker may ask now (``"mine"``), or the reply that has come meanwhile.

        ``"held"``: another asks; ``"full"``: all places are taken, come again :meth:`later`.

        Raises:
            StorageError: it cannot be written.
        """
        found: _Kept | _State = await self._claims.ask((key, place))
        return _reply(found) if isinstance(found, _Kept) else found

    async def later(self) -> None:
        """Wait until a place may be free."""
        await _on_the_grid(_FULL_S)

    async def keep(self, key: bytes, reply: Reply) -> Reply:
        """Store ``reply`` and give up the claim; gives the one that counts, if another was stored before.

        Raises:
            StorageError: it cannot be written.
        """
        mine = _Kept(not reply.answered, dump_reply(reply))
        counts: _Kept = await self._keeps.ask((key, mine))
        return reply if counts == mine else replace(_reply(counts), cached=False, attempts=reply.attempts)

    def release(self, key: bytes) -> None:
        """Give up the claim: the call ended without a reply."""
        self._keeps.add((key, None))

    def close(self) -> None:
        """Store what is pending; the database stays open.

        Raises:
            StorageError: it could not be written.
        """
        self._keeps.finish()

    # --- inside a transaction ----------------------------------------------------------------------------

    def _look(self, session: Session, keys: list[bytes]) -> list[object]:
        if self._database.dated:
            clock = self._database.clock
            session.write(
                f"UPDATE replies SET used = {clock} WHERE used < {clock} - {_TOUCH_S} "  # noqa: S608
                f"AND key IN ({marks(len(keys))})",
                keys,
            )
        sql = (_KNOWN + _HELD).format(keys=marks(len(keys)), live=self._live)
        states: dict[bytes, _Kept | _State] = {}
        _note(states, session.rows(sql, (self._workers.run, *keys, *keys, *keys)))
        return [states.get(key, "free") for key in keys]

    def _claim(self, session: Session, items: list[tuple[bytes, Place]]) -> list[object]:
        keys = [key for key, _ in items]
        places = dict(sorted(items))  # in one order everywhere, or two workers could wait for each other
        most = dict(sorted(set(places.values())))
        for name in most:
            self._database.alone(session, name)
        mine = session.rows(
            f"INSERT INTO claims (key, worker, place) VALUES {marks(len(places), '(?, ?, ?)')} "  # noqa: S608
            "ON CONFLICT (key) DO UPDATE SET worker = excluded.worker, place = excluded.place "
            f"WHERE claims.worker = excluded.worker OR claims.worker NOT IN ({self._live}) RETURNING key",
            [value for key, place in places.items() for value in (key, self._workers.me, place.name)],
        )
        states: dict[bytes, _Kept | _State] = {bytes(key): "mine" for (key,) in mine}
        # Only now: a reply is stored before its claim is given up, so none can be missed.
        _note(states, self._known(session, places))
        for (key,) in mine:
            if states[bytes(key)] != "mine":
                self._drop(session, bytes(key))
        for name, allowed in most.items():
            ours = [key for key in keys if states.get(key) == "mine" and places[key].name == name]
            surplus = min(len(ours), self._surplus(session, name, allowed))
            for key in ours[len(ours) - surplus :]:
                states[key] = "full"
                self._drop(session, key)
        return [states.get(key, "held") for key in keys]

    def _surplus(self, session: Session, place: str, allowed: int) -> int:
        """How many of the places that this worker holds now are too many.

        All together hold no more than ``allowed``. Places go to whoever comes first, but one that finds less
        than its share leaves a note, and while that is fresh the others take no more than theirs.
        """
        me, note, clock = self._workers.me, _NOTE + place, self._database.clock
        found = session.rows(
            "SELECT worker, place, COUNT(*) FROM claims "  # noqa: S608
            f"WHERE (place = ? OR (place = ? AND at > {clock} - {_FRESH_S})) "
            f"AND (worker = ? OR worker IN ({self._live})) GROUP BY worker, place",
            (place, note, me),
        )
        held = {worker: int(count) for worker, where, count in found if where == place}
        waiting = {worker for worker, where, _ in found if where == note} - {me}
        mine = held.get(me, 0)
        share = max(1, allowed // len({me, *held, *waiting}))
        surplus = max(0, sum(held.values()) - allowed, mine - share if waiting else 0)
        if surplus and mine - surplus < share:
            session.write(
                f"INSERT INTO claims (key, worker, place, at) VALUES (?, ?, ?, {clock}) "  # noqa: S608
                "ON CONFLICT (key) DO UPDATE SET at = excluded.at",
                (f"{me} {place}".encode(), me, note),
            )
        return surplus

    def _keep(self, session: Session, items: list[tuple[bytes, _Kept | None]]) -> list[object]:
        kept = {key: mine for key, mine in sorted(items, key=lambda item: item[0]) if mine is not None}
        for key, mine in kept.items():
            if not mine.failed:
                session.write(
                    "INSERT INTO replies (key, reply) VALUES (?, ?) ON CONFLICT DO NOTHING", (key, mine.text)
                )
        counts: dict[bytes, _Kept | _State] = {}
        if kept:
            _note(counts, self._known(session, kept))
        for key, mine in kept.items():
            if key not in counts:
                counts[key] = mine
                row = (self._workers.run, key, mine.text)
                session.write("INSERT INTO failures VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
        for key, _ in items:
            self._drop(session, key)
        return [counts.get(key) for key, _ in items]

    def _known(self, session: Session, keys: Iterable[bytes]) -> list[tuple[bytes, int, str]]:
        keys = list(keys)
        return session.rows(_KNOWN.format(keys=marks(len(keys))), (self._workers.run, *keys, *keys))

    def _drop(self, session: Session, key: bytes) -> None:
        session.write("DELETE FROM claims WHERE key = ? AND worker = ?", (key, self._workers.me))

    def _unclaim(self, item: tuple[bytes, Place], state: object) -> None:
        if state == "mine":  # whoever asked for it has gone meanwhile
            self.release(item[0])


async def _on_the_grid(pause: float) -> None:
    """Wait for about ``pause`` seconds, up to a moment at which all who wait look together."""
    loop = asyncio.get_running_loop()
    wake = (loop.time() + pause) // _FIRST_LOOK_S * _FIRST_LOOK_S + _FIRST_LOOK_S
    await asyncio.sleep(wake - loop.time())


def _note(states: dict[bytes, _Kept | _State], rows: list[tuple[bytes, int, str]]) -> None:
    """Enter ``rows`` of failures (0), answers (1) and claims (2); of one key, the lowest number counts."""
    for key, number, text in sorted(rows, key=lambda row: -row[1]):
        states[bytes(key)] = "held" if number == _CLAIM else _Kept(number == 0, text)


def _reply(kept: _Kept) -> Reply:
    try:
        reply = load_reply(kept.text)
    except (ValueError, TypeError) as error:
        raise StorageError(
            f"the call cache holds something that is not a reply: {error}; remove it"
        ) from error
    return replace(reply, cached=not kept.failed)
