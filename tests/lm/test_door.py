"""One call through the Door: what is sent, what comes back, what each fault leads to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import EndpointConfig, PriceConfig
from promptmigrate.errors import EndpointError, PromptMigrateError, UsageError
from promptmigrate.lm import Door
from tests.lm.conftest import (
    KEY,
    Provider,
    answer,
    ask,
    completion,
    raw,
    reset,
    slow,
    stall,
    status,
)

Opened = Callable[..., Door]


def test_a_call_sends_exactly_what_was_given(provider: Provider, opened: Opened) -> None:
    reply = opened().complete(ask("hi", params={"temperature": 0.0, "max_tokens": 7, "top_k": 3}))
    assert provider.requests == [
        {
            "model": "large",
            "messages": [{"role": "user", "content": "hi"}],
            "temperature": 0.0,
            "max_tokens": 7,
            "top_k": 3,
        }
    ]
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (reply.kind, reply.text, reply.model) == ("ok", "echo: hi", "served-model")
    assert (reply.input_tokens, reply.output_tokens, reply.cost_usd) == (11, 3, None)
    assert (reply.cached, reply.attempts, reply.status) == (False, 1, 200)
    assert reply.latency_s > 0


@pytest.mark.parametrize("name", ["model", "messages", "stream"])
def test_parameters_that_are_ours_are_refused(opened: Opened, provider: Provider, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        opened().complete(ask(params={name: True}))
    assert provider.calls == 0


def test_what_json_cannot_say_is_refused(opened: Opened, provider: Provider) -> None:
    with pytest.raises(UsageError, match="JSON"):
        opened().complete(ask(params={"temperature": float("nan")}))
    assert provider.calls == 0


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (completion("x", finish_reason="length"), "truncated", "x"),
        (completion("", finish_reason="content_filter"), "filtered", ""),
        (completion(""), "ok", ""),
        (completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ok", "ab"),
    ],
)
def test_kinds_of_answers(provider: Provider, opened: Opened, body: Any, kind: str, text: str) -> None:
    import json

    provider.plan = [raw(json.dumps(body).encode())]
    reply = opened().complete(ask())
    assert (reply.kind, reply.text, reply.attempts) == (kind, text, 1)


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": -5, "completion_tokens": 10**12}, {"prompt_tokens": "many"}, [1], 3],
)
def test_tokens_that_are_not_reported_are_estimated(provider: Provider, opened: Opened, usage: Any) -> None:
    provider.plan = [answer("x" * 40, usage=usage)]
    reply = opened().complete(ask("y" * 80))
    assert (reply.input_tokens, reply.output_tokens) == (20, 10)


@pytest.mark.parametrize(
    "fault",
    [status(500), status(503), status(529), status(408), status(409), status(425), reset]
    + [
        raw(body)
        for body in (b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b"\xff")
    ],
)
def test_faults_that_pass_are_retried(provider: Provider, opened: Opened, fault: Any) -> None:
    provider.plan = [answer("first"), fault]
    door = opened()
    door.complete(ask("before"))
    reply = door.complete(ask())
    assert (reply.kind, reply.text, reply.attempts) == ("ok", "echo: hi", 2)
    assert door.spend.calls["task"] == provider.calls == 3


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (status(500), "provider_error", 500),
        (status(429, retry_after="0"), "rate_limited", 429),
        (raw(b"{}"), "parse_error", 200),
        (raw(b'{"error": {"message": "overloaded", "code": 502}}'), "provider_error", 502),
    ],
)
def test_faults_that_stay_end_the_call_after_all_attempts(
    provider: Provider, opened: Opened, fault: Any, kind: str, code: int
) -> None:
    provider.default = fault
    door = opened(max_attempts=3)
    reply = door.complete(ask())
    assert (reply.kind, reply.text, reply.status, reply.attempts) == (kind, None, code, 3)
    assert reply.error and "127.0.0.1" in reply.error
    assert not reply.answered
    assert provider.calls == 3 == door.spend.calls["task"]


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (400, "bad temperature", "provider_error"),
        (413, "too large", "provider_error"),
        (422, "unprocessable", "provider_error"),
        (400, "This model's maximum context length is 8192 tokens", "provider_error"),
        (400, "The response was filtered due to content management policy", "filtered"),
        (403, "Your input was flagged by moderation", "filtered"),
    ],
)
def test_refused_requests_are_not_asked_again(
    provider: Provider, opened: Opened, code: int, message: str, kind: str
) -> None:
    provider.default = status(code, message)
    reply = opened().complete(ask())
    assert (reply.kind, reply.status, reply.attempts) == (kind, code, 1)
    assert reply.text == ("" if kind == "filtered" else None)
    assert provider.calls == 1


@pytest.mark.parametrize(
    ("code", "message", "says"),
    [
        (401, "Incorrect API key provided: sk-test-SEC***def", "refused the key in ACME_API_KEY"),
        (403, "forbidden", "refused the key in ACME_API_KEY"),
        (404, "nothing here", "does not know the model 'large'"),
        (400, "The model `large` does not exist", "does not know the model 'large'"),
        (402, "payment required", "no credit left for the key in ACME_API_KEY"),
        (429, "insufficient_quota", "no credit left"),
        (307, "elsewhere", "redirect"),
    ],
)
def test_configuration_faults_are_raised_once(
    provider: Provider, opened: Opened, code: int, message: str, says: str
) -> None:
    provider.default = status(code, message, location="https://example.com/")
    with pytest.raises(EndpointError, match=says) as caught:
        opened().complete(ask())
    assert f"({code})" in str(caught.value)
    assert provider.url in str(caught.value)
    assert provider.calls == 1


def test_an_endpoint_that_was_never_reached_is_a_wrong_address(opened: Opened) -> None:
    endpoints = {"acme": EndpointConfig(base_url="http://127.0.0.1:9")}
    door = opened(endpoints=endpoints)
    with pytest.raises(EndpointError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        door.complete(ask())
    assert door.spend.calls["task"] == 0  # nothing was sent


def test_an_endpoint_that_goes_away_fails_calls(provider: Provider, opened: Opened) -> None:
    door = opened(max_attempts=2)
    assert door.complete(ask("a")).answered
    provider.close()
    reply = door.complete(ask("b"))
    assert (reply.kind, reply.answered) == ("provider_error", False)
    assert reply.error is not None


def test_a_missing_key_is_found_before_sending(
    provider: Provider, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACME_API_KEY")
    door = opened()
    with pytest.raises(EndpointError, match=r"ACME_API_KEY .* is not set"):
        door.complete(ask())
    assert provider.calls == 0 == door.spend.calls["task"]


def test_a_silent_upstream_is_not_asked_again(provider: Provider, opened: Opened) -> None:
    provider.default = slow(30)
    acme = {"acme": EndpointConfig(base_url=provider.url, timeout_s=0.2)}
    door = opened(endpoints=acme)
    reply = door.complete(ask())
    assert (reply.kind, reply.attempts) == ("timeout", 1)
    assert provider.calls == 1
    assert reply.error and "0.2 s" in reply.error


def test_an_answer_that_stalls_is_asked_again(provider: Provider, opened: Opened) -> None:
    provider.plan = [stall]
    acme = {"acme": EndpointConfig(base_url=provider.url, timeout_s=0.3)}
    reply = opened(endpoints=acme).complete(ask())
    assert (reply.kind, reply.attempts) == ("ok", 2)


def test_one_deadline_over_all_attempts(provider: Provider, opened: Opened) -> None:
    provider.default = status(500)
    # Attempts wait 10, 20, 30, ... ms, so that 0.4 s hold nine at most.
    reply = opened(total_timeout_s=0.4, max_attempts=1000).complete(ask())
    assert reply.kind == "provider_error"
    assert 1 <= reply.attempts < 10


def _in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    "header", [{"retry_after": "0.3"}, {"retry_after_ms": "300"}, {"retry_after": _in(2)}]
)
def test_retry_after_is_honoured(provider: Provider, opened: Opened, header: dict[str, str]) -> None:
    if "retry_after" in header and not header["retry_after"][0].isdigit():
        header = {"retry_after": _in(2)}
    provider.plan = [status(429, **header)]
    started = time.monotonic()
    reply = opened().complete(ask())
    assert (reply.kind, reply.attempts) == ("ok", 2)
    assert time.monotonic() - started >= 0.29


@pytest.mark.parametrize("value", ["61", "3600", pytest.param(_in(7200), id="a date"), "86400000"])
def test_a_retry_after_beyond_the_cap_fails_the_call(provider: Provider, opened: Opened, value: str) -> None:
    provider.plan = [status(429, retry_after=value)]
    door = opened()
    reply = door.complete(ask())
    assert (reply.kind, reply.attempts, reply.status) == ("rate_limited", 1, 429)
    assert door.complete(ask("next")).answered


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "inf", ""])
def test_a_retry_after_that_means_nothing_is_ignored(provider: Provider, opened: Opened, value: str) -> None:
    provider.plan = [status(429, retry_after=value)]
    assert opened().complete(ask()).attempts == 2


def test_retries_have_a_budget_of_their_own(provider: Provider, opened: Opened) -> None:
    provider.default = status(500)
    door = opened(cache=None)

    async def storm() -> list[Any]:
        return await asyncio.gather(*(door.acomplete(ask(str(i))) for i in range(60)))

    replies = door.run(storm())
    assert {reply.kind for reply in replies} == {"provider_error"}
    assert 60 < provider.calls <= 60 + 20 + 12  # the floor and a fifth, not 3 x 60


def test_throttling_lowers_the_concurrency(provider: Provider, opened: Opened) -> None:
    """A server that takes four at a time: the Door finds its way without failing calls."""

    async def four(request: Any, body: Any) -> Any:
        if provider.in_flight > 4:
            return await status(429, retry_after="0.05")(request, body)
        await asyncio.sleep(0.005)
        return await answer("ok")(request, body)

    provider.default = four
    door = opened(cache=None, max_attempts=50)

    async def run() -> list[Any]:
        return await asyncio.gather(*(door.acomplete(ask(str(i))) for i in range(100)))

    replies = door.run(run())
    assert all(reply.answered for reply in replies)
    assert provider.calls == door.spend.calls["task"] == sum(reply.attempts for reply in replies)


def test_concurrency_stays_below_the_configured_maximum(provider: Provider, opened: Opened) -> None:
    provider.default = slow(0.01)
    acme = {"acme": EndpointConfig(base_url=provider.url, max_concurrency=5)}
    door = opened(endpoints=acme, cache=None)

    async def run() -> None:
        await asyncio.gather(*(door.acomplete(ask(str(i))) for i in range(60)))

    door.run(run())
    assert provider.most_in_flight == 5


def test_price_and_cost(provider: Provider, opened: Opened) -> None:
    door = opened(prices={"acme/large": PriceConfig(input_per_mtok=10, output_per_mtok=100)})
    price = door.price("acme/large")
    assert price is not None
    assert price.source == "configuration"
    assert door.price("acme/other") is None
    assert door.complete(ask()).cost_usd == pytest.approx((11 * 10 + 3 * 100) / 1e6)


@pytest.mark.parametrize(("cost", "known"), [(0.25, True), (-1, False), ("1", False), (None, False)])
def test_a_cost_that_the_provider_reports_is_taken(
    provider: Provider, opened: Opened, cost: Any, known: bool
) -> None:
    provider.plan = [answer(usage={"prompt_tokens": 1, "completion_tokens": 1, "cost": cost})]
    door = opened()
    assert door.complete(ask()).cost_usd == (cost if known else None)
    assert door.spend.usd == (cost if known else 0)
    assert door.spend.usd_unknown_calls == (0 if known else 1)


# --- ways in ---------------------------------------------------------------------------------------------


def test_many_threads(provider: Provider, opened: Opened) -> None:
    door = opened()
    with ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(lambda i: door.complete(ask(str(i))).text, range(50)))
    assert texts == [f"echo: {i}" for i in range(50)]
    assert provider.calls == 50


async def test_from_another_loop(provider: Provider, opened: Opened) -> None:
    door = opened()
    replies = await asyncio.gather(*(door.acomplete(ask(str(i))) for i in range(10)))
    assert [reply.text for reply in replies] == [f"echo: {i}" for i in range(10)]


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


async def test_cancelling_stops_the_request_upstream(provider: Provider, opened: Opened) -> None:
    provider.default = slow(30)
    door = opened()
    task = asyncio.create_task(door.acomplete(ask()))
    await asyncio.to_thread(_until, lambda: provider.in_flight == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(_until, lambda: provider.aborted == 1)
    assert door.spend.calls["task"] == 1  # it was sent


def test_an_interrupt_stops_what_run_had_started(provider: Provider, opened: Opened) -> None:
    import os
    import signal

    # A test run in the background may have been started with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    provider.default = slow(30)
    door = opened()
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.gather(*(door.acomplete(ask(str(i))) for i in range(3)))
        finally:
            cleaned.append(True)

    def interrupt() -> None:
        _until(lambda: provider.in_flight == 3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            door.run(work())
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert cleaned == [True]
    _until(lambda: provider.aborted == 3)
    provider.default = answer("still works")
    assert door.complete(ask("after")).text == "still works"


def test_closing_ends_calls_under_way(provider: Provider, opened: Opened) -> None:
    provider.default = slow(30)
    door = opened()
    errors = []

    def call() -> None:
        try:
            door.complete(ask())
        except PromptMigrateError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    _until(lambda: provider.in_flight == 1)
    door.close()
    thread.join()
    assert errors == ["the Door was closed while a call was under way"]
    door.close()
    with pytest.raises(PromptMigrateError, match="closed"):
        door.complete(ask())


def test_a_synchronous_call_on_the_doors_loop_is_refused(provider: Provider, opened: Opened) -> None:
    door = opened()

    async def wrong() -> None:
        door.complete(ask())

    with pytest.raises(PromptMigrateError, match="await acomplete"):
        door.run(wrong())


def test_after_a_fork_it_fails_clearly(provider: Provider, opened: Opened) -> None:
    import os
    import warnings

    door = opened()
    assert door.complete(ask()).answered
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forking with threads
        child = os.fork()
    if child == 0:
        try:
            door.complete(ask("child"))
        except PromptMigrateError as error:
            os.write(write, str(error).encode())
        door.close()
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    assert b"opened before the process forked" in os.read(read, 500)
    os.close(read)
    assert door.complete(ask("parent")).answered


def test_opening_starts_no_thread_and_writes_nothing_outside(tmp_path: Path) -> None:
    before = threading.active_count()
    with Door.open():
        assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []
