"""A trace's spans as plain values, in tree order, and what they say about the model call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from promptmigrate.harvest import chat, markers


@dataclass(frozen=True, kw_only=True)
class Node:
    """One span; ``path`` are its ancestors, root first."""

    id: str
    ok: bool
    attributes: Mapping[str, Any] = field(repr=False)
    inputs: Any = field(repr=False)
    outputs: Any = field(repr=False)
    start_ns: int
    end_ns: int | None
    path: tuple[Node, ...] = field(repr=False, default=())

    @property
    def turns(self) -> tuple[chat.Turn, ...] | None:
        """The messages that were sent, if this span is a model call."""
        if (
            self.attributes.get(markers.DSPY_SIGNATURE)
            and self.attributes.get(markers.MESSAGE_FORMAT) is None
        ):
            return None
        is_call = self.attributes.get(markers.SPAN_TYPE) in markers.CHAT_TYPES
        found = chat.turns(self.inputs) if is_call else None
        for key in markers.GEN_AI_INPUT:
            if found is None and key in self.attributes:
                found = chat.turns_of(self.attributes[key])
        # The gen_ai conventions keep the system message apart, and MLflow copies only the others.
        opening = chat.content_text(chat.parsed(self.attributes.get(markers.GEN_AI_SYSTEM)))
        if found and opening and found[0].role not in ("system", "developer"):
            found = (chat.Turn(role="system", content=opening), *found)
        return found

    @property
    def answer(self) -> chat.Answer:
        """What the model gave back."""
        if self.outputs is None:
            for key in markers.GEN_AI_OUTPUT:
                if key in self.attributes:
                    return chat.answer(self.attributes[key])
        return chat.answer(self.outputs)

    @property
    def is_dspy_predict(self) -> bool:
        """Whether inputs and outputs are the fields of a DSPy signature."""
        return bool(self.attributes.get(markers.DSPY_SIGNATURE)) and isinstance(self.inputs, Mapping)

    @property
    def model(self) -> str | None:
        """The model that was asked, else the one that answered."""
        inputs = self.inputs if isinstance(self.inputs, Mapping) else {}
        outputs = self.outputs if isinstance(self.outputs, Mapping) else {}
        is_call = self.turns is not None
        candidates = [
            inputs.get("model") if is_call else None,
            self.attributes.get(markers.MODEL),
            *(self.attributes.get(key) for key in markers.GEN_AI_MODEL),
            self.attributes.get("model") if is_call else None,
            outputs.get("model") if is_call else None,
        ]
        return next((item for item in candidates if isinstance(item, str) and item), None)

    @property
    def measures(self) -> dict[str, Any]:
        """Model, latency, tokens, cost and time under their metadata names, as far as known."""
        found: dict[str, Any] = {}
        if self.model:
            found["model"] = self.model
        if self.end_ns:
            found["latency_s"] = round((self.end_ns - self.start_ns) / 1e9, 4)
        usage = self.attributes.get(markers.TOKENS)
        usage = usage if isinstance(usage, Mapping) else {}
        for name, keys in (
            ("input_tokens", markers.GEN_AI_INPUT_TOKENS),
            ("output_tokens", markers.GEN_AI_OUTPUT_TOKENS),
        ):
            value = usage.get(
                name, next((self.attributes[key] for key in keys if key in self.attributes), None)
            )
            if isinstance(value, int):
                found[name] = value
        cost = self.attributes.get(markers.COST)
        cost = cost.get("total_cost") if isinstance(cost, Mapping) else self.attributes.get("response_cost")
        if isinstance(cost, int | float) and not isinstance(cost, bool):
            found["cost_usd"] = float(cost)
        if self.start_ns:
            found["timestamp"] = iso(self.start_ns / 1e9)
        return found


def iso(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def nodes(spans: Sequence[Any]) -> list[Node]:
    """The spans of one trace, parents before children, siblings by start time."""
    ids = {span.span_id for span in spans}
    children: dict[str | None, list[Any]] = {}
    for span in sorted(spans, key=lambda item: (item.start_time_ns or 0, item.span_id)):
        parent = span.parent_id if span.parent_id in ids else None
        children.setdefault(parent, []).append(span)
    ordered: list[Node] = []
    level: list[tuple[Any, tuple[Node, ...]]] = [(span, ()) for span in children.get(None, [])]
    while level:
        below: list[tuple[Any, tuple[Node, ...]]] = []
        for span, path in level:
            node = _node(span, path)
            ordered.append(node)
            below += [(child, (*path, node)) for child in children.get(span.span_id, [])]
        level = below
    return ordered


def _node(span: Any, path: tuple[Node, ...]) -> Node:
    attributes = dict(span.attributes or {})
    return Node(
        id=span.span_id,
        ok=str(getattr(span.status.status_code, "value", span.status.status_code)) != "ERROR",
        attributes=attributes,
        inputs=attributes.get("mlflow.spanInputs"),
        outputs=attributes.get("mlflow.spanOutputs"),
        start_ns=span.start_time_ns or 0,
        end_ns=span.end_time_ns,
        path=path,
    )
