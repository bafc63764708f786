"""What a recorded trace says about the call that it recorded.

Traces are MLflow ``Trace`` objects, their dicts (``trace.to_dict()``, rows of ``search_traces``), or plain
rows ``{"inputs": ..., "outputs": ..., "expectations": ...}``. MLflow itself is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scorers._bridge import answer_of, expected_of, fields_of, inputs_of
from scorers._types import Sample, Scorer

FAILED = "the call failed"
UNFINISHED = "the call was not finished"
NO_OUTPUT = "no output was recorded"
_INPUTS, _OUTPUTS = "mlflow.spanInputs", "mlflow.spanOutputs"
_GEN_AI_INPUTS = ("gen_ai.input.messages", "gen_ai.prompt")
_GEN_AI_OUTPUTS = ("gen_ai.output.messages", "gen_ai.completion")
_MODEL_TAG = "promptmigrate.model"
_MODELS = ("mlflow.llm.model", "gen_ai.request.model", "gen_ai.response.model")
_LINKED_PROMPTS = "mlflow.linkedPrompts"
_DSPY_SIGNATURE = "signature"
_KEYS = (_INPUTS, _OUTPUTS, *_GEN_AI_INPUTS, *_GEN_AI_OUTPUTS, *_MODELS, _DSPY_SIGNATURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """What a trace says about one call of an application."""

    trace_id: str
    inputs: Mapping[str, Any] | None = field(default=None, repr=False)
    output: Any = field(default=None, repr=False)
    expectations: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What people noted as right, by name."""
    prompt: str = ""
    """``name/version`` of the linked prompt; empty if none is."""
    model: str = ""
    """The model that answered, as recorded; empty if it is not."""
    skip: str = ""
    """Why there is nothing to score: a failed call is missing data, not a wrong answer."""
    trace: Any = field(default=None, repr=False)

    def sample(self, scorer: Scorer) -> Sample:
        """The call as ``scorer`` is to see it."""
        return Sample(
            output=self.output,
            expected=expected_of(self.expectations, scorer),
            inputs=self.inputs,
            trace=self.trace,
        )


def read_trace(trace: Any, number: int = 0) -> RecordedCall:
    """What ``trace`` says about its call; ``number`` names a trace without an id.

    Raises:
        TypeError: this is no trace.
    """
    if isinstance(trace, Mapping):
        if isinstance(trace.get("info"), Mapping):
            data = _mapping(_decoded(trace.get("data")))
            return _from_parts(trace["info"], _list(data.get("spans")), trace)
        if "trace_metadata" in trace and "spans" in trace:  # a row of search_traces()
            return _from_parts(trace, _list(trace["spans"]), trace)
        if "outputs" in trace or "output" in trace:
            return _from_row(trace, number)
    elif hasattr(trace, "info") and hasattr(trace, "data"):
        return _from_parts(_info_of(trace.info), trace.data.spans, trace)
    raise TypeError(
        f"trace {number} is a {type(trace).__name__} that is no trace: give MLflow traces, their to_dict(), "
        "or mappings with 'inputs' and 'outputs'"
    )


def _from_row(row: Mapping[str, Any], number: int) -> RecordedCall:
    expectations = row.get("expectations")
    expected = row.get("expected", row.get("expected_response"))
    if not isinstance(expectations, Mapping):
        expectations = {} if expected is None else {"expected_response": expected}
    output = row["outputs"] if "outputs" in row else row.get("output")
    return RecordedCall(
        trace_id=str(row.get("trace_id") or row.get("id") or number),
        inputs=inputs_of(row.get("inputs", row.get("input"))),
        output=answer_of(output),
        expectations=dict(expectations),
        prompt=str(row.get("prompt") or ""),
        model=str(row.get("model") or ""),
        skip=NO_OUTPUT if output is None else "",
        trace=row.get("trace", row),
    )


