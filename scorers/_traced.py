"""What a trace tells about the cost, the time and the tokens of an answer.

A trace is whatever the caller has: a mapping, a reply of promptmigrate, a trace of MLflow, the response of an
OpenAI client. Numbers are read from it, and what its
spans gave out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scorers._json import read

_COST = (
    ("cost_usd", 1.0), ("info.cost.total_cost", 1.0), ("cost.total_cost", 1.0), ("usage.cost", 1.0),
    ("total_cost", 1.0), ("cost", 1.0),
)  # fmt: skip
_SECONDS = (
    ("latency_s", 1.0), ("duration_s", 1.0), ("info.execution_duration", 1e-3),
    ("execution_duration_ms", 1e-3), ("info.execution_duration_ms", 1e-3), ("execution_time_ms", 1e-3),
    ("latency_ms", 1e-3), ("duration_ms", 1e-3),
)  # fmt: skip
_USAGES = ("", "usage.", "info.token_usage.", "token_usage.", "reply.")
_INPUT, _OUTPUT = ("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")


def cost_usd(trace: Any) -> float | None:
    """What the answer cost, in USD; None if the trace does not say."""
    return _first(trace, _COST) if trace is not None else None


def latency_s(trace: Any) -> float | None:
    """How long the answer took, in seconds; None if the trace does not say."""
    return _first(trace, _SECONDS) if trace is not None else None


def input_tokens(trace: Any) -> int | None:
    """Tokens of the question; None if the trace does not say."""
    return _tokens(trace, _INPUT)


def output_tokens(trace: Any) -> int | None:
    """Tokens of the answer; None if the trace does not say."""
    return _tokens(trace, _OUTPUT)


def total_tokens(trace: Any) -> int | None:
    """Tokens of both; None if the trace does not say."""
    given, made = input_tokens(trace), output_tokens(trace)
    if given is not None and made is not None:
        return given + made
    return _tokens(trace, ("total_tokens",))


def _tokens(trace: Any, names: tuple[str, ...]) -> int | None:
    if trace is None:
        return None
    found = _first(trace, tuple((f"{usage}{name}", 1.0) for usage in _USAGES for name in names))
    return None if found is None else int(found)


def _first(trace: Any, places: tuple[tuple[str, float], ...]) -> float | None:
    for prefix in ("", "reply.", "outcome.reply."):
        for path, factor in places:
            value = at(trace, prefix + path)
            if (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and math.isfinite(value)
                and value >= 0
            ):
                return float(value) * factor
    return None


def span_outputs(trace: Any) -> list[Any]:
    """What each span of an MLflow trace (or of its dict) gave out, in the order of the spans."""
    spans = at(trace, "data.spans")
    if not isinstance(spans, list | tuple):
        spans = at(trace, "spans")
    found = []
    for span in spans if isinstance(spans, list | tuple) else ():
        given = at(span, "attributes")
        # In its dicts, MLflow keeps each attribute as JSON text, and under a name with a dot.
        value = given.get("mlflow.spanOutputs") if isinstance(given, Mapping) else None
        if isinstance(value, str):
            parsed = read(value)
            value = None if parsed.problem else parsed.value
        found.append(at(span, "outputs") if value is None else value)
    return found


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path of mappings and attributes; None if nothing does."""
    for part in path.split("."):
        if value is None:
            return None
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value
