"""An endpoint that stops answering while a run is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from promptmigrate.errors import EndpointDown
from promptmigrate.lm import Door
from tests.lm.conftest import KEY, Provider, answer, ask, status

Opened = Callable[..., Door]


async def _many(door: Door, count: int) -> list[object]:
    calls = (door.acomplete(ask(f"row {number}")) for number in range(count))
    return list(await asyncio.gather(*calls, return_exceptions=True))


def test_waiting_is_said_and_ends(
    provider: Provider, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptmigrate.lm.outage.TELL_S", 0.2)
    said: list[str] = []
    door = opened(outage_s=1.0, on_wait=said.append)
    assert door.complete(ask("before")).answered
    provider.default = status(503, "overloaded")
    ends = door.run(_many(door, 60))
    assert any(isinstance(end, EndpointDown) for end in ends)
    first = next(end for end in ends if isinstance(end, EndpointDown))
    assert first.exit_code == 1
    assert "has answered nothing for" in str(first) and "same command again" in str(first)
    assert "overloaded" in str(first) and KEY not in str(first)
    assert said and all("waiting for" in line and "503" in line for line in said)
    provider.default = answer("back")
    assert door.complete(ask("row 1")).text == "back"


def test_an_endpoint_that_answers_between_failures_is_not_down(provider: Provider, opened: Opened) -> None:
    door = opened(outage_s=0.0)  # the first failure after which none answered would end it
    provider.plan = [status(400), answer("a"), status(400), answer("b")]
    assert [door.complete(ask(f"row {n}")).kind for n in range(4)] == [
        "provider_error", "ok", "provider_error", "ok",
    ]  # fmt: skip
    provider.default = status(503)
    with pytest.raises(EndpointDown):
        door.complete(ask("row 5"))
