"""A real HTTP server on 127.0.0.1 that plays an OpenAI-compatible provider with programmable faults."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promptmigrate.config import EndpointConfig
from promptmigrate.lm import Door
from promptmigrate.types import Request
from tests.postgres import postgres  # noqa: F401 - a fixture

Handler = Callable[[web.Request, Mapping[str, Any]], Awaitable[web.StreamResponse]]
KEY = "sk-test-SECRET-0123456789abcdef"


def completion(text: Any = "hello", **changes: Any) -> dict[str, Any]:
    """A chat completion body."""
    finish = changes.pop("finish_reason", "stop")
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "served-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }
    return {**body, **changes}


class Provider:
    """The server. ``plan`` holds one behaviour per request; after that ``default`` holds."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.gets: list[str] = []
        self.plan: list[Handler] = []
        self.default: Handler = echo
        self.models: Handler = not_found
        self.in_flight = self.most_in_flight = self.finished = self.aborted = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{name:.*}", self._models)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        handler = self.plan.pop(0) if self.plan else self.default
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            response = await handler(request, body)
            self.finished += 1
            return response
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.in_flight -= 1

    async def _models(self, request: web.Request) -> web.StreamResponse:
        self.gets.append(request.path)
        self.headers.append(dict(request.headers))
        return await self.models(request, {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def calls(self) -> int:
        return len(self.requests)

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def echo(_: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
    return web.json_response(completion("echo: " + body["messages"][-1]["content"]))


async def not_found(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
    return web.Response(status=404, text="not found")


def answer(*args: Any, **changes: Any) -> Handler:
    async def handle(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
        return web.json_response(completion(*args, **changes))

    return handle


def status(code: int, message: str = "no", **headers: str) -> Handler:
    async def handle(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": {"message": message}}, status=code, headers=names)

    return handle


def raw(body: bytes, code: int = 200) -> Handler:
    async def handle(_: web.Request, __: Mapping[str, Any]) -> web.StreamResponse:
        return web.Response(body=body, status=code, content_type="application/json")

    return handle


def slow(seconds: float, then: Handler = echo) -> Handler:
    async def handle(request: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await then(request, body)

    return handle


async def reset(request: web.Request, _: Mapping[str, Any]) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def stall(request: web.Request, _: Mapping[str, Any]) -> web.StreamResponse:
    """Headers and half a body, then nothing."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"choices": [')
    await asyncio.sleep(30)
    return response


def chunks(*parts: bytes, pause: float = 0.0) -> Handler:
    async def handle(request: web.Request, _: Mapping[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
            await asyncio.sleep(pause)
        return response

    return handle


def model_list(*names: str, **pricing: Any) -> Handler:
    async def handle(request: web.Request, _: Mapping[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": name, **pricing} for name in names]})
        return web.json_response({"error": {"message": "no such model"}}, status=404)

    return handle


def ask(text: str = "hi", *, model: str = "acme/large", **changes: Any) -> Request:
    return Request(model=model, messages=({"role": "user", "content": text},), **changes)


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptmigrate.lm.attempts.backoff_s", lambda attempt: 0.01 * attempt)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("ACME_API_KEY", KEY)
    server = Provider()
    yield server
    server.close()


@pytest.fixture
def acme(provider: Provider) -> dict[str, EndpointConfig]:
    return {"acme": EndpointConfig(base_url=provider.url, api_key_env="ACME_API_KEY", timeout_s=5)}


@pytest.fixture
def opened(acme: dict[str, EndpointConfig], tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """Opens Doors on the provider and closes them in the end."""
    doors = []

    def make(**options: Any) -> Door:
        door = Door.open(**{"endpoints": acme, "cache": tmp_path / "cache.sqlite", **options})
        doors.append(door)
        return door

    yield make
    for door in doors:
        door.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
