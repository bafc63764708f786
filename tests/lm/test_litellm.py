"""The LiteLLM transport against the local server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import EndpointConfig
from promptmigrate.errors import EndpointError
from promptmigrate.lm import Door
from tests.lm.conftest import KEY, Provider, answer, ask, raw, reset, slow, status

pytestmark = [
    pytest.mark.slow,
    # LiteLLM and what it imports warn of their own business.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def door(provider: Provider, tmp_path: Path) -> Any:
    endpoints = {
        "openai": EndpointConfig(
            base_url=provider.url, api_key_env="ACME_API_KEY", transport="litellm", timeout_s=5
        )
    }
    with Door.open(endpoints=endpoints, cache=tmp_path / "cache", max_attempts=2) as opened:
        yield opened


def test_a_call(provider: Provider, door: Door) -> None:
    reply = door.complete(ask(model="openai/large", params={"temperature": 0, "max_tokens": 9}))
    assert (reply.kind, reply.text, reply.model) == ("ok", "echo: hi", "served-model")
    assert (reply.input_tokens, reply.output_tokens, reply.attempts) == (11, 3, 1)
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}"
    sent = provider.requests[0]
    assert {name: sent[name] for name in ("model", "messages", "temperature", "max_tokens")} == {
        "model": "large",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0,
        "max_tokens": 9,
    }
    assert door.complete(ask(model="openai/large", params={"temperature": 0, "max_tokens": 9})).cached
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


@pytest.mark.parametrize(
    ("fault", "kind", "calls"),
    [
        (status(500), "provider_error", 2),
        (status(503), "provider_error", 2),
        (status(429, retry_after="0.1"), "rate_limited", 2),
        (status(429, retry_after="3600"), "rate_limited", 1),
        (status(400, "bad"), "provider_error", 1),
        (status(400, "maximum context length is 10"), "provider_error", 1),
        (status(400, "violates our content management policy"), "filtered", 1),
        (reset, "provider_error", 2),
        (answer("x", finish_reason="length"), "truncated", 1),
        (answer("", finish_reason="content_filter"), "filtered", 1),
    ],
)
def test_faults(provider: Provider, door: Door, fault: Any, kind: str, calls: int) -> None:
    provider.default = fault
    reply = door.complete(ask(model="openai/large"))
    assert reply.kind == kind, reply
    assert provider.calls == calls == door.spend.calls["task"]
    assert KEY not in repr(reply)


@pytest.mark.parametrize("code", [401, 403, 404])
def test_configuration_faults(provider: Provider, door: Door, code: int) -> None:
    provider.default = status(code, f"no, {KEY}")
    with pytest.raises(EndpointError, match=str(code)) as caught:
        door.complete(ask(model="openai/large"))
    assert KEY not in str(caught.value)
    assert provider.calls == 1


def test_a_silent_upstream(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = {"openai": EndpointConfig(base_url=provider.url, transport="litellm", timeout_s=3)}
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Door.open(endpoints=endpoints) as door:
        door.complete(ask(model="openai/large"))  # LiteLLM prepares itself at length in its first call
        before = provider.calls
        provider.default = slow(30)
        reply = door.complete(ask(model="openai/large"))
    assert (reply.kind, provider.calls) == ("timeout", before + 1)
    assert KEY not in str(provider.headers[0])  # it belongs to another host


def test_a_body_that_is_none(provider: Provider, door: Door) -> None:
    provider.default = raw(b'{"choices": []}')
    assert door.complete(ask(model="openai/large")).kind in {"parse_error", "provider_error"}
    assert provider.calls == 2


def test_at_once(provider: Provider, door: Door) -> None:
    async def run() -> list[Any]:
        calls = (door.acomplete(ask(str(i), model="openai/large")) for i in range(20))
        return await asyncio.gather(*calls)

    assert {reply.text for reply in door.run(run())} == {f"echo: {i}" for i in range(20)}


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K", "some-key-value")
    endpoints = {
        "openai": EndpointConfig(base_url="http://127.0.0.1:9/v1", transport="litellm", api_key_env="K")
    }
    with Door.open(endpoints=endpoints, max_attempts=1) as door:
        try:
            reply = door.complete(ask(model="openai/large"))
        except EndpointError as error:
            assert "127.0.0.1:9" in str(error)
        else:  # LiteLLM does not always tell a refused connection from a broken one
            assert reply.kind == "provider_error"


def test_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with Door.open() as door, pytest.raises(EndpointError, match="ANTHROPIC_API_KEY"):
        door.complete(ask(model="anthropic/claude-haiku-4-5"))
