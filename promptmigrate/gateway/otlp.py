"""From records to OTLP spans, under the names that MLflow understands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from promptmigrate.gateway.store import Record


def prompt_of(record: Record) -> tuple[str, str] | None:
    """Name and version of the prompt in the registry, if it came from there."""
    uri = record["metadata"]["prompt_uri"]
    if not uri:
        return None
    name, version = uri.removeprefix("prompts:/").split("/")
    return name, version


def request_of(records: Sequence[Record]) -> Any:
    """``records`` as one OTLP ``ExportTraceServiceRequest``, a root span each."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add()
    spans.scope.name = "promptmigrate.gateway"
    for record in records:
        metadata = record["metadata"]
        trace_id = bytes.fromhex(metadata["trace_id"].removeprefix("tr-"))
        span: Span = spans.spans.add(
            trace_id=trace_id,
            span_id=bytes(byte ^ 0x5A for byte in trace_id[:8]),
            name=metadata["route"],
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=metadata["start_ns"],
            end_time_unix_nano=metadata["end_ns"],
        )
        failed = metadata["error"] is not None
        span.status.code = Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_OK
        if failed:
            span.status.message = metadata["error"]
        for key, value in _attributes_of(record).items():
            _put(span.attributes.add(key=key).value, value)
    return request


def _attributes_of(record: Record) -> dict[str, Any]:
    """What the root span of ``record`` says, under the names that MLflow understands."""
    metadata = record["metadata"]
    tags: dict[str, str] = {
        "mlflow.traceName": metadata["route"],
        "promptmigrate.route": metadata["route"],
        "promptmigrate.variant": metadata["variant"],
        "promptmigrate.assigned": metadata["assigned"],
        "promptmigrate.fallback": "true" if metadata["fallback"] else "false",
        "promptmigrate.revision": str(metadata["revision"]),
        "promptmigrate.prompt_digest": metadata["prompt_digest"],
        "promptmigrate.model": metadata["model"],
    }
    linked = prompt_of(record)
    prompts = json.dumps([{"name": linked[0], "version": linked[1]}]) if linked else None
    if linked:
        tags["promptmigrate.prompt"] = "/".join(linked)
        tags["mlflow.linkedPrompts"] = prompts or ""
    attributes: dict[str, Any] = {
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.llm.model": metadata["model"].partition("/")[2],
        "mlflow.llm.provider": metadata["provider"],
        "promptmigrate.answered_by": metadata["answered_by"],
        "promptmigrate.kind": metadata["kind"],
        "promptmigrate.finish_reason": metadata["finish_reason"],
        "promptmigrate.params": metadata["params"],
        "promptmigrate.attempts": metadata["attempts"],
        "promptmigrate.latency_s": metadata["latency_s"],
        "promptmigrate.redacted": metadata["redacted"] or None,
        **{key: value for key, value in tags.items() if key.startswith("promptmigrate.")},
        **{f"mlflow.traceTag.{key}": value for key, value in tags.items()},
    }
    if prompts:
        attributes["mlflow.linkedPrompts"] = prompts
    if record["inputs"] or record["messages"]:
        attributes["mlflow.spanInputs"] = {"variables": record["inputs"], "messages": record["messages"]}
    if record["reference"] is not None:
        attributes["mlflow.spanOutputs"] = record["reference"]
    if metadata["input_tokens"] or metadata["output_tokens"]:
        attributes["mlflow.chat.tokenUsage"] = {
            "input_tokens": metadata["input_tokens"],
            "output_tokens": metadata["output_tokens"],
            "total_tokens": metadata["input_tokens"] + metadata["output_tokens"],
        }
        if metadata["input_usd"] is not None:
            attributes["mlflow.llm.cost"] = {
                "input_cost": metadata["input_usd"],
                "output_cost": metadata["output_usd"],
                "total_cost": metadata["input_usd"] + metadata["output_usd"],
            }
    if metadata["session"]:
        attributes["session.id"] = metadata["session"]
    if metadata["user"]:
        attributes["user.id"] = metadata["user"]
    return {key: value for key, value in attributes.items() if value is not None}


def _put(target: Any, value: Any) -> None:
    """Write a JSON value into an OTLP ``AnyValue``."""
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        target.int_value = value
    elif isinstance(value, int | float):
        target.double_value = float(value)
    elif isinstance(value, str):
        # Lone surrogates cannot be sent as UTF-8.
        target.string_value = value.encode("utf-8", "replace").decode("utf-8")
    elif isinstance(value, Mapping):
        target.kvlist_value.SetInParent()
        for key, part in value.items():
            _put(target.kvlist_value.values.add(key=str(key)).value, part)
    elif isinstance(value, list | tuple):
        target.array_value.SetInParent()
        for part in value:
            _put(target.array_value.values.add(), part)
