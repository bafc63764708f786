"""Several workers do one run together: real processes against a real server, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promptmigrate.config import BudgetConfig, EndpointConfig, PriceConfig
from promptmigrate.errors import BudgetExceeded, UsageError
from promptmigrate.lm import Door
from promptmigrate.types import Reply
from tests.lm.conftest import Provider, ask, completion, slow, status

Opened = Callable[..., Door]
Store = dict[str, Any]
DOLLAR_A_TOKEN = {"acme/large": PriceConfig(input_per_mtok=0, output_per_mtok=1e6)}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """How workers that belong together open their Doors."""
    if request.param == "postgres":
        return {"storage": request.getfixturevalue("postgres").database(), "cache": None, "run": "r"}
    return {
        "cache": tmp_path / "calls.sqlite",
        "ledger": tmp_path / "ledger.sqlite",
        "shared": True,
        "run": "r",
    }


WORKER = """
import asyncio, json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import promptmigrate.lm.workers as workers
from promptmigrate.config import BudgetConfig, EndpointConfig, PriceConfig
from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm import Door
from promptmigrate.types import Request
task = json.loads(sys.argv[1])
workers.LEASE_S, workers.BEAT_S = task["lease"], 0.2
store = {k: Path(v) if k in ("cache", "ledger") and v else v for k, v in task["store"].items()}
replies = {}
def request(i):
    message = {"role": "user", "content": f"q{i}"}
    return Request(model="acme/large", messages=(message,), params=task["params"])
endpoints = {"acme": EndpointConfig(base_url=task["url"], max_concurrency=8)}
prices = {"acme/large": PriceConfig(input_per_mtok=0, output_per_mtok=1e6)}
with Door.open(endpoints=endpoints, prices=prices, budget=BudgetConfig(**task["budget"]), **store) as door:
    print("ready", flush=True)
    sys.stdin.readline()
    def one(i):
        try:
            reply = door.complete(request(i))
            replies[i] = [reply.kind, reply.text, reply.attempts]
        except BudgetExceeded:
            replies[i] = ["BudgetExceeded", None, 0]
    with ThreadPoolExecutor(task["threads"]) as pool:
        list(pool.map(one, range(*task["rows"])))
    spend = door.spend
