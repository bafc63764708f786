"""The provider over HTTP: an OpenAI-compatible handler for aiohttp's low-level server."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from promptmigrate.errors import CallFailed, EndpointError
from promptmigrate.simulate._provider import find_model, models, respond
from promptmigrate.simulate._types import SimModel, SimReply
from promptmigrate.simulate.faults import Faults

_CREATED = 1_735_689_600
"""One date for everything: answers depend on content alone."""
_JSON = {"Content-Type": "application/json"}
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
            return _reply(self.stats.as_dict())
        if path == "/stats/reset" and method == "POST":
            self.reset()
            return _reply(self.stats.as_dict())
        if path == "/v1/models" or path.startswith("/v1/models/"):
            if not self._allowed(request):
                return _refused_key()
            return _listing() if path == "/v1/models" else _one_model(path.removeprefix("/v1/models/"))
        return _error(404, f"There is no {method} {path} here.", "invalid_request_error", code="not_found")

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
            return _refused_key()
        if options.request_cap is not None and stats.requests > options.request_cap:
            return _error(
                429, "You exceeded your current quota.", "insufficient_quota", code="insufficient_quota"
            )
        if options.max_in_flight is not None and stats.in_flight > options.max_in_flight:
            return _rate_limited(options.faults.retry_after_s)
        try:
            body = json.loads(raw)
        except ValueError:
            return _error(400, "The body is not valid JSON.", "invalid_request_error")
        if problem := _problem(body):
            return _error(400, problem, "invalid_request_error")
        key = hashlib.blake2b(raw, digest_size=16).digest()
        history = self._seen.setdefault(key, [0, 0])
        attempt, answered = history
        history[0] += 1
        stats.duplicates += answered > 0
        stats.retries += answered == 0 and attempt > 0
        try:
            model = find_model(body["model"])
        except EndpointError as error:
            return _error(404, str(error), "invalid_request_error", code="model_not_found")
        stats.by_model[model.wire_name] += 1
        if options.faults.any and (response := await self._fault(request, key.hex(), attempt)):
            return response
        try:
            replies = _replies(body)
        except CallFailed as error:
            return _error(400, str(error), "invalid_request_error", code="context_length_exceeded")
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
        return _reply(_completion(model, replies, key))

    async def _fault(self, request: web.BaseRequest, content: str, attempt: int) -> web.StreamResponse | None:
        faults = self._options.faults
        kind, detail = faults.draw(content, attempt)
        if kind is None:
            return None
        if kind == "rate_limited":
            return _rate_limited(faults.retry_after_s)
        if kind == "server_error":
            status, message = _SERVER_ERRORS[int(detail * len(_SERVER_ERRORS))]
            return _error(status, message, "server_error")
        if kind == "malformed":
            body = _MALFORMED[int(detail * len(_MALFORMED))]
            return web.Response(body=body, headers={**_JSON, "X-Sim-Fault": "malformed"})
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


def _problem(body: Any) -> str | None:
    if not isinstance(body, dict):
        return "The body must be a JSON object."
    if not isinstance(body.get("model"), str):
        return "You must provide a model parameter."
    messages = body.get("messages")
    if (
        not isinstance(messages, list)
        or not messages
        or not all(isinstance(m, dict) and "role" in m for m in messages)
    ):
        return "'messages' must be a list of messages, each with a role."
    n = body.get("n")
    if n is not None and (not isinstance(n, int) or not 1 <= n <= 16):
        return "'n' must be between 1 and 16."
    temperature = body.get("temperature")
    if temperature is not None and (not isinstance(temperature, (int, float)) or not 0 <= temperature <= 2):
        return "'temperature' must be between 0 and 2."
    return None


def _usage(replies: list[SimReply]) -> dict[str, int]:
    spent, written = replies[0].input_tokens, sum(reply.output_tokens for reply in replies)
    return {"prompt_tokens": spent, "completion_tokens": written, "total_tokens": spent + written}


def _completion(model: SimModel, replies: list[SimReply], key: bytes) -> dict[str, Any]:
    return {
        "id": "chatcmpl-" + key.hex()[:24], "object": "chat.completion", "created": _CREATED,
        "model": model.wire_name,
        "choices": [
            {
                "index": index, "message": {"role": "assistant", "content": reply.text, "refusal": None},
                "logprobs": None, "finish_reason": reply.finish_reason,
            }
            for index, reply in enumerate(replies)
        ],
        "usage": _usage(replies), "system_fingerprint": "sim",
    }  # fmt: skip


def _chunks(model: SimModel, body: Mapping[str, Any], replies: list[SimReply], key: bytes) -> Iterator[bytes]:
    wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    base: dict[str, Any] = {
        "id": "chatcmpl-" + key.hex()[:24], "object": "chat.completion.chunk", "created": _CREATED,
        "model": model.wire_name, "system_fingerprint": "sim",
    }  # fmt: skip
    if wants_usage:
        base["usage"] = None

    def event(index: int, delta: Mapping[str, str], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: " + json.dumps({**base, "choices": [choice]}).encode() + b"\n\n"

    for index, reply in enumerate(replies):
        yield event(index, {"role": "assistant", "content": ""})
        size = max(8, len(reply.text) // 12)
        for start in range(0, len(reply.text), size):
            yield event(index, {"content": reply.text[start : start + size]})
        yield event(index, {}, reply.finish_reason)
    if wants_usage:
        yield b"data: " + json.dumps({**base, "choices": [], "usage": _usage(replies)}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


async def _stream(
    request: web.BaseRequest, model: SimModel, body: Mapping[str, Any], replies: list[SimReply], key: bytes,
    seconds: float, history: list[int],
) -> web.StreamResponse:  # fmt: skip
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    chunks = list(_chunks(model, body, replies, key))
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


def _reply(value: Any, status: int = 200, headers: Mapping[str, str] = _JSON) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), status=status, headers=headers)


def _error(
    status: int, message: str, kind: str, *, code: str | None = None, headers: Mapping[str, str] = _JSON
) -> web.Response:
    return _reply({"error": {"message": message, "type": kind, "param": None, "code": code}}, status, headers)


def _refused_key() -> web.Response:
    return _error(401, "Incorrect API key provided.", "invalid_request_error", code="invalid_api_key")


def _rate_limited(seconds: float) -> web.Response:
    headers = {**_JSON, "Retry-After": f"{seconds:g}"}
    return _error(429, "Rate limit reached.", "rate_limit_error", code="rate_limit_exceeded", headers=headers)


def _card(model: SimModel) -> dict[str, Any]:
    return {
        "id": model.wire_name, "object": "model", "created": _CREATED, "owned_by": "sim", "name": model.name,
        "description": f"Simulated. {model.about}", "context_length": model.context_tokens,
        "pricing": {
            "prompt": f"{model.input_per_mtok / 1e6:.10f}".rstrip("0"),
            "completion": f"{model.output_per_mtok / 1e6:.10f}".rstrip("0"), "request": "0", "image": "0",
        },
    }  # fmt: skip


def _listing() -> web.Response:
    return _reply({"object": "list", "data": [_card(model) for model in models().values()]})


def _one_model(name: str) -> web.Response:
    try:
        return _reply(_card(find_model(name)))
    except EndpointError as error:
        return _error(404, str(error), "invalid_request_error", code="model_not_found")
