"""Calls of tools, as the messages of clients and the traces of applications hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scorers._json import read
from scorers._traced import at, span_outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool; ``arguments`` are None where they could not be read as JSON."""

    name: str
    arguments: Any


def read_calls(given: Any) -> list[ToolCall] | None:
    """The calls that ``given`` holds; None if it is nothing of the kind."""
    if given is None:
        return None
    if isinstance(given, str | bytes):
        found = read(given, allow_fences=True)
        if found.problem or not isinstance(found.value, Mapping | list):
            return None
        given = found.value
    if not isinstance(given, Mapping | list | tuple):
        given = _as_mapping(given)
    if isinstance(given, Mapping):
        given = _message(given)
        for key in ("tool_calls", "content", "output", "parts"):
            if isinstance(given.get(key), list | tuple):
                return _listed(given[key], message=True)
        if isinstance(given.get("function_call"), Mapping):
            return _listed([given["function_call"]], message=True)
        if given.get("role") == "assistant" or "tool_calls" in given:
            return []
        call = _call(given)
        return None if call is None else [call]
    return _listed(given, message=False) if isinstance(given, list | tuple) else None


def _message(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message in a whole answer of OpenAI (``choices``) or Gemini (``candidates``), or what is given."""
    for key, inner in (("choices", "message"), ("candidates", "content")):
        options = given.get(key)
        first = options[0] if isinstance(options, list | tuple) and options else None
        message = _as_mapping(first.get(inner)) if isinstance(first, Mapping) else None
        if isinstance(message, Mapping):
            return message
    return given


def traced_calls(trace: Any) -> list[ToolCall]:
    """The calls that a trace tells of: in ``tool_calls`` (its own or its message's), or as spans' outputs."""
    for place in ("tool_calls", "message.tool_calls", "reply.tool_calls"):
        told = at(trace, place)
        if isinstance(told, list | tuple):
            return _listed(told, message=True) or []
    return [call for outputs in span_outputs(trace) for call in _answered(outputs)]


def _answered(outputs: Any) -> list[ToolCall]:
    """The calls in what one span gave out: a client's answer, or a message."""
    message = _message(outputs) if isinstance(outputs, Mapping) else None
    told = message is not None and any(key in message for key in ("tool_calls", "function_call", "parts"))
    return (read_calls(message) or []) if told else []


def _listed(items: Sequence[Any], *, message: bool) -> list[ToolCall] | None:
    found: list[ToolCall] = []
    for item in items:
        call = _call(item if isinstance(item, Mapping) else _as_mapping(item))
        if call is not None:
            found.append(call)
        elif not message:  # a message may hold texts beside its calls
            return None
    return found


def _as_mapping(value: Any) -> Any:
    """A client's object (a message, a call) as the mapping that it would be in JSON."""
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else value


def _call(item: Any) -> ToolCall | None:
    if not isinstance(item, Mapping):
        return None
    for key in ("function", "functionCall", "function_call"):
        if isinstance(item.get(key), Mapping):
            item = item[key]
            break
    name = item.get("name")
    if not isinstance(name, str) or not name:
        return None
    keys = ("arguments", "input", "args", "parameters")
    given: Any = next((item[key] for key in keys if key in item), None)
    if isinstance(given, str) and given.strip():
        parsed = read(given)
        return ToolCall(name=name, arguments=None if parsed.problem else parsed.value)
    return ToolCall(name=name, arguments=given or {})
