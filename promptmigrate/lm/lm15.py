"""DSPy's requests as ours, and our replies as its responses (``dspy.lm15``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptmigrate.types import Reply

_SAME_NAME = (
    "temperature",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "service_tier",
    "store",
)


def messages_of(request: Any) -> tuple[dict[str, str], ...]:
    """The messages of a ``dspy.lm15.Request``.

    Raises:
        UnsupportedFeatureError: it holds tools, or something else than text.
    """
    messages = []
    if request.system:
        parts = request.system
        messages.append({"role": "system", "content": parts if isinstance(parts, str) else _text(parts)})
    for message in request.messages:
        # DSPy calls every later system message "developer", whatever it was.
        role = "system" if message.role == "developer" else message.role
        messages.append({"role": role, "content": _text(message.parts)})
    if request.tools:
        raise _unsupported("tools")
    return tuple(messages)


def _text(parts: Any) -> str:
    texts = []
    for part in parts:
        if part.type not in {"text", "thinking", "refusal"}:
            raise _unsupported(f"message parts of type '{part.type}'")
        if part.type != "thinking":
            texts.append(part.text)
    return "\n".join(texts)


def params_of(config: Any, base: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that its ``config`` sets; ``base`` holds those that are sent anyway.

    Raises:
        UnsupportedFeatureError: one cannot be sent.
    """
    params = {name: value for name in _SAME_NAME if (value := getattr(config, name)) is not None}
    if config.max_tokens is not None:
        params["max_completion_tokens" if "max_completion_tokens" in base else "max_tokens"] = (
            config.max_tokens
        )
    if config.stop:
        params["stop"] = list(config.stop)
    if config.user_id is not None:
        params["user"] = config.user_id
    if config.reasoning is not None and config.reasoning.effort != "off":
        params["reasoning_effort"] = config.reasoning.effort
    if config.response_format is not None:
        params["response_format"] = _response_format(config.response_format)
    for name in ("top_k", "tool_choice", "cache", "logprobs", "probabilities"):
        if getattr(config, name, None) is not None:
            raise _unsupported(f"'{name}'")
    return {**params, **(config.extensions or {})}


def _response_format(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if wanted["type"] != "json_schema":
        return {"type": wanted["type"]}
    inner = {"name": "response", **{name: value for name, value in wanted.items() if name != "type"}}
    return {"type": "json_schema", "json_schema": inner}


def _unsupported(what: str) -> Exception:
    from dspy.lm15 import UnsupportedFeatureError

    error: Exception = UnsupportedFeatureError(f"{what} cannot pass the Door, which carries texts only")
    return error


def response_of(reply: Reply, model: str) -> Any:
    """``reply`` as a ``dspy.lm15.Response``.

    Raises:
        ProviderError: the call failed; of the kind that fits.
    """
    from dspy import lm15

    if not reply.answered:
        raise _error(reply)
    finish = {"truncated": "length", "filtered": "content_filter"}.get(reply.kind, "stop")
    return lm15.Response(
        id=None,
        model=reply.model or model,
        message=lm15.Message.assistant([lm15.TextPart(reply.text or "")]),
        finish_reason=finish,
        usage=lm15.Usage(
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            total_tokens=reply.input_tokens + reply.output_tokens,
        ),
    )


def _error(reply: Reply) -> Exception:
    from dspy import lm15

    message = reply.error or f"the call ended as {reply.kind}"
    kind: Any = lm15.ProviderError
    if reply.kind == "rate_limited":
        kind = lm15.RateLimitError
    elif reply.kind == "timeout":
        kind = lm15.TimeoutError
    elif reply.kind == "provider_error":
        if reply.status is None:
            kind = lm15.TransportError
        elif reply.status < 500:
            too_long = "longer than the model can read" in message
            kind = lm15.ContextLengthError if too_long else lm15.InvalidRequestError
        else:
            kind = lm15.ServerError
    error: Exception = kind(message, status=reply.status)
    return error
