"""Bodies of HTTP answers, written as OpenAI's API writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from promptmigrate.errors import EndpointError
from promptmigrate.simulate._provider import find_model, models
from promptmigrate.simulate._types import SimModel, SimReply

_CREATED = 1_735_689_600
"""One date for everything: answers depend on content alone."""
JSON = {"Content-Type": "application/json"}


def problem_with(body: Any) -> str | None:
    """What is wrong with the body of a chat request; None if nothing is."""
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


def completion(model: SimModel, replies: list[SimReply], key: bytes) -> dict[str, Any]:
    """The whole answer to a chat request."""
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


def chunks_of(
    model: SimModel, body: Mapping[str, Any], replies: list[SimReply], key: bytes
) -> Iterator[bytes]:
    """The same as server-sent events."""
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


def answer(value: Any, status: int = 200, headers: Mapping[str, str] = JSON) -> web.Response:
    """A JSON answer."""
    return web.Response(body=json.dumps(value).encode(), status=status, headers=headers)


def refused(
    status: int, message: str, kind: str, *, code: str | None = None, headers: Mapping[str, str] = JSON
) -> web.Response:
    """An error, in the words and the shape of the API."""
    return answer({"error": {"message": message, "type": kind, "param": None, "code": code}}, status, headers)


def refused_key() -> web.Response:
    """The key is missing or wrong."""
    return refused(401, "Incorrect API key provided.", "invalid_request_error", code="invalid_api_key")


def rate_limited(seconds: float) -> web.Response:
    """Too many requests; to be tried again after so many seconds."""
    headers = {**JSON, "Retry-After": f"{seconds:g}"}
    return refused(
        429, "Rate limit reached.", "rate_limit_error", code="rate_limit_exceeded", headers=headers
    )


def _card(model: SimModel) -> dict[str, Any]:
    return {
        "id": model.wire_name, "object": "model", "created": _CREATED, "owned_by": "sim", "name": model.name,
        "description": f"Simulated. {model.about}", "context_length": model.context_tokens,
        "pricing": {
            "prompt": f"{model.input_per_mtok / 1e6:.10f}".rstrip("0"),
            "completion": f"{model.output_per_mtok / 1e6:.10f}".rstrip("0"), "request": "0", "image": "0",
        },
    }  # fmt: skip


def listing() -> web.Response:
    """All models."""
    return answer({"object": "list", "data": [_card(model) for model in models().values()]})


def one_model(name: str) -> web.Response:
    """The model ``name``."""
    try:
        return answer(_card(find_model(name)))
    except EndpointError as error:
        return refused(404, str(error), "invalid_request_error", code="model_not_found")
