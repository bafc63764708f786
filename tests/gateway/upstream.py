"""A real HTTP server on 127.0.0.1 that answers chat completions and misbehaves on request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Upstream:
    """What each model does next, and what it was asked."""

    plans: dict[str, list[Any]] = field(default_factory=dict)
    """model -> steps, one per request; the last one stays. A step: "ok", an int status, or a fault's name."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    gone: int = 0
    """Requests whose client left before the answer."""
    url: str = ""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None

    def plan(self, model: str, *steps: Any) -> None:
        self.plans[model] = list(steps)

    def count(self, model: str) -> int:
        return sum(request["model"] == model for request in self.seen)

    def let_go(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.release.set)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        body["authorization"] = request.headers.get("Authorization")
        self.seen.append(body)
        steps = self.plans.setdefault(body["model"], ["ok"])
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        if isinstance(step, tuple):
            status, headers, text = step
            return web.Response(status=status, headers=headers, text=text)
        if isinstance(step, int):
            return web.json_response({"error": {"message": f"status {step}"}}, status=step)
        assert request.transport is not None
        match step:
            case "ok":
                return web.json_response(completion(body))
            case "reset":
                request.transport.abort()
                return web.Response()
            case "hang":
                try:
                    await self.release.wait()
                except asyncio.CancelledError:
                    self.gone += 1
                    raise
                return web.json_response(completion(body))
            case "stall":  # the head and half the body, then nothing
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b'{"id": ')
                await self.release.wait()
                return response
            case "half":
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b'{"id": ')
                request.transport.abort()
                return response
            case "html":
                return web.Response(text="<html>Bad gateway</html>", content_type="text/html")
            case "no_choices":
                return web.json_response({"choices": []})
            case "filtered":
                return web.json_response(completion(body, text=None, finish="content_filter"))
            case "truncated":
                return web.json_response(completion(body, text="cut", finish="length"))
            case "context":
                error = {"message": "too long", "code": "context_length_exceeded"}
                return web.json_response({"error": error}, status=400)
            case "refused":
                error = {"message": "flagged", "code": "content_filter"}
                return web.json_response({"error": error}, status=400)
        raise AssertionError(step)


def completion(body: dict[str, Any], text: str | None = "", finish: str = "stop") -> dict[str, Any]:
    if text == "":
        text = f"{body['model']}: {body['messages'][-1]['content']}"
    return {
        "id": "x",
        "object": "chat.completion",
        "model": body["model"] + "-2026",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }


@contextmanager
def serve() -> Iterator[Upstream]:
    """Run an :class:`Upstream` on a thread of its own."""
    upstream = Upstream()
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        upstream.loop = asyncio.get_running_loop()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", upstream.answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        upstream.url = f"http://{host}:{port}/v1"
        ready.set()
        await stop.wait()
        upstream.release.set()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield upstream
    finally:
        assert upstream.loop is not None
        upstream.loop.call_soon_threadsafe(stop.set)
        thread.join(30)
