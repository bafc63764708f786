"""The names by which traces tell what they are.

Three writers are recognised by attribute: our own gateway (``ROUTE`` and its companions, on the root span or,
through OTLP, as trace tags), MLflow's autologging, and any OpenTelemetry exporter that follows the ``gen_ai``
conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/).

A gateway trace has a root span named like the route, with inputs ``{"variables": {...}, "messages": [...]}``
and the answer's text as outputs.
"""

from __future__ import annotations

# Written by promptmigrate.gateway.
ROUTE = "promptmigrate.route"
VARIANT = "promptmigrate.variant"
"""The variant that answered; digest and model are its own, also when it was a fallback."""
PROMPT_DIGEST = "promptmigrate.prompt_digest"
FULL_MODEL = "promptmigrate.model"
"""``provider/model``; the ``mlflow.llm.model`` beside it has no provider."""
SHADOW = "promptmigrate.shadow"
CUT = " […cut]"
"""Ends a text that was too long to be recorded whole."""

# Written by MLflow.
LINKED_PROMPTS = "mlflow.linkedPrompts"
MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"
TOKENS = "mlflow.chat.tokenUsage"
COST = "mlflow.llm.cost"
MESSAGE_FORMAT = "mlflow.message.format"
SPAN_TYPE = "mlflow.spanType"
SESSION = "mlflow.trace.session"
USER = "mlflow.trace.user"
SPANS_LOCATION = "mlflow.trace.spansLocation"
EVALUATION_TAGS = ("mlflow.trace.sourceScorer", "mlflow.eval.requestId")
"""Tags of traces that MLflow's own evaluation made: not production calls."""

CHAT_TYPES = frozenset({"CHAT_MODEL", "LLM"})
DSPY_SIGNATURE = "signature"
"""Attribute of a DSPy Predict span: its inputs and outputs are the signature's fields."""

# gen_ai conventions.
GEN_AI_MODEL = ("gen_ai.request.model", "gen_ai.response.model")
GEN_AI_INPUT = ("gen_ai.input.messages", "gen_ai.prompt")
GEN_AI_SYSTEM = "gen_ai.system_instructions"
GEN_AI_OUTPUT = ("gen_ai.output.messages", "gen_ai.completion")
GEN_AI_INPUT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
GEN_AI_OUTPUT_TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
