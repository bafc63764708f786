"""Breaker, retry budget and places on their own."""

from __future__ import annotations

import asyncio

import pytest

from promptmigrate.errors import CallFailed
from promptmigrate.gateway.guards import Breaker, Places, RetryBudget
from promptmigrate.gateway.sections.serving import Breaker as BreakerSettings
from promptmigrate.gateway.sections.serving import Concurrency


def test_failures_in_a_row_within_the_window_open_the_breaker() -> None:
    breaker = Breaker(BreakerSettings(failures=3, window_s=10, open_s=5))
    for now in (0.0, 6.0, 12.0, 18.0):  # never three within ten seconds
        breaker.failed(now)
    assert breaker.allows(18.0)
    breaker.failed(19.0)
    breaker.succeeded()
    breaker.failed(19.5)
    breaker.failed(19.6)
    assert breaker.allows(19.7)
    breaker.failed(19.8)
    assert not breaker.allows(19.9)
    assert breaker.is_open


def test_one_probe_at_a_time_and_a_cancelled_one_frees_its_turn() -> None:
    breaker = Breaker(BreakerSettings(failures=1, window_s=10, open_s=5))
    breaker.failed(0.0)
    assert not breaker.allows(4.9)
    assert breaker.allows(5.0)
    assert not breaker.allows(5.0)
    breaker.unknown()
    assert breaker.allows(5.1)
    breaker.failed(6.0)
    assert not breaker.allows(10.9)
    assert breaker.allows(11.0)
    breaker.succeeded()
    assert breaker.allows(11.0)
    assert breaker.allows(11.0)


def test_the_budget_refills_by_calls_and_by_seconds_up_to_its_burst() -> None:
    budget = RetryBudget(0.1)
    assert [budget.take(100.0) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(10):
        budget.call()
    assert budget.take(100.0)
    assert not budget.take(100.0)
    assert budget.take(101.5)
    assert not budget.take(101.5)
    assert [budget.take(9999.0) for _ in range(11)] == [True] * 10 + [False]


async def test_places_are_given_in_order_and_not_lost_by_those_who_give_up() -> None:
    places = Places(Concurrency(max=1, queue=3, queue_timeout_s=30))
    order: list[str] = []

    async def hold(name: str) -> None:
        await places.enter(30)
        order.append(name)
        await asyncio.sleep(0)
        places.leave()

    await places.enter(30)
    waiting = [asyncio.create_task(hold(name)) for name in "abc"]
    await asyncio.sleep(0)
    with pytest.raises(CallFailed, match="3 are waiting"):
        await places.enter(30)
    waiting[1].cancel()
    await asyncio.sleep(0)
    places.leave()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == ["a", "c"]
    await places.enter(0.01)
    places.leave()


async def test_a_place_given_to_someone_who_leaves_at_that_moment_goes_on_to_the_next() -> None:
    places = Places(Concurrency(max=1, queue=3, queue_timeout_s=30))
    await places.enter(30)
    first = asyncio.create_task(places.enter(30))
    second = asyncio.create_task(places.enter(30))
    await asyncio.sleep(0)
    places.leave()  # the place is first's now, which has not run yet
    first.cancel()
    await asyncio.wait_for(second, 20)
    assert first.cancelled()
