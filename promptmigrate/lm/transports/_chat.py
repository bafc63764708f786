"""Reading chat completion bodies, error bodies and Retry-After as providers really write them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from promptmigrate.lm.transports._base import Fault, Usage, WireReply
from promptmigrate.tokens import tokens_in

_FILTER = re.compile(
    r"content[_ -]?filter|content[_ ]policy|content management policy|responsible ?ai|moderation|"
    r"flagged|safety system",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"context[_ ]length|context window|maximum context|(?:prompt|input) (?:is )?too long|"
    r"too many (?:input )?tokens|reduce the length",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model[_ ]not[_ ](?:found|exist)|(?:invalid|unknown) model|not a valid model|"
    r"model\W[^\n]{0,120}(?:does not exist|not found|is not supported)",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient[_ ](?:quota|credits?|funds|balance)|credit balance|billing_hard_limit", re.I
)
_CHARACTERS_PER_TOKEN = 4
_MAX_TOKENS = 100_000_000
_MAX_COST_USD = 100_000.0
"""Usage beyond these is a mistake of the server."""


class BadBody(ValueError):  # noqa: N818 - says what is wrong
    """A body that is not a chat completion."""


def read_completion(
    body: Any, *, model: str, messages: Sequence[Mapping[str, str]], latency_s: float
) -> WireReply:
    """The answer in a chat completion body.

    Raises:
        BadBody: there is none.
    """
    if not isinstance(body, dict):
        raise BadBody("the body is not a JSON object")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BadBody("the body has no choices")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise BadBody("the first choice has no message")
    if choice.get("finish_reason") == "error":
        raise BadBody("the provider broke off the answer")
    if (
        message.get("content") is None
        and not message.get("refusal")
        and choice.get("finish_reason") not in ("length", "content_filter")
    ):
        # An empty text is an answer; no content at all is a provider that failed to give one.
        raise BadBody("the message has no content")
    return reply(
        text=content_text(message.get("content")) or content_text(message.get("refusal")),
        finish_reason=choice.get("finish_reason"),
        model=body.get("model") or model,
        usage=body.get("usage"),
        messages=messages,
        latency_s=latency_s,
    )


def usage_of(body: Any) -> Usage | None:
    """What a body without a usable answer says that it has taken; None where it does not say all of it."""
    numbers = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(numbers, dict):
        return None
    given, made = _counted(numbers.get("prompt_tokens")), _counted(numbers.get("completion_tokens"))
    return None if given is None or made is None else Usage(given, made, _cost(numbers.get("cost")))


def content_text(content: object) -> str:
    """Text of a message content: a text, or a list of parts of which the text ones count; none is empty."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    raise BadBody("the message content is not a text")


def reply(
    *,
    text: str,
    finish_reason: object,
    model: object,
    usage: object,
    messages: Sequence[Mapping[str, str]],
    latency_s: float,
) -> WireReply:
    """The answer from its parts; tokens that the provider does not report are estimated."""
    numbers = usage if isinstance(usage, dict) else {}
    reason = finish_reason if isinstance(finish_reason, str) else None
    kind: Literal["ok", "truncated", "filtered"] = "ok"
    if reason in {"length", "max_tokens"}:
        kind = "truncated"
    elif reason == "content_filter":
        kind = "filtered"
    given, made = _counted(numbers.get("prompt_tokens")), _counted(numbers.get("completion_tokens"))
    if given is None:
        given = sum(_estimated(message.get("content") or "") for message in messages)
    return WireReply(
        kind=kind,
        text=text,
        model=str(model)[:200],
        finish_reason=reason,
        input_tokens=given,
        output_tokens=_estimated(text) if made is None else made,
        cost_usd=_cost(numbers.get("cost")),
        latency_s=latency_s,
    )


class StreamedAnswer:
    """Puts the chunks of a streamed completion together."""

    def __init__(self, model: str) -> None:
        self._texts: list[str] = []
        self._finish: object = None
        self._usage: object = None
        self._model: object = model

    def add(self, chunk: Mapping[str, Any]) -> str:
        """Take one chunk; gives the text that it adds."""
        self._usage = chunk.get("usage") or self._usage
        self._model = chunk.get("model") or self._model
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return ""  # the last chunk has usage only
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta")
        text = content_text(delta.get("content")) if isinstance(delta, dict) else ""
        self._texts.append(text)
        return text

    def reply(self, *, messages: Sequence[Mapping[str, str]], latency_s: float) -> WireReply:
        """The whole answer.

        Raises:
            BadBody: the stream ended before the answer did.
        """
        if self._finish is None or self._finish == "error":
            raise BadBody("the stream ended before the answer was complete")
        return reply(
            text="".join(self._texts),
            finish_reason=self._finish,
            model=self._model,
            usage=self._usage,
            messages=messages,
            latency_s=latency_s,
        )


def _estimated(text: str) -> int:
    # The larger of two estimates: it is what a budget is kept by.
    return math.ceil(max(tokens_in(text), len(text) / _CHARACTERS_PER_TOKEN))


def _counted(value: object) -> int | None:
    """A number of tokens; None: it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS:
        return int(value)
    return None


def _cost(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_COST_USD:
        return float(value)
    return None


def error_text(body: bytes) -> tuple[str, str]:
    """What an error body says, and the text (codes included) by which it is classified."""
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text, text
    error = data.get("error", data) if isinstance(data, dict) else data
    message = error
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error.get("error") or error
    return message if isinstance(message, str) else json.dumps(message), text


def status_inside(body: object) -> int | None:
    """The HTTP status of an error that came in a body of status 200, as some providers send it."""
    if not isinstance(body, dict) or not isinstance(body.get("error"), dict) or body.get("choices"):
        return None
    code = body["error"].get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else None


def classify(status: int, text: str) -> Fault | Literal["filtered"]:
    """Which fault an HTTP status and the text of its body are."""
    if 300 <= status < 400:
        return "moved"
    if status in {400, 403, 413, 422, 451} and _FILTER.search(text):
        return "filtered"
    if status in {400, 413, 422} and _CONTEXT.search(text):
        return "context_length"
    if status == 402 or (status in {400, 403, 429} and _NO_CREDIT.search(text)):
        return "billing"
    if status in {401, 403}:
        return "auth"
    if status == 404 or (status in {400, 422} and _NO_MODEL.search(text)):
        return "not_found"
    if status == 429:
        return "rate_limited"
    if status in {408, 409, 425} or status >= 500:
        return "server"
    return "bad_request"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``retry-after-ms`` or ``Retry-After`` (seconds or an HTTP date) asks to wait."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after") or headers.get("Retry-After")
    seconds = _seconds(value)
    if seconds is not None or not value:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _seconds(value: str | None) -> float | None:
    try:
        number = float(value) if value else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