def _from_parts(info: Mapping[str, Any], spans: Sequence[Any], trace: Any) -> RecordedCall:
    tags = _mapping(info.get("tags"))
    read = [_span(span) for span in spans]
    root = next((known for parent, known in read if not parent), read[0][1] if read else {})
    outputs = _first(root, (_OUTPUTS, *_GEN_AI_OUTPUTS))
    inputs = _first(root, (_INPUTS, *_GEN_AI_INPUTS))
    if not root:
        inputs, outputs = info.get("request"), info.get("response")
    dspy = bool(root.get(_DSPY_SIGNATURE)) and isinstance(outputs, Mapping)
    output = fields_of(outputs) if dspy else answer_of(outputs)
    state = str(info.get("state") or "OK")
    skip = {"ERROR": FAILED, "IN_PROGRESS": UNFINISHED}.get(state, "")
    return RecordedCall(
        trace_id=str(info.get("trace_id") or info.get("request_id") or ""),
        inputs=inputs_of(inputs),
        output=output,
        expectations=_expectations(info.get("assessments")),
        prompt=prompt_of(tags),
        model=_model(tags, root, [known for _, known in read], inputs),
        skip=skip or (NO_OUTPUT if output is None else ""),
        trace={**_measured(info), **trace} if isinstance(trace, Mapping) else trace,
    )


def _measured(info: Mapping[str, Any]) -> dict[str, Any]:
    """What the dict of a trace tells of tokens, cost and time, where scorers look for it."""
    metadata = _mapping(info.get("trace_metadata"))
    found = {
        "token_usage": _decoded(metadata.get("mlflow.trace.tokenUsage")),
        "cost": _decoded(metadata.get("mlflow.trace.cost")),
        "execution_duration_ms": info.get("execution_duration_ms", info.get("execution_duration")),
    }
    return {name: value for name, value in found.items() if value is not None}


def prompt_of(tags: Mapping[str, Any]) -> str:
    """``name/version`` of the prompts that a trace is linked to, in its tags."""
    links = _decoded(tags.get(_LINKED_PROMPTS))
    if isinstance(links, list):
        return ", ".join(f"{x.get('name')}/{x.get('version')}" for x in links if isinstance(x, Mapping))
    return ""


def _model(
    tags: Mapping[str, Any], root: Mapping[str, Any], spans: Sequence[Mapping[str, Any]], inputs: Any
) -> str:
    """The model of the call; of several models in one trace, all, in order of first use."""
    if isinstance(tags.get(_MODEL_TAG), str):
        return str(tags[_MODEL_TAG])
    asked = inputs.get("model") if isinstance(inputs, Mapping) else None
    seen = [_first(root, _MODELS) or asked]
    if not isinstance(seen[0], str):
        seen = [_first(known, _MODELS) for known in spans]
    return ", ".join(dict.fromkeys(model for model in seen if isinstance(model, str) and model))


def _expectations(assessments: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in sorted(map(_assessment, _list(assessments)), key=lambda item: str(item["last_update_time"])):
        if isinstance(item["expectation"], Mapping) and item["valid"] is not False:
            value = item["expectation"]
            found[str(item["name"])] = (
                value["value"]
                if "value" in value
                else _decoded(_mapping(value.get("serialized_value")).get("value"))
            )
    return found


def _assessment(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return {
            "name": item.get("assessment_name"),
            "expectation": item.get("expectation"),
            "valid": item.get("valid"),
            "last_update_time": item.get("last_update_time"),
        }
    expectation = getattr(item, "expectation", None)
    return {
        "name": item.name,
        "expectation": None if expectation is None else {"value": expectation.value},
        "valid": item.valid,
        "last_update_time": f"{item.last_update_time_ms or 0:020}",
    }


def _info_of(info: Any) -> dict[str, Any]:
    return {
        "trace_id": info.trace_id,
        "state": getattr(info.state, "value", info.state),
        "tags": info.tags,
        "assessments": info.assessments,
        "request": info.request_preview,
        "response": info.response_preview,
    }


def _span(span: Any) -> tuple[Any, Mapping[str, Any]]:
    """The parent of a span and those of its attributes that are read here."""
    if not isinstance(span, Mapping):
        return span.parent_id, {key: span.attributes[key] for key in _KEYS if key in span.attributes}
    attributes = _mapping(span.get("attributes"))
    # In its dicts, MLflow keeps each attribute as JSON text.
    known = {key: _decoded(attributes[key]) for key in _KEYS if key in attributes}
    return span.get("parent_span_id", span.get("parent_id")), known


def _first(attributes: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((attributes[key] for key in keys if attributes.get(key) is not None), None)


def _decoded(value: Any) -> Any:
    """The value of a JSON text; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
