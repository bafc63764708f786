"""PostgreSQL as the store: lost connections, commits that are not doubled, errors that tell no password."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import BudgetConfig
from promptmigrate.errors import BudgetExceeded, StorageError
from promptmigrate.lm import Door
from promptmigrate.lm.schema import POSTGRES
from promptmigrate.types import Reply
from tests.lm.conftest import Provider, ask, slow
from tests.postgres import PASSWORD, Server

Opened = Callable[..., Door]


async def _all(door: Door, count: int) -> list[Reply | BaseException]:
    return await asyncio.gather(*(door.acomplete(ask(str(i))) for i in range(count)), return_exceptions=True)


@contextmanager
def again_and_again(what: Callable[[], object], pause_s: float) -> Iterator[None]:
    """Do ``what`` in the background."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(pause_s):
            what()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_connections_that_are_lost(provider: Provider, opened: Opened, postgres: Server) -> None:
    url = postgres.database()
    provider.default = slow(0.02)
    doors = [opened(storage=url, run="r", budget=BudgetConfig(calls=150)) for _ in range(2)]
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'promptmigrate'"

    async def both() -> list[list[Reply | BaseException]]:
        return list(await asyncio.gather(*(asyncio.to_thread(door.run, _all(door, 200)) for door in doors)))

    with again_and_again(lambda: postgres.execute(end), 0.03):
        results = asyncio.run(both())
    assert provider.calls == 150
    for found in results:
        kinds = Counter(r.kind if isinstance(r, Reply) else type(r).__name__ for r in found)
        assert kinds == {"ok": 150, "BudgetExceeded": 50}
    with opened(storage=url, run="r") as door:
        assert door.spend.calls["task"] == 150
        assert door.spend.tokens == 150 * 14
        assert door.spend.usd_held == 0


def test_a_server_that_is_started_again(provider: Provider, opened: Opened, postgres: Server) -> None:
    door = opened(storage=postgres.database(), run="r")
    door.complete(ask("a"))
    postgres.stop()
    thread = threading.Timer(0.5, postgres.start)
    thread.start()
    try:
        assert door.complete(ask("a")).cached
        assert door.complete(ask("b")).answered
    finally:
        thread.join()
    assert provider.calls == 2 == door.spend.calls["task"]


