"""The provider over HTTP: an OpenAI-compatible handler for aiohttp's low-level server."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from promptmigrate.errors import CallFailed, EndpointError
from promptmigrate.simulate._bodies import (
    JSON,
    answer,
    chunks_of,
    completion,
    listing,
    one_model,
    problem_with,
    rate_limited,
    refused,
    refused_key,
)
from promptmigrate.simulate._provider import find_model, respond
from promptmigrate.simulate._types import SimModel, SimReply
from promptmigrate.simulate.faults import Faults

_SERVER_ERRORS = (
    (500, "The server had an error."),
    (502, "Bad gateway."),
    (503, "The engine is overloaded."),
)
_MALFORMED = (
    b'{"id": "chatcmpl-broken", "choices": [{"message": {"role": "assi',
    b"<html><body><h1>Upstream error</h1></body></html>",
    b'{"id": "chatcmpl-empty", "object": "chat.completion", "choices": []}',
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the server behaves."""

    api_key: str | None = field(default=None, repr=False)
    """Required as bearer token; None: no key is asked for."""
    latency_s: float | None = None
    """Seconds that every answer takes; None: the models' own latency times ``latency_scale``."""
    latency_scale: float = 1.0
    faults: Faults = field(default_factory=Faults)
    request_cap: int | None = None
    """Chat requests after this many are refused with 429 insufficient_quota."""
    max_in_flight: int | None = None
    """More chat requests than this at once are refused with 429 and Retry-After."""


@dataclass
class Stats:
    """What the server has seen."""

    requests: int = 0
    by_model: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    """Requests whose very content had been answered before."""
    retries: int = 0
    """Requests whose very content had come before without being answered."""
    in_flight: int = 0
    max_in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "requests": self.requests, "by_model": dict(self.by_model), "by_status": dict(self.by_status),
            "duplicates": self.duplicates, "retries": self.retries, "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "tokens": {"input": self.input_tokens, "output": self.output_tokens},
        }  # fmt: skip


class Handler:
    """Answers requests; one per server."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._authorization = f"Bearer {options.api_key}" if options.api_key else ""
        self.stats = Stats()
        self._seen: dict[bytes, list[int]] = {}  # content -> [attempts, answers]

    def reset(self) -> None:
        """Forget what was counted, and which requests came before."""
        in_flight = self.stats.in_flight
        self.stats = Stats(in_flight=in_flight, max_in_flight=in_flight)
        self._seen = {}

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        path, method = request.path, request.method
        if path == "/v1/chat/completions" and method == "POST":
            return await self._chat(request)
        if path == "/stats" and method == "GET":
            return answer(self.stats.as_dict())
        if path == "/stats/reset" and method == "POST":
            self.reset()
            return answer(self.stats.as_dict())
        if path == "/v1/models" or path.startswith("/v1/models/"):
            if not self._allowed(request):
                return refused_key()
            return listing() if path == "/v1/models" else one_model(path.removeprefix("/v1/models/"))
        return refused(404, f"There is no {method} {path} here.", "invalid_request_error", code="not_found")

    def _allowed(self, request: web.BaseRequest) -> bool:
        if not self._authorization:
            return True
        return hmac.compare_digest(
            request.headers.get("Authorization", "").encode(), self._authorization.encode()
        )

    async def _chat(self, request: web.BaseRequest) -> web.StreamResponse:
        stats = self.stats
        stats.requests += 1
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        status = "closed"
        try:
            response = await self._serve(request, stats)
            status = response.headers.get("X-Sim-Fault") or str(response.status)
            return response
        finally:
            stats.by_status[status] += 1
            stats.in_flight -= 1
            if stats is not self.stats:  # the counters were reset meanwhile
                self.stats.in_flight -= 1

    async def _serve(self, request: web.BaseRequest, stats: Stats) -> web.StreamResponse:
        options = self._options
        raw = await request.read()
        if not self._allowed(request):
            return refused_key()
        if options.request_cap is not None and stats.requests > options.request_cap:
            return refused(
                429, "You exceeded your current quota.", "insufficient_quota", code="insufficient_quota"
            )
        if options.max_in_flight is not None and stats.in_flight > options.max_in_flight:
            return rate_limited(options.faults.retry_after_s)
        try:
            body = json.loads(raw)
        except ValueError:
            return refused(400, "The body is not valid JSON.", "invalid_request_error")
        if problem := problem_with(body):
            return refused(400, problem, "invalid_request_error")
        key = hashlib.blake2b(raw, digest_size=16).digest()
        history = self._seen.setdefault(key, [0, 0])
        attempt, answered = history
        history[0] += 1
        stats.duplicates += answered > 0
        stats.retries += answered == 0 and attempt > 0
        try:
            model = find_model(body["model"])
        except EndpointError as error:
            return refused(404, str(error), "invalid_request_error", code="model_not_found")
        stats.by_model[model.wire_name] += 1
        if options.faults.any and (response := await self._fault(request, key.hex(), attempt)):
            return response
        try:
            replies = _replies(body)
        except CallFailed as error:
            return refused(400, str(error), "invalid_request_error", code="context_length_exceeded")
        stats.input_tokens += replies[0].input_tokens
        stats.output_tokens += sum(reply.output_tokens for reply in replies)
        seconds = options.latency_s
        if seconds is None:
            seconds = replies[0].latency_s * options.latency_scale
        if body.get("stream"):
            return await _stream(request, model, body, replies, key, seconds, history)
        if seconds:
            await asyncio.sleep(seconds)
        history[1] += 1
        return answer(completion(model, replies, key))

    async def _fault(self, request: web.BaseRequest, content: str, attempt: int) -> web.StreamResponse | None:
        faults = self._options.faults
        kind, detail = faults.draw(content, attempt)
        if kind is None:
            return None
        if kind == "rate_limited":
            return rate_limited(faults.retry_after_s)
        if kind == "server_error":
            status, message = _SERVER_ERRORS[int(detail * len(_SERVER_ERRORS))]
            return refused(status, message, "server_error")
        if kind == "malformed":
            body = _MALFORMED[int(detail * len(_MALFORMED))]
            return web.Response(body=body, headers={**JSON, "X-Sim-Fault": "malformed"})
        if kind == "hang":
            await asyncio.sleep(faults.hang_s)
        if request.transport is not None:
            request.transport.close()
        return web.Response(headers={"X-Sim-Fault": kind})


def _replies(body: Mapping[str, Any]) -> list[SimReply]:
    replies = [respond(body["model"], body["messages"], body)]
    for index in range(1, body.get("n") or 1):
        replies.append(
            respond(body["model"], body["messages"], {**body, "seed": f"{body.get('seed')}/{index}"})
        )
    return replies


async def _stream(
    request: web.BaseRequest, model: SimModel, body: Mapping[str, Any], replies: list[SimReply], key: bytes,
    seconds: float, history: list[int],
) -> web.StreamResponse:  # fmt: skip
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    chunks = list(chunks_of(model, body, replies, key))
    first = seconds * 0.4  # the rest of the time passes between the chunks
    if first:
        await asyncio.sleep(first)
    await response.prepare(request)
    pause = (seconds - first) / len(chunks)
    for chunk in chunks:
        if pause:
            await asyncio.sleep(pause)
        await response.write(chunk)
    await response.write_eof()
    history[1] += 1
    return response
