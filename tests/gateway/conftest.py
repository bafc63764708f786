"""Routes and gateways against a real local server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.files import dump_yaml
from promptmigrate.gateway import Gateway
from promptmigrate.gateway.clock import Clock
from promptmigrate.types import Prompt
from tests.gateway.upstream import Upstream, serve

PRODUCTION = Prompt.of([{"role": "system", "content": "Old."}, {"role": "user", "content": "{{text}}"}])
CANDIDATE = Prompt.of("New: {{text}}")


def snapshot(prompt: Prompt, uri: str | None = None) -> dict[str, Any]:
    source = {"messages": prompt.source} if prompt.chat else {"text": prompt.source}
    return {**({"uri": uri} if uri else {}), "digest": prompt.digest, **source}


def route_data(url: str = "http://127.0.0.1:9/v1", **changes: Any) -> dict[str, Any]:
    """A valid route; a change of None takes the key away."""
    endpoint = {"base_url": url, "api_key_env": "GATEWAY_TEST_KEY"}
    price = {"input_per_mtok": 1.0, "output_per_mtok": 2.0}
    data: dict[str, Any] = {
        "schema": "promptmigrate.route/1",
        "route": "support",
        "revision": 4,
        "state": "active",
        "control": "production",
        "unit": {"from": ["user", "session"], "missing": "random", "salt": "support.2026-11"},
        "variants": {
            "production": {
                "model": "acme/large",
                "params": {"temperature": 0},
                "prompt": snapshot(PRODUCTION, "prompts:/support/3"),
                "price": price,
                "context_window": 128000,
                "endpoint": endpoint,
            },
            "candidate": {
                "model": "acme/small",
                "params": {"temperature": 0, "max_tokens": 50},
                "prompt": snapshot(CANDIDATE, "prompts:/support/4"),
                "price": {"input_per_mtok": 0.1, "output_per_mtok": 0.2},
                "context_window": 32000,
                "endpoint": endpoint,
            },
        },
        "traffic": {"production": 10000, "candidate": 0},
        "timeouts": {"attempt_s": 20, "total_s": 30},
        "retry": {"max_attempts": 3, "backoff": {"base_s": 0.01, "max_s": 0.05}},
        "trace": {"sink": "none"},
    }
    data.update(changes)
    return {key: value for key, value in data.items() if value is not None}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TEST_KEY", "test-key-abcdefgh")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serve() as server:
        yield server


class FakeTime:
    """A clock that stands still except while someone sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.clock = Clock(self.monotonic, self.time_ns, self.sleep)

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return int((1_700_000_000 + self.now) * 1e9)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


Open = Callable[..., Gateway]


@pytest.fixture
def open_gateway(tmp_path: Path, upstream: Upstream) -> Iterator[Open]:
    """Write a route and open a gateway on it: ``open_gateway(clock=..., **changes of the route)``."""
    opened: list[Gateway] = []

    def make(clock: Clock | None = None, **changes: Any) -> Gateway:
        path = tmp_path / "routes" / "support.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dump_yaml(route_data(upstream.url, **changes)))
        gateway = Gateway(path, clock=clock, seed=1)
        opened.append(gateway)
        return gateway

    yield make
    for gateway in opened:
        gateway.close(5)
