"""Calls through a real server: answers, retries, deadlines, fallbacks, breaker, kill switch."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from promptmigrate.errors import CallFailed, PromptMigrateError, TemplateError, UsageError
from promptmigrate.gateway import Gateway
from tests.gateway.conftest import FakeTime, Open
from tests.gateway.upstream import Upstream

CANARY = {"production": 0, "candidate": 10000}
FALLBACK = {"default": ["production"]}


def test_an_answer_says_who_gave_it_and_what_it_cost(open_gateway: Open, upstream: Upstream) -> None:
    gateway = open_gateway()
    answer = gateway.complete({"text": "hi {{x}}"}, user="u1")
    assert answer.text == "large: hi {{x}}"
    assert (answer.variant, answer.assigned, answer.fallback) == ("production", "production", False)
    assert (answer.model, answer.revision, answer.attempts) == ("large-2026", 4, 1)
    assert (answer.input_tokens, answer.output_tokens) == (10, 4)
    assert answer.cost_usd == pytest.approx((10 * 1 + 4 * 2) / 1e6)
    assert answer.finish_reason == "stop"
    assert answer.trace_id is None
    assert answer.latency_s > 0
    sent = upstream.seen[0]
    assert sent["messages"] == [
        {"role": "system", "content": "Old."},
        {"role": "user", "content": "hi {{x}}"},
    ]
    assert sent["temperature"] == 0
    assert sent["authorization"] == "Bearer test-key-abcdefgh"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "needs the variable 'text'; none given"),
        ({"txt": "a"}, "needs the variable 'text'; given: 'txt'"),
        ({"text": "a", "texts": "b"}, "has no variable 'texts'; did you mean 'text'?"),
        ({"text": None}, "the variable 'text' is None; give a value"),
        ({"text": object()}, "is not a text or JSON"),
    ],
)
def test_wrong_variables_are_an_error_before_anything_is_sent(
    open_gateway: Open, upstream: Upstream, variables: dict[str, Any], message: str
) -> None:
    with pytest.raises(TemplateError, match=message.replace("?", r"\?")):
        open_gateway().complete(variables)
    assert upstream.seen == []


def test_values_that_are_not_texts_are_written_as_json(open_gateway: Open, upstream: Upstream) -> None:
    assert open_gateway().complete({"text": {"a": [1, True]}}).text == 'large: {"a": [1, true]}'


@pytest.mark.parametrize(
    "fault", [408, 409, 425, 429, 500, 502, 503, 529, "reset", "html", "no_choices", "half"]
)
def test_what_another_attempt_may_cure_is_asked_again_on_the_same_variant(
    open_gateway: Open, upstream: Upstream, fault: Any
) -> None:
    upstream.plan("small", fault, fault, "ok")
    answer = open_gateway(traffic=CANARY, fallbacks=FALLBACK).complete({"text": "a"})
    assert (answer.variant, answer.attempts) == ("candidate", 3)
    assert upstream.count("large") == 0


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [(400, "provider_error", 400), (401, "provider_error", 401), (403, "provider_error", 403),
     (404, "provider_error", 404), (413, "provider_error", 413), (422, "provider_error", 422),
     (402, "provider_error", 402), (307, "provider_error", 307),
     ("context", "provider_error", 400), ("refused", "filtered", 400), ("filtered", "filtered", 200)],
)  # fmt: skip
def test_refusals_and_wrong_settings_are_neither_retried_nor_routed_around(
    open_gateway: Open, upstream: Upstream, fault: Any, kind: str, status: int
) -> None:
    upstream.plan("small", fault)
    with pytest.raises(CallFailed) as caught:
        open_gateway(traffic=CANARY, fallbacks=FALLBACK).complete({"text": "a"})
    assert (caught.value.kind, caught.value.status, caught.value.attempts) == (kind, status, 1)
    assert len(upstream.seen) == 1
    assert "test-key-abcdefgh" not in str(caught.value)


def test_an_outage_falls_over_to_a_variant_with_its_own_prompt_and_counts_for_the_assigned_one(
    open_gateway: Open, upstream: Upstream
) -> None:
    upstream.plan("small", 503)
    answer = open_gateway(traffic=CANARY, fallbacks=FALLBACK).complete({"text": "a"}, user="u")
    assert (answer.assigned, answer.variant, answer.fallback) == ("candidate", "production", True)
    assert answer.attempts == 4
    assert answer.text == "large: a"
    assert [request["messages"][0]["content"] for request in upstream.seen[-2:]] == ["New: a", "Old."]


def test_when_every_variant_fails_the_error_tells_the_story(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("small", 503)
    upstream.plan("large", 500)
    with pytest.raises(CallFailed, match=r"'candidate'.*503.*; then variant 'production'.*500") as caught:
        open_gateway(traffic=CANARY, fallbacks=FALLBACK).complete({"text": "a"})
    assert (caught.value.kind, caught.value.status, caught.value.attempts) == ("provider_error", 500, 6)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("fault", "group"),
    [("refused", "content_filter"), ("filtered", "content_filter"), (401, "auth"), (404, "auth")],
)
def test_refusals_and_bad_keys_fall_over_only_where_the_route_says_so(
    open_gateway: Open, upstream: Upstream, fault: Any, group: str
) -> None:
    upstream.plan("small", fault)
    gateway = open_gateway(traffic=CANARY, fallbacks={group: ["production"]})
    assert gateway.complete({"text": "a"}).variant == "production"


def test_the_tokens_of_a_refused_answer_are_counted(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("small", "filtered")
    answer = open_gateway(traffic=CANARY, fallbacks={"content_filter": ["production"]}).complete(
        {"text": "a"}
    )
    assert answer.cost_usd == pytest.approx((10 * 1.1 + 4 * 2.2) / 1e6)
    assert (answer.input_tokens, answer.output_tokens) == (20, 8)


def test_context_length_falls_over_only_to_a_larger_window(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("small", "context")
    upstream.plan("large", "context")
    rules = {"context_length": ["candidate", "production"]}
    gateway = open_gateway(traffic=CANARY, fallbacks=rules)
    with pytest.raises(CallFailed) as caught:
        gateway.complete({"text": "a"})
    assert caught.value.attempts == 2  # small, then the larger one, which has nothing larger after it
    upstream.plan("large", "ok")
    assert gateway.complete({"text": "a"}).variant == "production"


def test_context_length_does_not_fall_over_to_a_window_of_the_same_size(
    open_gateway: Open, upstream: Upstream
) -> None:
    upstream.plan("small", "context")
    gateway = open_gateway()
    variants = gateway.route.model_dump(mode="json", by_alias=True, exclude_unset=True)["variants"]
    variants["candidate"]["context_window"] = variants["production"]["context_window"]
    gateway = open_gateway(traffic=CANARY, fallbacks={"context_length": ["production"]}, variants=variants)
    with pytest.raises(CallFailed):
        gateway.complete({"text": "a"})


def test_a_truncated_answer_is_an_answer_that_says_so(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("large", "truncated")
    answer = open_gateway().complete({"text": "a"})
    assert (answer.text, answer.finish_reason) == ("cut", "length")


# --- time ------------------------------------------------------------------------------------------------


def test_retry_after_is_waited_for(open_gateway: Open, upstream: Upstream, fake: FakeTime) -> None:
    upstream.plan("large", (429, {"Retry-After": "7"}, "slow down"), "ok")
    assert open_gateway(fake.clock).complete({"text": "a"}).attempts == 2
    assert fake.slept == [7.0]


def test_a_longer_retry_after_falls_over_at_once(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("small", (429, {"Retry-After": "3600"}, "slow down"))
    answer = open_gateway(fake.clock, traffic=CANARY, fallbacks=FALLBACK).complete({"text": "a"})
    assert (answer.variant, answer.attempts, fake.slept) == ("production", 2, [])


def test_waits_grow_with_full_jitter_up_to_the_maximum(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("large", 503)
    retry = {"max_attempts": 8, "backoff": {"base_s": 1, "max_s": 3}}
    gateway = open_gateway(fake.clock, retry=retry, breaker={"failures": 100})
    with pytest.raises(CallFailed):
        gateway.complete({"text": "a"})
    assert len(fake.slept) == 7
    assert all(0 <= wait <= limit for wait, limit in zip(fake.slept, [1, 2, 3, 3, 3, 3, 3], strict=True))
    assert len(set(fake.slept)) == 7


def test_no_retry_is_started_that_the_deadline_would_cut(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("large", (503, {"Retry-After": "12"}, "x"))
    with pytest.raises(CallFailed) as caught:
        open_gateway(fake.clock, timeouts={"total_s": 10}).complete({"text": "a"})
    assert (caught.value.attempts, fake.slept) == (1, [])


def test_the_total_deadline_wins_over_attempts_and_fallbacks(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("small", "hang")
    upstream.plan("large", "hang")
    gateway = open_gateway(traffic=CANARY, fallbacks=FALLBACK, timeouts={"attempt_s": 0.3, "total_s": 0.5})
    started = time.monotonic()
    with pytest.raises(CallFailed) as caught:
        gateway.complete({"text": "a"})
    assert caught.value.kind == "timeout"
    assert caught.value.attempts == 2
    assert time.monotonic() - started < 15  # attempts and retries at their own limits would be far beyond


def test_a_caller_may_be_in_more_of_a_hurry(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("large", "hang")
    with pytest.raises(CallFailed, match=r"0\.2 s"):
        open_gateway().complete({"text": "a"}, timeout_s=0.2)


def test_a_silent_upstream_is_not_asked_again_but_a_stalled_answer_is(
    open_gateway: Open, upstream: Upstream
) -> None:
    upstream.plan("small", "hang")
    gateway = open_gateway(traffic=CANARY, fallbacks=FALLBACK, timeouts={"attempt_s": 0.3, "total_s": 25})
    assert gateway.complete({"text": "a"}).attempts == 2
    assert upstream.count("small") == 1
    upstream.plan("small", "stall", "ok")
    assert gateway.complete({"text": "a"}).variant == "candidate"
    assert upstream.count("small") == 3


def test_the_retry_budget_keeps_a_brown_out_from_being_doubled(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("large", *[503, "ok"] * 500)
    gateway = open_gateway(
        fake.clock, retry={"max_attempts": 3, "backoff": {"base_s": 0, "max_s": 0}, "budget": 0.1}
    )
    failed = 0
    for _ in range(200):
        try:
            gateway.complete({"text": "a"})
        except CallFailed:
            failed += 1
    # 10 in the bucket at first, then one for every ten calls; no time passes.
    assert 200 + 10 <= len(upstream.seen) <= 200 + 10 + 20
    assert failed > 0


def test_the_breaker_leaves_a_dead_variant_alone_and_probes_it_once(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("small", 503)
    gateway = open_gateway(
        fake.clock, traffic=CANARY, fallbacks=FALLBACK, retry={"max_attempts": 1},
        breaker={"failures": 3, "window_s": 30, "open_s": 15},
    )  # fmt: skip
    for _ in range(10):
        assert gateway.complete({"text": "a"}).variant == "production"
    assert upstream.count("small") == 3
    fake.now += 16
    assert gateway.complete({"text": "a"}).variant == "production"
    assert upstream.count("small") == 4  # one probe, and it failed
    gateway.complete({"text": "a"})
    assert upstream.count("small") == 4
    fake.now += 16
    upstream.plan("small", "ok")
    assert gateway.complete({"text": "a"}).variant == "candidate"
    assert gateway.complete({"text": "a"}).variant == "candidate"


def test_an_open_breaker_without_a_fallback_fails_without_sending(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("large", 503)
    gateway = open_gateway(fake.clock, retry={"max_attempts": 1}, breaker={"failures": 1})
    for attempts in (1, 0):
        with pytest.raises(CallFailed) as caught:
            gateway.complete({"text": "a"})
        assert caught.value.attempts == attempts
    assert "breaker open" in str(caught.value)


def test_a_breaker_that_opens_ends_the_retries_of_the_call_that_opened_it(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("large", 503)
    gateway = open_gateway(fake.clock, retry={"max_attempts": 3}, breaker={"failures": 1})
    with pytest.raises(CallFailed, match="503") as caught:
        gateway.complete({"text": "a"})
    assert (caught.value.attempts, fake.slept) == (1, [])


def test_an_upstream_that_refuses_requests_is_not_an_outage(
    open_gateway: Open, upstream: Upstream, fake: FakeTime
) -> None:
    upstream.plan("large", 400)
    gateway = open_gateway(fake.clock, breaker={"failures": 1})
    for _ in range(5):
        with pytest.raises(CallFailed):
            gateway.complete({"text": "a"})
    assert len(upstream.seen) == 5


def test_a_connection_that_is_refused_falls_over(open_gateway: Open, upstream: Upstream) -> None:
    gateway = open_gateway(traffic=CANARY, fallbacks=FALLBACK)
    data = gateway._file.path.read_text()
    head, tail = data.split("  candidate:", 1)
    tail = tail.replace(upstream.url, "http://127.0.0.1:1/v1", 1).replace("revision: 4", "revision: 5")
    gateway._file.path.write_text(head.replace("revision: 4", "revision: 5") + "  candidate:" + tail)
    assert gateway.reload()
    assert gateway.complete({"text": "a"}).variant == "production"


# --- places ----------------------------------------------------------------------------------------------


def test_calls_beyond_the_queue_are_turned_away_and_those_in_it_served(
    open_gateway: Open, upstream: Upstream
) -> None:
    upstream.plan("large", "hang")
    gateway = open_gateway(concurrency={"max": 1, "queue": 1, "queue_timeout_s": 25})
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(gateway.complete({"text": "a"}).text))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    _until(lambda: gateway._live.places._taken == 1 and len(gateway._live.places._waiting) == 1)
    with pytest.raises(CallFailed, match="as many as 'concurrency' allows") as caught:
        gateway.complete({"text": "a"})
    assert (caught.value.kind, caught.value.attempts) == ("rate_limited", 0)
    upstream.let_go()
    for thread in threads:
        thread.join(25)
    assert answers == ["large: a"] * 2
    assert len(upstream.seen) == 2


def test_waiting_for_a_place_ends(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("large", "hang")
    gateway = open_gateway(concurrency={"max": 1, "queue": 1, "queue_timeout_s": 0.1})
    thread = threading.Thread(target=lambda: gateway.complete({"text": "a"}))
    thread.start()
    _until(lambda: len(upstream.seen) == 1)
    with pytest.raises(CallFailed, match="no place became free"):
        gateway.complete({"text": "a"})
    upstream.let_go()
    thread.join(25)
    assert gateway.complete({"text": "a"}).attempts == 1  # the place of the one that gave up is not lost


# --- who gets what ---------------------------------------------------------------------------------------


def test_a_user_stays_with_a_variant_and_the_session_counts_where_there_is_no_user(
    open_gateway: Open, upstream: Upstream
) -> None:
    gateway = open_gateway(traffic={"production": 5000, "candidate": 5000})
    first = {f"u{n}": gateway.complete({"text": "a"}, user=f"u{n}").variant for n in range(30)}
    assert set(first.values()) == {"production", "candidate"}
    for unit, variant in first.items():
        assert gateway.complete({"text": "b"}, user=unit, session="s").variant == variant
        assert gateway.complete({"text": "b"}, session=unit).variant == variant


def test_a_number_is_the_same_unit_as_its_text(open_gateway: Open, upstream: Upstream) -> None:
    gateway = open_gateway(traffic={"production": 5000, "candidate": 5000})
    for number in range(10):
        one = gateway.complete({"text": "a"}, user=number).variant
        assert gateway.complete({"text": "a"}, user=str(number)).variant == one


def test_a_call_without_a_unit_gets_what_the_route_says(open_gateway: Open, upstream: Upstream) -> None:
    half = {"production": 5000, "candidate": 5000}
    gateway = open_gateway(traffic=half, unit={"missing": "control"})
    assert {gateway.complete({"text": "a"}, user="").variant for _ in range(20)} == {"production"}
    gateway = open_gateway(traffic=half, unit={"missing": "random"})
    assert {gateway.complete({"text": "a"}).variant for _ in range(30)} == {"production", "candidate"}
    gateway = open_gateway(traffic=half, unit={"missing": "error"})
    with pytest.raises(UsageError, match="give user= or session= with every call"):
        gateway.complete({"text": "a"})


@pytest.mark.parametrize("how", ["file", "environment"])
def test_the_kill_switch_puts_everything_on_control_and_nothing_falls_back_to_the_candidate(
    open_gateway: Open, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "environment":
        monkeypatch.setenv("PROMPTMIGRATE_KILL_SUPPORT", "1")
    gateway = open_gateway(
        traffic=CANARY, fallbacks={"default": ["candidate"]}, state="killed" if how == "file" else "active"
    )
    assert gateway.killed
    answer = gateway.complete({"text": "a"}, user="u")
    assert (answer.assigned, answer.variant) == ("production", "production")
    upstream.plan("large", 503)
    with pytest.raises(CallFailed):
        gateway.complete({"text": "a"}, user="u")
    assert upstream.count("small") == 0
    if how == "environment":
        monkeypatch.setenv("PROMPTMIGRATE_KILL_SUPPORT", "0")
        assert gateway.complete({"text": "a"}, user="u").variant == "candidate"


# --- threads and loops -----------------------------------------------------------------------------------


def test_threads_and_loops_share_one_gateway(open_gateway: Open, upstream: Upstream) -> None:
    gateway = open_gateway()
    texts: list[str] = []

    def in_thread(name: str) -> None:
        texts.extend(gateway.complete({"text": f"{name}-{n}"}).text for n in range(10))

    async def several(name: str) -> None:
        answers = await asyncio.gather(*(gateway.acomplete({"text": f"{name}-{n}"}) for n in range(10)))
        texts.extend(answer.text for answer in answers)

    jobs = [threading.Thread(target=in_thread, args=(f"t{n}",)) for n in range(4)]
    jobs += [threading.Thread(target=lambda n=n: asyncio.run(several(f"l{n}"))) for n in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert sorted(texts) == sorted(
        f"large: {kind}{n}-{i}" for kind in "tl" for n in range(4) for i in range(10)
    )


async def test_cancelling_stops_the_work_upstream(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("large", "hang")
    gateway = open_gateway(concurrency={"max": 1, "queue": 1})
    call = asyncio.ensure_future(gateway.acomplete({"text": "a"}))
    while not upstream.seen:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    while not upstream.gone:
        await asyncio.sleep(0.01)
    upstream.plan("large", "ok")
    assert (await gateway.acomplete({"text": "a"})).text == "large: a"  # its place is free again


def test_closing_ends_calls_in_flight_and_refuses_new_ones(open_gateway: Open, upstream: Upstream) -> None:
    upstream.plan("large", "hang")
    gateway = open_gateway()
    errors: list[BaseException] = []

    def call() -> None:
        try:
            gateway.complete({"text": "a"})
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    _until(lambda: len(upstream.seen) == 1)
    assert gateway.close()
    thread.join(25)
    assert isinstance(errors[0], PromptMigrateError)
    with pytest.raises(PromptMigrateError, match="closed"):
        gateway.complete({"text": "a"})
    assert gateway.close()


def test_a_price_that_nobody_states_is_unknown(open_gateway: Open, upstream: Upstream) -> None:
    gateway = open_gateway()
    variants = gateway.route.model_dump(mode="json", by_alias=True, exclude_unset=True)["variants"]
    del variants["production"]["price"]
    assert open_gateway(variants=variants).complete({"text": "a"}).cost_usd is None


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 25
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_repr_shows_no_secret(open_gateway: Open) -> None:
    gateway = open_gateway()
    assert repr(gateway) == "Gateway(route='support', revision=4, state='active')"
    assert isinstance(gateway, Gateway)
