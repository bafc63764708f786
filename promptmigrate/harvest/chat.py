"""Messages and answers as OpenAI, LiteLLM, DSPy, Anthropic and gen_ai exporters record them in a span."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
CUT_SHORT = frozenset({"length", "max_tokens", "incomplete"})
FILTERED = frozenset({"content_filter", "refusal"})


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One recorded message; ``content`` is None where it is not plain text (an image, a tool call)."""

    role: str
    content: str | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model call gave back; ``text`` is None where there is none."""

    text: str | None
    finish_reason: str | None = None


def turns(inputs: Any) -> tuple[Turn, ...] | None:
    """The messages in a span's inputs, or None if it holds none."""
    inputs = parsed(inputs)
    if isinstance(inputs, Mapping):
        for key in ("messages", "input", "prompt", "contents"):
            if inputs.get(key) is None:
                continue
            found = turns_of(inputs[key])
            if found is None:
                continue
            opening = inputs.get("instructions") if key == "input" else inputs.get("system")
            text = content_text(opening)
            return (Turn(role="system", content=text), *found) if text else found
        return None
    return turns_of(inputs) if isinstance(inputs, list) else None


def turns_of(messages: Any) -> tuple[Turn, ...] | None:
    """Messages given as a list, or as one text that stands for a user message."""
    messages = parsed(messages)
    if isinstance(messages, str):
        return (Turn(role="user", content=messages),)
    if not isinstance(messages, Sequence) or not messages:
        return None
    found = []
    for message in messages:
        if not isinstance(message, Mapping) or "role" not in message:
            return None
        content = message.get("content", message.get("parts"))
        found.append(Turn(role=str(message["role"]), content=content_text(content)))
    return tuple(found)


def content_text(content: Any) -> str | None:
    """The text of a message's content: a text, or a list of text parts; None for anything else."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list) or not content:
        return None
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, Mapping):
            return None
        kind = part.get("type", "text")
        text = part.get("text", part.get("content"))
        if kind in ("reasoning", "thinking"):
            continue
        if kind not in _TEXT_PARTS or not isinstance(text, str):
            return None
        texts.append(text)
    return "".join(texts) if texts else None


def answer(outputs: Any) -> Answer:
    """The answer in the outputs of a model-call span."""
    if isinstance(outputs, str):
        # A model may well answer with JSON; only a recorded message or completion is unpacked.
        recorded = parsed(outputs)
        return answer(recorded) if _is_recorded(recorded) else Answer(text=outputs)
    if isinstance(outputs, list) and outputs:
        first = outputs[0]
        if isinstance(first, str):  # DSPy: one text per completion
            return Answer(text=first)
        if isinstance(first, Mapping) and isinstance(outputs[-1], Mapping):
            return _message(outputs[-1], first.get("finish_reason"))
    if not isinstance(outputs, Mapping):
        return Answer(text=None)
    choices = outputs.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        choice = choices[0]
        reason = choice.get("finish_reason")
        if isinstance(choice.get("message"), Mapping):
            return _message(choice["message"], reason)
        return Answer(
            text=choice["text"] if isinstance(choice.get("text"), str) else None, finish_reason=reason
        )
    if isinstance(outputs.get("output"), list):  # Responses API
        items = [item for item in outputs["output"] if isinstance(item, Mapping)]
        texts = [
            content_text(item.get("content")) for item in items if item.get("type", "message") == "message"
        ]
        said = [text for text in texts if text is not None]
        return Answer(text="".join(said) if said else None, finish_reason=outputs.get("status"))
    return _message(outputs, outputs.get("stop_reason") or outputs.get("finish_reason"))


def plain_answer(outputs: Any) -> str | None:
    """What a function gave back, as text: a text as it is, a one-field mapping as its field, else JSON.

    A ``reasoning`` field (DSPy's ChainOfThought) is thinking, not answer.
    """
    if outputs is None or isinstance(outputs, str):
        return outputs
    if isinstance(outputs, Mapping):
        found = answer(outputs)
        if found.text is not None and ("choices" in outputs or "output" in outputs or "content" in outputs):
            return found.text
        fields = {key: value for key, value in outputs.items() if key not in ("reasoning", "rationale")}
        if len(fields) == 1 and isinstance(only := next(iter(fields.values())), str):
            return only
        outputs = fields or outputs
    try:
        return json.dumps(outputs, ensure_ascii=False)
    except (TypeError, ValueError):
        return None


def _message(message: Mapping[str, Any], reason: Any) -> Answer:
    content = message.get("content", message.get("parts"))
    return Answer(text=content_text(content), finish_reason=reason if isinstance(reason, str) else None)


def _is_recorded(value: Any) -> bool:
    if isinstance(value, list) and value:
        value = value[-1]
    if not isinstance(value, Mapping):
        return False
    return "choices" in value or ("role" in value and ("content" in value or "parts" in value))


def parsed(value: Any) -> Any:
    """``value``, read as JSON where an exporter wrote a list or mapping as text."""
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