print(json.dumps({"replies": replies, "sent": sum(spend.calls.values())}), flush=True)
"""


class Worker:
    """A process that asks for ``rows`` once it is told to go."""

    def __init__(self, url: str, store: Store, **task: Any) -> None:
        task = {"threads": 24, "lease": 10, "budget": {}, "params": {}, **task}
        task |= {"url": url, "store": {k: str(v) if isinstance(v, Path) else v for k, v in store.items()}}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, json.dumps(task)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def send(self, what: signal.Signals) -> None:
        os.kill(self.process.pid, what)

    def result(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert self.process.wait() == 0
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def start(provider: Provider, store: Store) -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def make(**task: Any) -> Worker:
        workers.append(Worker(provider.url, store, **task))
        return workers[-1]

    yield make
    for worker in workers:
        worker.end()


def together(workers: list[Worker]) -> None:
    for worker in workers:
        worker.ready()
    for worker in workers:
        worker.go()


def asked(provider: Provider) -> Counter[str]:
    return Counter(request["messages"][0]["content"] for request in provider.requests)


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


@pytest.mark.slow
def test_the_limit_of_an_endpoint_holds_for_all_workers(
    provider: Provider, start: Callable[..., Worker]
) -> None:
    """Eight at a time (the worker's max_concurrency), whoever asks; nobody is left waiting for ever."""
    provider.default = slow(0.03)
    workers = [start(rows=[10 * i, 10 * i + 80]) for i in range(3)]
    together(workers)
    results = [worker.result() for worker in workers]
    assert 2 < provider.most_in_flight <= 8  # how near it comes depends on the machine
    assert len(provider.requests) == 100
    assert {reply[0] for result in results for reply in result["replies"].values()} == {"ok"}


def test_more_workers_than_places(provider: Provider, opened: Opened, store: Store) -> None:
    provider.default = slow(0.02)
    acme = {"acme": EndpointConfig(base_url=provider.url, max_concurrency=1)}
    doors = [opened(endpoints=acme, **store) for _ in range(3)]
    with ThreadPoolExecutor(12) as pool:
        asked_for = [pool.submit(doors[i % 3].complete, ask(f"q{i}")) for i in range(12)]
        assert all(reply.result().answered for reply in asked_for)
    assert provider.most_in_flight == 1


def test_a_call_that_waits_to_be_tried_again_gets_its_turn(
    provider: Provider, opened: Opened, store: Store
) -> None:
    """Its place is kept while others wait for one."""
    provider.plan = [status(500), status(500)]
    acme = {"acme": EndpointConfig(base_url=provider.url, max_concurrency=2)}
    one, two = opened(endpoints=acme, **store), opened(endpoints=acme, **store)
    with ThreadPoolExecutor(16) as pool:
        asked_for = [pool.submit((one, two)[i % 2].complete, ask(f"q{i}")) for i in range(16)]
        assert all(reply.result().answered for reply in asked_for)
    assert provider.most_in_flight <= 2


@pytest.mark.slow
def test_three_workers_send_each_request_once(provider: Provider, start: Callable[..., Worker]) -> None:
    provider.default = slow(0.03)
    workers = [start(rows=[0, 90]) for _ in range(3)]
    together(workers)
    results = [worker.result() for worker in workers]
    assert set(asked(provider).values()) == {1}
    assert len(asked(provider)) == 90
    texts = [{i: reply[:2] for i, reply in result["replies"].items()} for result in results]
    assert texts[0] == texts[1] == texts[2]
    assert texts[0]["7"] == ["ok", "echo: q7"]
    sent = [sum(reply[2] for reply in result["replies"].values()) for result in results]
    assert sum(sent) == 90
    assert min(sent) > 0, "the work divides itself"
    assert max(result["sent"] for result in results) == 90


@pytest.mark.slow
def test_a_worker_that_is_killed(provider: Provider, start: Callable[..., Worker]) -> None:
    provider.default = slow(0.05)
    workers = [start(rows=[0, 90]) for _ in range(3)]
    together(workers)
    wait_for(lambda: provider.calls >= 30)
    workers[0].send(signal.SIGKILL)
    results = [worker.result() for worker in workers[1:]]
    assert results[0]["replies"].keys() == results[1]["replies"].keys()
    assert {tuple(reply[:2]) for reply in results[0]["replies"].values()} == {
        ("ok", f"echo: q{i}") for i in range(90)
    }
    # What the dead one had in flight, and nothing else, was asked again.
    assert len(asked(provider)) == 90
    assert 90 <= provider.calls <= 90 + 8


@pytest.mark.slow
def test_a_worker_that_stops_for_a_while(provider: Provider, start: Callable[..., Worker]) -> None:
    """Its lease ends, another asks; what it learns late does not count."""
    numbers = iter(range(10**6))

    async def numbered(_: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        number = next(numbers)
        await asyncio.sleep(0.3)
        return web.json_response(completion(f"answer {number}"))

    provider.default = numbered
    workers = [start(rows=[0, 8], lease=1) for _ in range(2)]
    workers[0].ready()
    workers[1].ready()
    workers[0].go()
    wait_for(lambda: provider.calls == 8)
    workers[0].send(signal.SIGSTOP)
    workers[1].go()
    other = workers[1].result()
    workers[0].send(signal.SIGCONT)
    stopped = workers[0].result()
    assert provider.calls == 16
    assert {i: r[1] for i, r in stopped["replies"].items()} == {i: r[1] for i, r in other["replies"].items()}
    assert {r[1] for r in other["replies"].values()} == {f"answer {i}" for i in range(8, 16)}


@pytest.mark.slow
def test_a_budget_holds_over_all_workers(provider: Provider, start: Callable[..., Worker]) -> None:
    workers = [start(rows=[40 * i, 40 * i + 40], threads=8, budget={"calls": 50}) for i in range(3)]
    together(workers)
    results = [worker.result() for worker in workers]
    assert provider.calls == 50
    kinds = Counter(reply[0] for result in results for reply in result["replies"].values())
    assert kinds == {"ok": 50, "BudgetExceeded": 70}


@pytest.mark.slow
def test_a_dead_worker_is_not_waited_for(
    provider: Provider, opened: Opened, store: Store, start: Callable[..., Worker]
) -> None:
    """What it had reserved stays counted: it may have been sent."""
    provider.default = slow(60)
    budget = {"usd": 8}
    worker = start(rows=[0, 1], params={"max_tokens": 5}, budget=budget)
    worker.ready()
    worker.go()
    wait_for(lambda: provider.calls == 1)
    door = opened(**store, prices=DOLLAR_A_TOKEN, budget=BudgetConfig(**budget))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(door.complete, ask("another", params={"max_tokens": 5}))
        time.sleep(0.3)
        assert not call.done(), "the other one is alive and may yet settle"
        worker.send(signal.SIGKILL)
        worker.process.wait()
        with pytest.raises(BudgetExceeded, match=r"raise budget\.usd"):
            call.result(30)
    assert door.spend.usd_held == 5
    assert provider.calls == 1


# --- several Doors in one process -----------------------------------------------------------------------


def test_a_reservation_of_another_worker_is_waited_for(
    provider: Provider, opened: Opened, store: Store
) -> None:
    provider.default = slow(0.4)
    doors = [opened(**store, prices=DOLLAR_A_TOKEN, budget=BudgetConfig(usd=8)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(doors[0].complete, ask("a", params={"max_tokens": 5}))
        wait_for(lambda: provider.calls == 1)
        second = pool.submit(doors[1].complete, ask("b", params={"max_tokens": 5}))
        assert first.result().kind == second.result().kind == "ok"
    assert doors[1].spend.usd == 6
    assert provider.most_in_flight == 1, "5 + 5 would have been over 8"


def test_failures_are_seen_alike_until_the_run_starts_anew(
    provider: Provider, opened: Opened, store: Store
) -> None:
    provider.plan = [slow(0.2, status(400, "not today"))]
    doors = [opened(**store) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda door: door.complete(ask()), doors))
    replies += [door.complete(ask()) for door in doors]
    assert provider.calls == 1
    assert {(reply.kind, reply.error, reply.cached) for reply in replies} == {
        ("provider_error", replies[0].error, False)
    }
    assert replies[0].error is not None
    assert "not today" in replies[0].error
    # A worker of another run, and one that joins while others are at work.
    assert opened(**{**store, "run": "other"}).complete(ask("x")).answered
    assert not opened(**store).complete(ask()).answered
    for door in doors:
        door.close()
    assert not opened(**store).complete(ask()).answered, "one worker of the run is still there"


def test_a_new_start_asks_again_what_failed(provider: Provider, opened: Opened, store: Store) -> None:
    provider.plan = [status(400)]
    with opened(**store) as door:
        assert not door.complete(ask()).answered
    with opened(**{**store, "run": "other"}), opened(**store) as door:
        assert door.complete(ask()).answered


def test_a_failure_of_another_run_is_not_ours(provider: Provider, opened: Opened, store: Store) -> None:
    provider.plan = [slow(0.2, status(400))]
    one, two = opened(**store), opened(**{**store, "run": "other"})
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.complete, ask())
        wait_for(lambda: provider.calls == 1)
        second = pool.submit(two.complete, ask())
        assert not first.result().answered
        assert second.result().answered
    assert provider.calls == 2


def test_a_call_that_is_cancelled_is_taken_over(provider: Provider, opened: Opened, store: Store) -> None:
    provider.default = slow(0.3)
    one, two = opened(**store), opened(**store)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.acomplete(ask()), 0.2)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.run, give_up())
        wait_for(lambda: provider.calls == 1)
        second = pool.submit(two.complete, ask())
        first.result()
        assert second.result().text == "echo: hi"
    assert provider.calls == 2


