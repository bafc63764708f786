"""Ways to models: OpenAI-compatible endpoints directly, LiteLLM, the simulator, recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptmigrate.lm.transports._base import (
    CONFIGURATION,
    RETRIED,
    Fault,
    Transport,
    Usage,
    WireError,
    WireReply,
    WireRequest,
)

if TYPE_CHECKING:
    from promptmigrate.lm.endpoints import Endpoint

__all__ = [
    "CONFIGURATION",
    "RETRIED",
    "Fault",
    "Transport",
    "Usage",
    "WireError",
    "WireReply",
    "WireRequest",
    "open_transport",
]


def open_transport(endpoint: Endpoint) -> Transport:
    """The transport that reaches ``endpoint``; heavy libraries are imported by its first call."""
    if endpoint.transport == "litellm":
        from promptmigrate.lm.transports.litellm import LiteLLMTransport

        return LiteLLMTransport(endpoint)
    if endpoint.transport == "sim":
        from promptmigrate.lm.transports.sim import SimTransport

        return SimTransport()
    from promptmigrate.lm.transports.openai import OpenAITransport

    return OpenAITransport(endpoint)
