"""The LiteLLM transport, for providers that do not speak the OpenAI protocol. Imported by its first call."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import EndpointError
from promptmigrate.lm.redact import brief
from promptmigrate.lm.transports import _chat, _embeddings
from promptmigrate.lm.transports._base import Fault, WireError, WireReply, WireRequest

if TYPE_CHECKING:
    from promptmigrate.lm.endpoints import Endpoint

_NOT_CONNECTED = re.compile(
    r"cannot connect|connection refused|name or service not known|nodename nor servname|getaddrinfo", re.I
)
_OWN_ADDRESSES = frozenset(
    {
        "azure", "azure_ai", "bedrock", "bedrock_converse", "databricks", "litellm_proxy", "oci", "sagemaker",
        "snowflake", "vertex_ai", "watsonx",
    }
)  # fmt: skip
"""Providers where each customer has an address of his own, or signs in without a key."""


class LiteLLMTransport:
    """``litellm.acompletion``, one attempt each: its retries, telemetry and price fetch are off."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def __repr__(self) -> str:
        return f"LiteLLMTransport({self._endpoint.name!r})"

    async def send(self, request: WireRequest, /) -> WireReply:
        """Make one attempt.

        Raises:
            WireError: it ended without an answer.
            EndpointError: the key is not set.
        """
        if not _litellm.cache_info().currsize:
            await asyncio.to_thread(_litellm)  # takes seconds, in which other calls go on
        litellm = _litellm()
        loop = asyncio.get_running_loop()
        started = loop.time()
        options: dict[str, Any] = dict(request.params)
        if self._endpoint.base_url:
            options["api_base"] = self._endpoint.base_url
        if (key := self._endpoint.key()) is not None:
            options["api_key"] = key
        elif self._endpoint.base_url and self._endpoint.name not in _OWN_ADDRESSES:
            # LiteLLM would take the provider's usual key from the environment to this other host.
            options["api_key"] = "no-key"
        try:
            async with asyncio.timeout(request.timeout_s):
                embedding = _embeddings.wanted(request.messages)
                asked = {"input": [request.messages[0]["content"]]} if embedding else {
                    "messages": list(map(dict, request.messages))
                }  # fmt: skip
                answer = await (litellm.aembedding if embedding else litellm.acompletion)(
                    model=f"{self._endpoint.name}/{request.model}",
                    **asked,
                    num_retries=0,
                    max_retries=0,
                    timeout=request.timeout_s + 1,  # ours above comes first
                    **options,
                )
        except TimeoutError:
            raise self._error("silent", None, f"sent nothing within {request.timeout_s:.3g} s") from None
        except Exception as error:  # noqa: BLE001 - LiteLLM raises its own, OpenAI's and httpx's classes
            return self._refused(error, request, loop.time() - started)
        try:
            body = answer.model_dump()
            if embedding:
                return _embeddings.read(body, request, latency_s=loop.time() - started)
            reply = _chat.read_completion(
                body, model=request.model, messages=request.messages, latency_s=loop.time() - started
            )
        except (_chat.BadBody, AttributeError, ValueError) as error:
            raise self._error(
                "bad_body", 200, f"answered with something that is no chat completion: {error}"
            ) from None
        return reply

    async def aclose(self) -> None:
        """Close the connections that LiteLLM keeps for this event loop (it may have others, not ours)."""
        if not _litellm.cache_info().currsize:
            return
        ours = f"-{id(asyncio.get_running_loop())}"
        kept = getattr(_litellm().in_memory_llm_clients_cache, "cache_dict", {})
        for name in [name for name in kept if str(name).endswith(ours)]:
            client = kept.pop(name)
            close = getattr(client, "aclose", None) or getattr(client, "close", None)
            if close is not None and inspect.isawaitable(closing := close()):
                await closing

    def _refused(self, error: Exception, request: WireRequest, latency_s: float) -> WireReply:
        status = getattr(error, "status_code", None)
        status = status if isinstance(status, int) else None
        name = type(error).__name__
        said = str(error)
        if name in {"APIConnectionError", "Timeout"} or status is None:
            fault: Fault = "silent" if name == "Timeout" else "reset"
            if _NOT_CONNECTED.search(said):
                fault = "unreachable"
            raise self._error(fault, None, f"could not be asked ({name}): {said}")
        found = _chat.classify(status, said)
        if name == "ContentPolicyViolationError" or found == "filtered":
            return WireReply(
                kind="filtered", text="", model=request.model, finish_reason="content_filter",
                input_tokens=0, output_tokens=0, cost_usd=0.0, latency_s=latency_s, status=status,
            )  # fmt: skip
        if name == "ContextWindowExceededError":
            found = "context_length"
        hint = f"; check the key in {self._endpoint.key_name}" if found == "auth" else ""
        raise WireError(
            found,
            self._say(status, f"refused model '{request.model}'{hint}: {said}"),
            status=status,
            retry_after_s=_chat.retry_after_s(_headers(error)),
        )

    def _error(self, fault: Fault, status: int | None, what: str) -> WireError:
        return WireError(fault, self._say(status, what), status=status)

    def _say(self, status: int | None, what: str) -> str:
        code = f" ({status})" if status is not None else ""
        return brief(f"{self._endpoint.where}{code} {what}", self._endpoint.secrets(), limit=500)


def _headers(error: Exception) -> Mapping[str, str]:
    """Response headers that LiteLLM keeps in one of several places, or none."""
    response = getattr(error, "response", None)
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(response, "headers", None),
        getattr(error, "headers", None),
    ):
        if headers:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


@cache
def _litellm() -> Any:
    # Without this, the import fetches a price map from the network and may hang on a machine without one.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    try:
        import litellm
    except ImportError as error:
        raise EndpointError("this model needs the package 'litellm': pip install litellm") from error
    litellm.telemetry = False
    litellm.drop_params = False
    litellm.suppress_debug_info = True
    litellm.num_retries = 0
    return litellm