def test_a_worker_that_leaves_hands_over(provider: Provider, opened: Opened, store: Store) -> None:
    provider.default = slow(0.3)
    one, two = opened(**store), opened(**store)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.complete, ask())
        wait_for(lambda: provider.calls == 1)
        second = pool.submit(two.complete, ask())
        one.close()
        assert first.exception() is not None
        assert second.result().answered


def test_a_budget_error_is_not_shared(provider: Provider, opened: Opened, store: Store) -> None:
    door = opened(**store, budget=BudgetConfig(calls=1))
    door.complete(ask("a"))
    with pytest.raises(BudgetExceeded):
        door.complete(ask("b"))
    door.limit(None)
    assert door.complete(ask("b")).answered


def test_identical_calls_of_one_worker_are_one(provider: Provider, opened: Opened, store: Store) -> None:
    provider.default = slow(0.05)
    door = opened(**store)

    async def run() -> list[Reply]:
        return await asyncio.gather(*(door.acomplete(ask()) for _ in range(20)))

    assert sorted(reply.attempts for reply in door.run(run())) == [0] * 19 + [1]
    assert provider.calls == 1


def test_what_one_alone_has_stored_is_there(
    provider: Provider, opened: Opened, store: Store, tmp_path: Path
) -> None:
    if "storage" in store:
        opened(**store).complete(ask())
    else:
        opened(cache=store["cache"]).complete(ask())
    assert opened(**store).complete(ask()).cached
    assert provider.calls == 1


def test_waiting_takes_no_place_of_the_endpoint(provider: Provider, opened: Opened, store: Store) -> None:
    """One asks for something slow; the other waits for that and asks for the rest meanwhile."""
    provider.plan = [slow(0.5)]
    acme = {"acme": EndpointConfig(base_url=provider.url, max_concurrency=2)}
    one, two = opened(endpoints=acme, **store), opened(endpoints=acme, **store)

    async def both() -> float:
        waiting = asyncio.create_task(two.acomplete(ask("slow")))
        await asyncio.sleep(0.05)
        await two.acomplete(ask("quick"))
        assert not waiting.done()
        return (await waiting).latency_s

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.complete, ask("slow"))
        wait_for(lambda: provider.calls == 1)
        assert two.run(both()) == first.result().latency_s


def test_time_that_workers_share_counts_once(opened: Opened, store: Store) -> None:
    doors = [opened(**store) for _ in range(3)]
    time.sleep(0.5)
    for door in doors:
        door.close()
    with opened(**store) as door:
        assert 0.5 <= door.spend.seconds < 1.0


def test_many_open_at_once(provider: Provider, opened: Opened, store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        doors = list(pool.map(lambda _: opened(**store), range(8)))
        replies = list(pool.map(lambda door: door.complete(ask()), doors))
    assert {reply.text for reply in replies} == {"echo: hi"}
    assert provider.calls == 1


@pytest.mark.parametrize("files", [{}, {"cache": Path("c")}, {"ledger": Path("l")}])
def test_sharing_needs_something_to_share(files: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="cache= and ledger="):
        Door.open(shared=True, **files)
