"""Budgets: never exceeded, also under concurrency, over processes and after kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.config import BudgetConfig, EndpointConfig, PriceConfig
from promptmigrate.errors import BudgetExceeded, StorageError
from promptmigrate.lm import Door
from promptmigrate.lm.budget import Totals, Worst, at_once, excess
from promptmigrate.lm.clock import Clock
from promptmigrate.lm.ledger import Ledger
from promptmigrate.lm.schema import ledger_file
from promptmigrate.types import Reply
from tests.lm.conftest import Provider, answer, ask, reset, slow, status

Opened = Callable[..., Door]


async def _all(door: Door, number: int, **changes: Any) -> list[Reply | BaseException]:
    calls = (door.acomplete(ask(str(i), **changes)) for i in range(number))
    return await asyncio.gather(*calls, return_exceptions=True)


def _kinds(results: list[Any]) -> Counter[str]:
    return Counter(r.kind if isinstance(r, Reply) else type(r).__name__ for r in results)


def test_64_at_once_with_a_budget_of_10(provider: Provider, opened: Opened) -> None:
    provider.default = slow(0.02)
    door = opened(budget=BudgetConfig(calls=10))
    results = door.run(_all(door, 64))
    assert provider.calls == 10 == door.spend.calls["task"]
    assert _kinds(results) == {"ok": 10, "BudgetExceeded": 54}


def test_retries_are_counted(provider: Provider, opened: Opened) -> None:
    provider.default = status(500)
    door = opened(budget=BudgetConfig(calls=6))
    assert door.complete(ask("a")).attempts == 4
    with pytest.raises(BudgetExceeded, match="budget of 6 calls is used up"):
        door.complete(ask("b"))
    assert provider.calls == 6


def test_purposes_are_told_apart(provider: Provider, opened: Opened) -> None:
    door = opened(prices={"acme/large": PriceConfig(input_per_mtok=1e6, output_per_mtok=0)})
    for index, purpose in enumerate(["task", "judge", "judge", "reflection"]):
        door.complete(ask(str(index), purpose=purpose))
    spend = door.spend
    assert spend.calls == {"task": 1, "judge": 2, "reflection": 1}
    assert spend.usd_by_purpose == {"task": 11, "judge": 22, "reflection": 11}
    assert spend.usd == 44
    assert spend.tokens == 4 * 14
    assert spend.usd_held == 0


def test_a_ledger_goes_on_where_it_was(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    options = {"ledger": tmp_path / "ledger", "budget": BudgetConfig(calls=5)}
    with opened(**options) as door:
        door.run(_all(door, 3))
        seconds = door.spend.seconds
    with opened(**options) as door:
        assert door.spend.calls["task"] == 3
        results = door.run(_all(door, 10))
        assert _kinds(results) == {"ok": 5, "BudgetExceeded": 5}  # three from the cache, two sent
        assert door.spend.seconds > seconds
    assert provider.calls == 5


def test_two_processes_worth_of_doors_share_a_budget(
    provider: Provider, opened: Opened, tmp_path: Path
) -> None:
    options = {"ledger": tmp_path / "ledger", "budget": BudgetConfig(calls=30), "cache": None}
    doors = [opened(**options), opened(**options)]

    async def both() -> None:
        await asyncio.gather(*(asyncio.to_thread(door.run, _all(door, 25)) for door in doors))

    asyncio.run(both())
    assert provider.calls == 30


def test_dollars_are_reserved_at_their_worst(provider: Provider, opened: Opened) -> None:
    # 1 USD per output token and none for input: 5 tokens at worst, 3 in fact.
    prices = {"acme/large": PriceConfig(input_per_mtok=0, output_per_mtok=1e6)}
    door = opened(prices=prices, budget=BudgetConfig(usd=13))
    params = {"max_tokens": 5}
    results = door.run(_all(door, 20, params=params))
    # 3 + 3 + 3 are spent; a fourth could cost 5 and end at 14.
    assert _kinds(results) == {"ok": 3, "BudgetExceeded": 17}
    assert door.spend.usd == 9
    with pytest.raises(BudgetExceeded, match=r"may cost 5\.000000 USD and 9\.000000 of the budget of 13 USD"):
        door.complete(ask("next", params=params))
    assert door.complete(ask("small", params={"max_tokens": 4})).answered
    assert provider.calls == 4


def test_reservations_under_way_are_waited_for(provider: Provider, opened: Opened) -> None:
    """Many at once whose worst cases would not fit together, but whose real costs do."""
    provider.default = slow(0.01)
    prices = {"acme/large": PriceConfig(input_per_mtok=0, output_per_mtok=1e6)}
    door = opened(prices=prices, budget=BudgetConfig(usd=100))
    results = door.run(_all(door, 30, params={"max_tokens": 8}))
    assert _kinds(results) == {"ok": 30}
    assert door.spend.usd == 90


def test_tokens(provider: Provider, opened: Opened) -> None:
    door = opened(budget=BudgetConfig(tokens=100))
    results = door.run(_all(door, 20, params={"max_tokens": 10}))
    assert _kinds(results)["BudgetExceeded"] > 10
    assert 60 < door.spend.tokens <= 100


def test_minutes_are_summed_over_lifetimes(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    options = {"ledger": tmp_path / "ledger", "budget": BudgetConfig(minutes=0.01)}
    with opened(**options) as door:
        door.complete(ask())
        time.sleep(0.7)
        with pytest.raises(BudgetExceeded, match=r"0\.6 s is used up \([\d.]+ s so far\)"):
            door.complete(ask("late"))
    with opened(**options) as door, pytest.raises(BudgetExceeded, match="minutes"):
        door.complete(ask("another day"))
    assert provider.calls == 1


@given(st.integers(1, 40), st.integers(0, 99), st.integers(100, 10_000))
def test_how_many_go_at_once_is_what_the_ledger_lets_go(number: int, rest: int, worst: int) -> None:
    left = 4 * worst * number + rest * worst // 100
    assert at_once(left, worst) == number

    def held(requests: int) -> bool:
        row = Totals(held_tokens=requests * worst)
        over = excess(
            BudgetConfig(tokens=left),
            Worst(worst, None),
            totals=(row,),
            seconds=lambda: 0.0,
            under_way=lambda: Worst(requests * worst, None),
        )
        return over is not None

    assert not held(number - 1)
    assert held(number)


def test_minutes_and_seconds_are_written_as_such() -> None:
    def said(minutes: float, used_s: float) -> str:
        over = excess(
            BudgetConfig(minutes=minutes),
            Worst(1, None),
            totals=(),
            seconds=lambda: used_s,
            under_way=lambda: Worst(0, 0),
        )
        assert over is not None and over.final and over.limit == "minutes"
        return over.message

    assert said(90, 5431) == "the budget of 90 min is used up (90.5 min so far)"
    assert said(0.01, 0.61) == "the budget of 0.6 s is used up (0.61 s so far)"


def test_a_share_of_the_budget_is_told_beside_what_can_be_raised(provider: Provider, opened: Opened) -> None:
    door = opened(budget=BudgetConfig(calls=9, usd=5, tokens=10_000_000, minutes=90))
    door.complete(ask("0"))
    shares = {
        "calls": (1, r"the share of the search in the budget \(1 of 9 calls\) is used up \(1 sent\)"),
        "minutes": (1e-7, r"\([\de.-]+ s of 90 min\) is used up"),
        "tokens": (1, r"of the share of the search in the budget \(1 of 10000000\) are used"),
    }
    for limit, (share, said) in shares.items():
        door.limit(BudgetConfig(**{limit: share}), part="the search")
        with pytest.raises(BudgetExceeded, match=rf"{said}.*; raise budget\.{limit}"):
            door.complete(ask("1"))
    door.limit(BudgetConfig(calls=1))
    with pytest.raises(BudgetExceeded, match=r"^the budget of 1 calls is used up \(1 sent\)"):
        door.complete(ask("1"))


def test_a_call_is_cut_off_when_the_minutes_are_over(provider: Provider, opened: Opened) -> None:
    provider.default = slow(30)
    reply = opened(budget=BudgetConfig(minutes=0.5 / 60)).complete(ask())
    assert reply.kind == "timeout"
    assert reply.error is not None
    assert "within 0." in reply.error  # and not the 5 s of the endpoint


def test_unknown_prices_are_counted_not_guessed(provider: Provider, opened: Opened) -> None:
    door = opened(budget=BudgetConfig(usd=0.000001))
    assert door.complete(ask()).cost_usd is None
    assert door.spend.usd_unknown_calls == 1


@pytest.mark.parametrize(("fault", "held"), [(status(500), 0), (reset, 5), (slow(30), 5)])
def test_what_may_have_been_charged_stays_held(
    provider: Provider, opened: Opened, fault: Any, held: float
) -> None:
    provider.default = fault
    acme = {"acme": EndpointConfig(base_url=provider.url, timeout_s=0.2)}
    prices = {"acme/large": PriceConfig(input_per_mtok=0, output_per_mtok=1e6)}
    door = opened(endpoints=acme, prices=prices, max_attempts=1)
    assert not door.complete(ask(params={"max_tokens": 5})).answered
    assert door.spend.usd == 0
    assert door.spend.usd_held == held
    assert door.spend.calls["task"] == 1


def test_a_useless_answer_costs_what_its_provider_says(provider: Provider, opened: Opened) -> None:
    """Budgets are kept by the real cost wherever it is known, and by the worst case where it is not."""
    prices = {"acme/large": PriceConfig(input_per_mtok=0, output_per_mtok=1e6)}
    door = opened(prices=prices, max_attempts=1)

    def spent(**changes: Any) -> tuple[float, float]:
        provider.default = answer(None, **changes)
        usd, held = door.spend.usd, door.spend.usd_held
        assert door.complete(ask(params={"max_tokens": 500})).kind == "parse_error"
        return door.spend.usd - usd, door.spend.usd_held - held

    assert spent(usage={"prompt_tokens": 9, "completion_tokens": 2}) == (2, 0)
    assert spent(usage={"prompt_tokens": 9, "completion_tokens": 2, "cost": 0.5}) == (0.5, 0)
    for unknown in (None, {}, {"completion_tokens": 2}, {"prompt_tokens": 9, "completion_tokens": -1}):
        assert spent(usage=unknown) == (0, 500)


@pytest.mark.parametrize(
    ("text", "least"), [("退款申请被拒绝系统崩溃了" * 20, 200), ('{"a": [1, 2]}' * 20, 120)]
)
def test_tokens_that_a_provider_does_not_count_are_not_taken_for_few(
    provider: Provider, opened: Opened, text: str, least: int
) -> None:
    provider.default = answer(text, usage=None)
    door = opened()
    reply = door.complete(ask(text))
    assert min(reply.input_tokens, reply.output_tokens) >= least
    assert door.spend.tokens == reply.input_tokens + reply.output_tokens


def test_estimates_follow_what_tokenizers_really_take(provider: Provider, opened: Opened) -> None:
    provider.default = answer(usage={"prompt_tokens": 400, "completion_tokens": 1})
    door = opened(budget=BudgetConfig(tokens=1000), cache=None)
    params = {"max_tokens": 1}
    assert door.complete(ask(params=params)).answered  # thought to take 18 at most
    assert door.complete(ask(params=params)).answered
    with pytest.raises(BudgetExceeded):  # by now known to take some 400
        door.complete(ask(params=params))


def test_cancelled_while_waiting_for_a_reservation(provider: Provider, opened: Opened) -> None:
    provider.default = slow(0.2)
    prices = {"acme/large": PriceConfig(input_per_mtok=0, output_per_mtok=1e6)}
    door = opened(prices=prices, budget=BudgetConfig(usd=9))

    async def run() -> Reply:
        first = asyncio.create_task(door.acomplete(ask("a", params={"max_tokens": 6})))
        second = asyncio.create_task(door.acomplete(ask("b", params={"max_tokens": 6})))
        third = asyncio.create_task(door.acomplete(ask("c", params={"max_tokens": 6})))
        await asyncio.sleep(0.1)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        return await third

    assert door.run(run()).answered
    assert provider.calls == 2 == door.spend.calls["task"]


def test_a_ledger_that_was_damaged_is_said(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    door = opened(ledger=tmp_path / "ledger")
    door.complete(ask())
    with sqlite3.connect(tmp_path / "ledger") as other:
        other.execute("DROP TABLE requests")
    other.close()
    with pytest.raises(StorageError, match="ledger"):
        door.complete(ask("next"))
    assert provider.calls == 1


def test_a_full_disk_is_said_and_loses_nothing(provider: Provider, opened: Opened, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        door = opened(cache=disk / "cache.sqlite", ledger=disk / "ledger.sqlite")
        door.complete(ask())
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        with pytest.raises(StorageError, match="free some space and run the same command again"):
            for number in range(50):
                door.complete(ask(f"question {number}"))
        filler.unlink()
        calls = provider.calls
        door.complete(ask())
        assert provider.calls == calls
        door.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_what_lost_calls_hold_is_told_apart(tmp_path: Path) -> None:
    database = ledger_file(tmp_path / "l")
    ledger = Ledger(database, BudgetConfig(usd=1))
    ledger.lose(await ledger.reserve("task", "m", tokens=1, usd=0.75))
    with pytest.raises(BudgetExceeded, match=r"0\.75 of it held for calls without an answer"):
        await ledger.reserve("task", "m", tokens=1, usd=0.5)
    ledger.close()
    database.close()


async def test_a_crash_can_hold_a_quarter_of_what_is_left(tmp_path: Path) -> None:
    """Three processes die with all that they may have under way; four tenths of the budget are left."""
    left, asked = 1.0, 0
    for _ in range(3):
        database = ledger_file(tmp_path / "l")
        ledger = Ledger(database, BudgetConfig(usd=1))
        waiting = [
            asyncio.ensure_future(ledger.reserve("task", "m", tokens=1, usd=0.002)) for _ in range(200)
        ]
        await asyncio.sleep(0.05)
        asked += sum(task.done() for task in waiting)
        for task in waiting:
            task.cancel() if not task.done() else None
        await asyncio.gather(*waiting, return_exceptions=True)
        held = ledger.spend.usd_held
        assert 0 < left - (1 - held) <= left / 4 + 1e-9
        left = 1 - held
        database.close()  # the ledger is not closed: its process is gone
    assert left > 0.4
    assert asked > 100


async def test_one_call_alone_may_take_all_that_is_left(tmp_path: Path) -> None:
    database = ledger_file(tmp_path / "l")
    ledger = Ledger(database, BudgetConfig(usd=1))
    first = await ledger.reserve("task", "m", tokens=1, usd=1.0)
    ledger.settle(first, tokens=1, usd=0.25)
    second = await ledger.reserve("task", "m", tokens=1, usd=0.75)
    ledger.settle(second, tokens=1, usd=0.75)
    ledger.close()
    database.close()


async def test_the_ledger_alone(tmp_path: Path) -> None:
    database = ledger_file(tmp_path / "l")
    ledger = Ledger(database, BudgetConfig(calls=2, usd=1))
    first = await ledger.reserve("task", "m", tokens=10, usd=0.5)
    second = await ledger.reserve("judge", "m", tokens=10, usd=None)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve("task", "m", tokens=1, usd=0)
    ledger.release(second)
    ledger.settle(first, tokens=7, usd=0.1234567891)
    third = await ledger.reserve("reflection", "m", tokens=1, usd=0.5)
    ledger.lose(third)
    ledger.close()
    database.close()
    database = ledger_file(tmp_path / "l")
    again = Ledger(database, None)
    spend = again.spend
    assert spend.calls == {"task": 1, "judge": 0, "reflection": 1}
    assert (spend.usd, spend.usd_held, spend.tokens) == (0.123456789, 0.5, 7)
    again.close()
    database.close()


def test_a_file_of_the_first_format_goes_on(opened: Opened, tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "ledger")
    old.executescript("""
        CREATE TABLE requests (
          id INTEGER PRIMARY KEY, purpose TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
          tokens INTEGER NOT NULL, nanousd INTEGER);
        CREATE TABLE totals (
          purpose TEXT PRIMARY KEY, sent INTEGER NOT NULL, tokens INTEGER NOT NULL,
          held_tokens INTEGER NOT NULL, nanousd INTEGER NOT NULL, held_nanousd INTEGER NOT NULL,
          unpriced INTEGER NOT NULL);
        CREATE TABLE lifetimes (id INTEGER PRIMARY KEY, seconds REAL NOT NULL);
        INSERT INTO requests VALUES (1, 'task', 'm', 'reserved', 7, 5000000000);
        INSERT INTO totals VALUES ('task', 3, 40, 7, 2000000000, 5000000000, 0);
        INSERT INTO lifetimes VALUES (1, 100.5), (2, 20);
        PRAGMA user_version=1;
    """)
    old.close()
    door = opened(ledger=tmp_path / "ledger", budget=BudgetConfig(calls=4))
    assert door.spend.calls == {"task": 3, "judge": 0, "reflection": 0}
    assert (door.spend.usd, door.spend.usd_held, door.spend.tokens) == (2, 5, 40)
    assert 120.5 <= door.spend.seconds < 130
    door.complete(ask("a"))
    with pytest.raises(BudgetExceeded):
        door.complete(ask("b"))


spans = st.tuples(st.integers(0, 50), st.integers(0, 20)).map(lambda span: (span[0], span[0] + span[1]))


@given(st.lists(spans, max_size=8))
def test_time_is_counted_once(found: list[tuple[int, int]]) -> None:
    database = ledger_file(None)
    for worker, (started, ended) in enumerate(found, 1):
        database.write("INSERT INTO spans VALUES (?, 'r', ?, ?)", (worker, started, ended))
        database.write("INSERT INTO spans VALUES (?, 'another', 0, 99)", (-worker,))
    clock = Clock(database.clock, 1000, "r")
    database.run(clock.begin)
    covered = len({second for started, ended in found for second in range(started, ended)})
    assert covered <= clock.seconds < covered + 1
    database.close()


SCRIPT = """
import asyncio, sys
from pathlib import Path
from promptmigrate.config import BudgetConfig, EndpointConfig
from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm import Door
from promptmigrate.types import Request
folder, url = Path(sys.argv[1]), sys.argv[2]
async def run(door):
    async def one(i):
        try:
            message = {"role": "user", "content": f"q{i}"}
            await door.acomplete(Request(model="acme/m", messages=(message,)))
        except BudgetExceeded:
            return
        print("have", i, flush=True)
    await asyncio.gather(*(one(i) for i in range(200)))
