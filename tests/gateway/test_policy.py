"""The policy against any sequence of faults, in virtual time."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.errors import CallFailed
from promptmigrate.gateway.live import make_live
from promptmigrate.gateway.policy import Journey, travel
from promptmigrate.gateway.route import check_route
from promptmigrate.lm.transports import RETRIED, WireError, WireReply, WireRequest
from tests.gateway.conftest import FakeTime, route_data

FAULTS = [
    "rate_limited", "server", "reset", "unreachable", "bad_body", "silent", "slow",
    "bad_request", "context_length", "auth", "not_found", "billing", "moved", "filtered",
]  # fmt: skip
STEP = st.tuples(
    st.one_of(st.just("ok"), st.sampled_from(FAULTS)),
    st.floats(0, 40),  # seconds that the attempt would like to take
    st.one_of(st.none(), st.floats(0, 100)),  # Retry-After
)


class Scripted:
    """A transport in virtual time that keeps to its timeout."""

    def __init__(self, time: FakeTime, steps: list[Any]) -> None:
        self.time, self.steps, self.log = time, steps, list[tuple[str, str, float]]()

    async def send(self, request: WireRequest, /) -> WireReply:
        fault, seconds, retry_after = self.steps.pop(0) if self.steps else ("ok", 0.1, None)
        begun = self.time.now
        assert request.timeout_s > 0
        if seconds > request.timeout_s or fault in {"silent", "slow"}:
            seconds = request.timeout_s
            fault = fault if fault in {"silent", "slow"} else "silent"
        self.time.now += seconds
        self.log.append((request.model, fault, begun))
        if fault in {"ok", "filtered"}:
            return WireReply(
                kind="ok" if fault == "ok" else "filtered", text="t", model=request.model,
                finish_reason="stop", input_tokens=1, output_tokens=1, latency_s=seconds,
            )  # fmt: skip
        raise WireError(fault, fault, retry_after_s=retry_after)  # type: ignore[arg-type]

    async def aclose(self) -> None:
        pass


@settings(max_examples=300, deadline=None)
@given(
    st.lists(STEP, max_size=20),
    st.integers(1, 4),
    st.integers(0, 3),
    st.lists(st.sampled_from(["default", "context_length", "content_filter", "auth"]), unique=True),
    st.integers(0, 2**32),
)
def test_the_rules_hold_for_every_sequence_of_faults(
    steps: list[Any], max_attempts: int, calls: int, groups: list[str], seed: int
) -> None:
    time = FakeTime()
    route = check_route(
        route_data(
            timeouts={"attempt_s": 10, "total_s": 25},
            retry={
                "max_attempts": max_attempts,
                "backoff": {"base_s": 1, "max_s": 8},
                "retry_after_max_s": 12,
            },
            fallbacks={group: ["production"] for group in groups},
        )
    )
    live = make_live(route, rng=random.Random(seed))
    transport = Scripted(time, list(steps))
    for target in live.targets.values():
        live.transports[target.endpoint] = transport

    async def call() -> None:
        transport.log.clear()
        time.slept.clear()
        started = time.now
        journey = Journey(assigned="candidate")
        error: CallFailed | None = None
        try:
            await travel(live, journey, {"text": "a"}, started + 25, time.clock)
        except CallFailed as failed:
            error = failed
        log = transport.log
        assert time.now - started <= 25 + 1e-6
        assert len(log) == len(journey.attempts)
        models = [model for model, _, _ in log]
        assert models == sorted(models, reverse=True)  # small first, large only after it, never back
        assert all(models.count(model) <= max_attempts for model in set(models))
        for (model, fault, _), (following, _, _) in pairwise(log):
            if model == following:
                assert fault in RETRIED
            else:
                group = {
                    "context_length": "context_length", "filtered": "content_filter", "auth": "auth",
                    "not_found": "auth", "billing": "auth", "moved": "auth",
                }.get(fault, "default")  # fmt: skip
                assert group in groups
                assert fault != "bad_request"
        assert all(wait <= 12 for wait in time.slept)
        if error is None:
            assert journey.reply is not None
            assert log[-1][1] == "ok"
            assert journey.served is not None
            assert journey.served.wire_model == log[-1][0]
        else:
            assert error.attempts == len(log)
            assert journey.reply is None
            assert not log or log[-1][1] != "ok"

    async def all_calls() -> None:
        for _ in range(calls + 1):
            await call()

    asyncio.run(all_calls())


@pytest.mark.parametrize("retry_after", [None, 3.0])
async def test_retry_after_is_at_least_waited_for(retry_after: float | None) -> None:
    time = FakeTime()
    live = make_live(check_route(route_data()), rng=random.Random(1))
    transport = Scripted(time, [("rate_limited", 0.1, retry_after), ("ok", 0.1, None)])
    for target in live.targets.values():
        live.transports[target.endpoint] = transport
    await travel(live, Journey(assigned="production"), {"text": "a"}, time.now + 25, time.clock)
    (waited,) = time.slept
    assert waited >= (retry_after or 0)
    assert waited <= (retry_after or 0.05)
