"""What is kept of a call: one JSON object, redacted before it leaves this process's memory.

The same object is a line of the spool, a line of the ``jsonl`` sink (which ``harvest`` reads as data rows)
and the source of the MLflow trace.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptmigrate.gateway.assign import unit_hash
from promptmigrate.gateway.live import Live
from promptmigrate.gateway.policy import Journey
from promptmigrate.redact import redact, redact_value

_CUT = " […cut]"


@dataclass(slots=True, kw_only=True)
class Call:
    """One finished call, as it is handed to the recorder; still unredacted, so never written as it is."""

    trace_id: str
    """32 hex digits."""
    live: Live
    journey: Journey
    variables: Mapping[str, Any]
    user: str | None
    session: str | None
    start_ns: int
    latency_s: float
    error: str | None
    kind: str


def new_trace_id() -> str:
    """A random trace id: 32 hex digits, not all zero."""
    return os.urandom(16).hex()


def is_sampled(trace_id: str, sample: float) -> bool:
    """Whether a call is recorded: a share ``sample`` of the ids, always the same ones."""
    return int(trace_id[:13], 16) < sample * 16**13


def build(call: Call) -> dict[str, Any]:
    """The record of ``call``."""
    live, journey = call.live, call.journey
    route, settings = live.route, live.route.trace
    target = journey.served or live.targets[journey.assigned]
    reply = journey.reply
    found: Counter[str] = Counter()
    kinds = settings.redact if settings.content == "redacted" else ()

    def clean(text: str | None) -> str | None:
        if text is None:
            return None
        cleaned, counts = redact(text, kinds, secrets=live.secrets)
        found.update(counts)
        return cleaned

    metadata: dict[str, Any] = {
        "trace_id": f"tr-{call.trace_id}",
        "start_ns": call.start_ns,
        "end_ns": call.start_ns + int(call.latency_s * 1e9),
        "experiment": settings.experiment or route.route,
        "route": route.route,
        "revision": route.revision,
        "variant": target.name,
        "assigned": journey.assigned,
        "fallback": target.name != journey.assigned,
        "model": target.variant.model,
        "provider": target.provider,
        "answered_by": reply.model if reply else None,
        "params": target.variant.params,
        "prompt_digest": target.variant.prompt.digest,
        "prompt_uri": target.variant.prompt.uri,
        "input_tokens": journey.input_tokens,
        "output_tokens": journey.output_tokens,
        "input_usd": journey.input_usd if journey.price_known else None,
        "output_usd": journey.output_usd if journey.price_known else None,
        "latency_s": round(call.latency_s, 6),
        "finish_reason": reply.finish_reason if reply else None,
        "kind": call.kind,
        "error": None if call.error is None else redact(call.error, secrets=live.secrets)[0],
        "attempts": [
            {
                "variant": attempt.variant,
                "fault": attempt.fault,
                "status": attempt.status,
                "seconds": round(attempt.seconds, 6),
            }
            for attempt in journey.attempts
        ],
        "user": _unit(route.salt, call.user, private=settings.content != "full", always=True),
        "session": _unit(route.salt, call.session, private=settings.content != "full", always=False),
    }
    record: dict[str, Any] = {"inputs": {}, "messages": [], "reference": None}
    if settings.content != "none":
        inputs, counts = redact_value(dict(call.variables), kinds, secrets=live.secrets)
        found.update(counts)
        # Rendered from what is kept, so that inputs and messages agree and are searched only once.
        messages = target.variant.prompt.prompt.render(inputs) if journey.messages else ()
        record = {
            "inputs": inputs,
            "messages": list(messages),
            "reference": clean(reply.text if reply else None),
        }
    metadata["redacted"] = dict(found)
    return {**record, "group": metadata["session"] or metadata["user"] or "", "metadata": metadata}


def encode(record: dict[str, Any], max_bytes: int) -> bytes:
    """``record`` as one line of JSON with its newline, cut to about ``max_bytes`` where it is longer."""
    line = _line(record)
    if len(line) <= max_bytes:
        return line
    # The messages follow from the inputs, so they go first; then the longest texts are shortened.
    record = {**record, "messages": [], "metadata": {**record["metadata"], "cut": len(line)}}
    limit = max_bytes
    while len(line := _line(record)) > max_bytes and limit > 64:
        limit //= 2
        record["inputs"] = _shorten(record["inputs"], limit)
        record["reference"] = _shorten(record["reference"], limit)
    if len(line) > max_bytes:
        record["inputs"], record["reference"] = {}, None
        line = _line(record)
    return line


def _line(record: object) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "replace") + b"\n"


def _shorten(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= limit else value[: limit - len(_CUT)] + _CUT
    if isinstance(value, Mapping):
        return {key: _shorten(part, limit) for key, part in value.items()}
    if isinstance(value, list):
        return [_shorten(part, limit) for part in value]
    return value


def _unit(salt: str, unit: str | None, *, private: bool, always: bool) -> str | None:
    """The unit, hashed where it may say who it is: groups stay together, names do not come along."""
    if unit is None or not private:
        return unit
    if always or redact(unit)[1]:
        return unit_hash(salt, unit).hex()[:16]
    return unit
