"""The call cache: what is the same request, single flight, and the file."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptmigrate.config import EndpointConfig, PriceConfig
from promptmigrate.errors import BudgetExceeded, StorageError
from promptmigrate.lm import Door
from promptmigrate.lm.cache import Cache, dump_reply, load_reply
from promptmigrate.lm.keys import request_key
from promptmigrate.lm.schema import cache_file
from promptmigrate.types import Reply
from tests.lm.conftest import Provider, answer, ask, raw, slow, status

Opened = Callable[..., Door]


def test_a_second_run_sends_nothing(provider: Provider, opened: Opened) -> None:
    prices = {"acme/large": PriceConfig(input_per_mtok=10, output_per_mtok=100)}
    with opened(prices=prices) as door:
        first = door.complete(ask("hi", params={"temperature": 0}))
    # Another price, purpose and spelling of a number: the same request, at the cost that was paid.
    with opened() as door:
        again = door.complete(ask("hi", params={"temperature": 0.0}, purpose="judge"))
        assert door.spend.calls == {"task": 0, "judge": 0, "reflection": 0}
        assert door.spend.cached == 1
        assert door.spend.usd == 0
    assert provider.calls == 1
    assert again == Reply(
        **{name: getattr(first, name) for name in Reply.__slots__ if name not in {"cached", "attempts"}},
        cached=True,
        attempts=0,
    )
    assert again.cost_usd == first.cost_usd is not None


def test_what_makes_another_request(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    door = opened()
    door.complete(ask("hi"))
    for other in (
        ask("hi", repeat=1),
        ask("hi", params={"temperature": 0}),
        ask("hi", params={"temperature": 0.5}),
        ask("hi "),
        ask("hi", model="acme/small"),
    ):
        assert not door.complete(other).cached
    assert provider.calls == 6


def test_another_endpoint_is_another_request(provider: Provider, opened: Opened) -> None:
    other = Provider()
    try:
        for url in (provider.url, other.url, provider.url + "/"):
            opened(endpoints={"acme": EndpointConfig(base_url=url)}).complete(ask())
        assert (provider.calls, other.calls) == (1, 1)
    finally:
        other.close()


def test_another_key_is_the_same_request(
    provider: Provider, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened().complete(ask())
    monkeypatch.setenv("ACME_API_KEY", "another-key-entirely")
    assert opened().complete(ask()).cached


@pytest.mark.parametrize(
    "fault", [status(400), raw(b"{}"), status(429, retry_after="100")], ids=["400", "body", "429"]
)
def test_failures_are_not_kept(provider: Provider, opened: Opened, fault: Any) -> None:
    provider.plan = [fault]
    door = opened(max_attempts=1)
    assert not door.complete(ask()).answered
    reply = door.complete(ask())
    assert (reply.kind, reply.cached) == ("ok", False)


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_answers_that_are_cut_or_filtered_are_kept(provider: Provider, opened: Opened, finish: str) -> None:
    provider.plan = [answer("x", finish_reason=finish)]
    door = opened()
    first = door.complete(ask())
    assert door.complete(ask()).kind == first.kind != "ok"
    assert provider.calls == 1


def test_identical_requests_at_once_are_one(provider: Provider, opened: Opened) -> None:
    provider.default = slow(0.1)
    door = opened()

    async def run() -> list[Reply]:
        return await asyncio.gather(*(door.acomplete(ask()) for _ in range(20)))

    replies = door.run(run())
    assert provider.calls == 1
    assert sorted(reply.attempts for reply in replies) == [0] * 19 + [1]
    assert sum(reply.cached for reply in replies) == 19 == door.spend.cached
    assert {reply.text for reply in replies} == {"echo: hi"}


def test_identical_requests_share_a_failure(provider: Provider, opened: Opened) -> None:
    provider.default = slow(0.05, status(400, "bad"))
    door = opened()

    async def run() -> list[Reply]:
        return await asyncio.gather(*(door.acomplete(ask()) for _ in range(5)))

    replies = door.run(run())
    assert provider.calls == 1
    assert {(reply.kind, reply.cached) for reply in replies} == {("provider_error", False)}
    assert door.spend.cached == 0


def test_one_who_waits_takes_over_from_one_who_was_cancelled(provider: Provider, opened: Opened) -> None:
    provider.default = slow(0.1)
    door = opened()

    async def run() -> Reply:
        first = asyncio.create_task(door.acomplete(ask()))
        second = asyncio.create_task(door.acomplete(ask()))
        await asyncio.sleep(0.05)
        first.cancel()
        return await second

    assert door.run(run()).text == "echo: hi"
    assert provider.calls == 2


def test_without_a_cache_every_call_is_sent(provider: Provider, opened: Opened) -> None:
    door = opened(cache=None)
    assert not door.complete(ask()).cached
    assert not door.complete(ask()).cached
    assert provider.calls == 2


def test_no_text_and_no_key_of_a_request_is_stored(
    provider: Provider, opened: Opened, tmp_path: Path
) -> None:
    provider.default = answer("the answer")
    with opened(ledger=tmp_path / "ledger.sqlite", record=tmp_path / "record.jsonl") as door:
        door.complete(ask("a very private question"))
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"the answer" in stored
    assert b"private" not in stored
    assert b"SECRET" not in stored


def test_an_answer_is_on_disk_before_it_is_given(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    door = opened()
    door.complete(ask())
    with sqlite3.connect(tmp_path / "cache.sqlite") as other:
        assert other.execute("SELECT COUNT(*) FROM replies").fetchone() == (1,)
    other.close()


def test_a_cached_answer_costs_no_budget(provider: Provider, opened: Opened) -> None:
    from promptmigrate.config import BudgetConfig

    opened().complete(ask())
    door = opened(budget=BudgetConfig(calls=1))
    for _ in range(3):
        assert door.complete(ask()).cached
    door.complete(ask("other"))
    with pytest.raises(BudgetExceeded):
        door.complete(ask("third"))


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database, not at all" * 100)


def _folder(path: Path) -> None:
    path.mkdir()


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE replies (other TEXT)")
    connection.commit()
    connection.close()


DAMAGES = [(damage, which) for damage in (_garbage, _folder, _newer) for which in ("cache", "ledger")]


@pytest.mark.parametrize(("damage", "which"), [*DAMAGES, (_foreign, "cache")])
def test_a_file_that_cannot_be_used(tmp_path: Path, damage: Callable[[Path], None], which: str) -> None:
    path = tmp_path / "store.sqlite"
    damage(path)
    with pytest.raises(StorageError, match=r"store\.sqlite") as caught:
        Door.open(cache=path) if which == "cache" else Door.open(ledger=path)
    assert "\n" not in str(caught.value)
    lost = {
        "cache": "its answers are then asked for and paid again",
        "ledger": "what the run has spent does not count any more then",
    }
    assert re.search(f"move (it|that file) away: {lost[which]}$", str(caught.value))


def test_a_file_under_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="call cache"):
        Door.open(cache=tmp_path / "file" / "cache.sqlite")


def test_damage_found_later(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    door = opened()
    door.complete(ask())
    with sqlite3.connect(tmp_path / "cache.sqlite") as other:
        other.execute("UPDATE replies SET reply = '[1]'")
    other.close()
    with pytest.raises(StorageError, match="call cache"):
        door.complete(ask())


def test_two_doors_share_a_file(provider: Provider, opened: Opened) -> None:
    one, two = opened(), opened()
    one.complete(ask("a"))
    two.complete(ask("b"))
    assert one.complete(ask("b")).cached
    assert two.complete(ask("a")).cached


def test_a_file_of_the_first_format_goes_on(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    """Nothing in it is lost, and a process that had opened it before still reads and writes it."""
    path = tmp_path / "old.sqlite"
    with opened() as door:
        reply = door.complete(ask("a"))
    with sqlite3.connect(tmp_path / "cache.sqlite") as other:
        ((key, text),) = other.execute("SELECT key, reply FROM replies")
    other.close()
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode=WAL")
    old.execute("CREATE TABLE replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID")
    old.execute("PRAGMA user_version=1")
    old.execute("INSERT INTO replies VALUES (?, ?)", (key, text))
    for shared in (False, True):
        door = opened(cache=path, ledger=tmp_path / "ledger", shared=shared)
        assert door.complete(ask("a")).text == reply.text
        assert door.complete(ask(f"b {shared}")).attempts == 1
        old.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (b"another", text))
        assert old.execute("SELECT COUNT(*) FROM replies").fetchone() == (3 + shared,)
    old.close()
    assert provider.calls == 3


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a machine under load
@given(params=st.dictionaries(texts, values, max_size=4), text=texts)
def test_keys_do_not_depend_on_spelling(params: dict[str, Any], text: str) -> None:
    params = {f"p_{name}": value for name, value in params.items()}
    messages = [{"role": "user", "content": text}]
    key = request_key("u", "m", messages, params, 0)
    backwards = dict(reversed(list(json.loads(json.dumps(params)).items())))
    assert request_key("u", "m", [dict(reversed(m.items())) for m in messages], backwards, 0) == key
    assert request_key("u", "m", messages, params, 1) != key
    assert request_key("v", "m", messages, params, 0) != key
    assert request_key("u", "m", [{"role": "user", "content": text + "x"}], params, 0) != key
    assert request_key("u", "m", messages, {**params, "p_new ": None, "another": 1}, 0) != key


@given(
    st.builds(
        Reply,
        kind=st.sampled_from(["ok", "truncated", "filtered"]),
        text=texts,
        model=texts,
        finish_reason=st.none() | texts,
        input_tokens=st.integers(0, 10**9),
        output_tokens=st.integers(0, 10**9),
        cost_usd=st.none() | st.floats(0, 1e6),
        latency_s=st.floats(0, 1e6),
        status=st.none() | st.integers(200, 599),
    )
)
def test_replies_survive_storage_bit_for_bit(reply: Reply) -> None:
    again = load_reply(dump_reply(reply))
    assert dump_reply(again) == dump_reply(reply)
    assert (again.cached, again.attempts) == (True, 0)


async def test_the_cache_alone(tmp_path: Path) -> None:
    database = cache_file(tmp_path / "c")
    cache = Cache(database)
    assert cache.get(b"k") is None
    await asyncio.gather(*(cache.put(bytes([i]), Reply(kind="ok", text=str(i))) for i in range(50)))
    found = cache.get(bytes([7]))
    assert found is not None
    assert found.text == "7"
    cache.close()
    database.close()