def test_a_server_that_stays_away_is_said(
    provider: Provider, opened: Opened, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptmigrate.lm.postgres._RECONNECT_S", 0.2)
    door = opened(storage=postgres.database())
    postgres.stop()
    try:
        with pytest.raises(StorageError, match="cannot be used") as caught:
            door.complete(ask())
        with pytest.raises(StorageError):
            door.close()
    finally:
        postgres.start()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_is_lost_is_not_doubled(
    provider: Provider, opened: Opened, postgres: Server, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The connection breaks at each commit of the ledger once, before or after the server has done it."""
    from promptmigrate.lm.postgres import _Session

    lost = import_module("psycopg2").OperationalError
    flush = _Session.flush
    broken: list[str] = []

    def breaking(self: Any) -> None:
        last = self._buffer[-1:] == [b"COMMIT"] and any(b" requests " in part for part in self._buffer)
        if not last or (broken and broken[-1] == "just now"):
            flush(self)
            broken.append("not now") if last else None
            return
        broken.append("just now")
        if when == "after":
            flush(self)
        self._cursor.connection.close()
        raise lost("server closed the connection unexpectedly")

    monkeypatch.setattr(_Session, "flush", breaking)
    url = postgres.database()
    door = opened(storage=url, run="r", budget=BudgetConfig(calls=12))
    kinds = [type(r).__name__ for i in range(4) for r in door.run(_all(door, 4 * i + 4))]
    assert len(broken) >= 6
    assert kinds.count("BudgetExceeded") == 4
    door.close()
    monkeypatch.undo()
    assert provider.calls == 12
    with opened(storage=url, run="r") as door:
        assert (door.spend.calls["task"], door.spend.tokens) == (12, 12 * 14)
        with pytest.raises(BudgetExceeded):
            opened(storage=url, run="r", budget=BudgetConfig(calls=12)).complete(ask("new"))


def test_runs_have_their_own_accounts_and_one_cache(
    provider: Provider, opened: Opened, postgres: Server
) -> None:
    url = postgres.database()
    one = opened(storage=url, run="one", budget=BudgetConfig(calls=1))
    two = opened(storage=url, run="two", budget=BudgetConfig(calls=1))
    one.complete(ask("a"))
    two.complete(ask("b"))
    assert one.complete(ask("b")).cached
    assert (one.spend.calls["task"], two.spend.calls["task"]) == (1, 1)


def test_nothing_is_left_by_those_who_have_gone(provider: Provider, opened: Opened, postgres: Server) -> None:
    url = postgres.database()
    with opened(storage=url) as door:
        door.run(_all(door, 10))
    for table in ("workers", "claims"):
        assert postgres.execute(f"SELECT * FROM promptmigrate.{table}", url) == []


def test_no_text_and_no_key_of_a_request_is_stored(
    provider: Provider, opened: Opened, postgres: Server
) -> None:
    url = postgres.database()
    with opened(storage=url) as door:
        door.complete(ask("a very private question", model="acme/other"))
    kept = "".join(
        line
        for table in ("replies", "requests", "totals", "failures")
        for line in postgres.execute(f"SELECT * FROM promptmigrate.{table}", url)
    )
    assert "acme/other" in kept
    assert "SECRET" not in kept
    # The provider of the tests says the question again; nothing else does.
    assert kept.count("private") == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.replace(PASSWORD, "wrong-SECRET-word"), "authentication failed"),
        (lambda url: url.replace("test_", "nothing_"), "does not exist"),
        (lambda url: url.replace("127.0.0.1:", "127.0.0.1:1"), "cannot be used"),
        (lambda url: url.replace("/test_", "/x?nonsense=SECRET&y="), "not a PostgreSQL URL"),
        (lambda url: url.replace("postgresql://", "mysql://"), "not a PostgreSQL URL"),
        (lambda url: url.replace(PASSWORD, "SEC/RET"), "percent-encoded"),
        (lambda url: url.replace(PASSWORD, "SEC%zzRET"), "percent-encoded"),
        (lambda url: url.replace(PASSWORD, "SEC@RET"), "percent-encoded"),
        (lambda url: url.replace(PASSWORD, "SEC?RET"), "percent-encoded"),
        (lambda url: "SECRET", "not a PostgreSQL URL"),
        (lambda url: "postgresql://", "not a PostgreSQL URL"),
    ],
)
def test_what_cannot_be_used_is_said_without_the_password(
    postgres: Server, caplog: pytest.LogCaptureFixture, change: Callable[[str], str], says: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StorageError, match=says) as caught:
        Door.open(storage=change(postgres.database()))
    assert "\n" not in str(caught.value)
    for text in ("".join(traceback.format_exception(caught.value)), repr(caught.value), caplog.text):
        assert not [part for part in ("SEC", "RET") if part in text]


def test_a_user_who_may_not_create_tables(postgres: Server) -> None:
    url = postgres.database()
    postgres.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'", url)
    with pytest.raises(StorageError, match="permission denied"):
        Door.open(storage=url.replace(f"tester:{PASSWORD}", "guest:guest"))


def test_a_newer_format_is_refused(postgres: Server) -> None:
    url = postgres.database()
    Door.open(storage=url).close()
    postgres.execute("UPDATE promptmigrate.format SET version = 99", url)
    with pytest.raises(StorageError, match="newer promptmigrate"):
        Door.open(storage=url)


def test_a_database_of_the_first_format_goes_on(provider: Provider, opened: Opened, postgres: Server) -> None:
    url = postgres.database()
    postgres.execute(f"CREATE SCHEMA promptmigrate; {POSTGRES[0]}", url)
    postgres.execute("INSERT INTO promptmigrate.claims VALUES ('\\x01', 7)", url)
    assert opened(storage=url).complete(ask()).answered
    assert opened(storage=url).complete(ask()).cached
    assert provider.calls == 1


def test_the_url_that_sqlalchemy_wants(provider: Provider, opened: Opened, postgres: Server) -> None:
    url = postgres.database().replace("postgresql:", "postgresql+psycopg2:")
    assert opened(storage=url).complete(ask()).answered


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(StorageError, match=r"pip install 'promptmigrate\[postgres\]'"):
        Door.open(storage="postgresql://user:secret@localhost/x")


def test_nothing_of_postgres_is_loaded_without_need(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys\nfrom promptmigrate.lm import Door\nDoor.open().close()\n"
        "assert not {'psycopg2', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