endpoints = {"acme": EndpointConfig(base_url=url, max_concurrency=8)}
with Door.open(endpoints=endpoints, cache=folder / "cache", ledger=folder / "ledger",
               budget=BudgetConfig(calls=150)) as door:
    door.run(run(door))
    print("sent", door.spend.calls["task"], flush=True)
"""


@pytest.mark.slow
def test_kill_9_repeats_no_answered_call_and_keeps_the_budget(provider: Provider, tmp_path: Path) -> None:
    provider.default = slow(0.01)
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path), provider.url]
    have: set[str] = set()
    for enough in (20, 40, 60):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        before = provider.calls
        for line in process.stdout:
            have.add(line.split()[1])
            if provider.calls - before >= enough:
                os.kill(process.pid, signal.SIGKILL)
                break
        have.update(line.split()[1] for line in process.stdout)
        process.stdout.close()
        process.wait()
    time.sleep(0.1)  # the last requests of the dead process come in
    sent_when_killed = {r["messages"][0]["content"][1:] for r in provider.requests}
    killed_at = provider.calls
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
    rerun = Counter(r["messages"][0]["content"][1:] for r in provider.requests[killed_at:])
    assert not have & rerun.keys()
    assert have <= sent_when_killed
    counts = Counter(r["messages"][0]["content"] for r in provider.requests)
    # Only what was in flight at one of the three kills was sent twice: at most 8 each time.
    assert sum(count - 1 for count in counts.values()) <= 24
    assert provider.calls <= 150
    assert int(next(line for line in out if line.startswith("sent")).split()[1]) == 150
