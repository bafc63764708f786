"""How judges reach a model when nobody said how."""

from __future__ import annotations

import atexit
import importlib
import os
import threading
from typing import Any

from scorers._errors import NoCompleteError
from scorers._types import Answer, Complete, Question

_lock = threading.Lock()
_chosen: Complete | None = None
_found: Complete | None = None


def set_default_complete(complete: Complete | None) -> None:
    """Let judges without a ``complete`` of their own ask through this one; None goes back to looking for one.

    Without it, the model door of promptmigrate is used if it is installed, else LiteLLM.
    """
    global _chosen  # noqa: PLW0603 - a process-wide default is what this sets
    with _lock:
        _chosen = complete


def default_complete() -> Complete:
    """The callable to ask through.

    Raises:
        NoCompleteError: none was set, and neither promptmigrate nor LiteLLM is installed.
    """
    global _found  # noqa: PLW0603 - found once, when first needed
    with _lock:
        if _chosen is not None:
            return _chosen
        if _found is None:
            _found = _through_door() or _through_litellm()
        if _found is None:
            raise NoCompleteError(
                "a judge has no way to reach a model: pass complete=..., an async callable that takes a "
                "scorers.Question and gives a scorers.Answer, or set one with "
                "scorers.set_default_complete(...), or install promptmigrate or litellm"
            )
        return _found


def module(name: str) -> Any:
    """The module ``name``, or None if it is not installed."""
    # By name: this package lies below promptmigrate and must not depend on it.
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def open_door() -> Any:
    """promptmigrate's door to models, with the endpoints that the environment names; None without it."""
    lm = module("promptmigrate.lm")
    return lm.Door.open(**_endpoints()) if hasattr(lm, "Door") else None


def _through_door() -> Complete | None:
    door, types = open_door(), module("promptmigrate.types")
    if door is None or types is None:
        return None
    atexit.register(door.close)
    unable: set[str] = set()  # models whose endpoint refused a schema

    async def ask(question: Question, params: dict[str, Any]) -> Any:
        limit = {} if question.max_tokens is None else {"max_tokens": question.max_tokens}
        return await door.acomplete(
            types.Request(
                model=question.model,
                messages=tuple(question.messages),
                params={**limit, **params},
                purpose="judge",
            )
        )

    async def complete(question: Question, /) -> Answer:
        params = {} if question.model in unable else response_format(question)
        reply = await ask(question, params)
        if params and not reply.answered and _refuses_schema(reply.error):
            unable.add(question.model)
            reply = await ask(question, {})
        error = None if reply.answered else f"{reply.kind}: {reply.error or 'no answer'}"
        return Answer(
            text=reply.text if reply.answered else None,
            error=error,
            cost_usd=reply.cost_usd,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
        )

    return complete


def _endpoints() -> dict[str, Any]:
    """What the environment says about OpenAI's address, as its own client reads it."""
    base_url = os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
    config = module("promptmigrate.config") if base_url else None
    if config is None:
        return {}
    key = "OPENAI_API_KEY" if os.environ.get("OPENAI_API_KEY") else None
    return {"endpoints": {"openai": config.EndpointConfig(base_url=base_url, api_key_env=key)}}


def response_format(question: Question) -> dict[str, Any]:
    """The request parameter by which OpenAI-compatible endpoints enforce ``question.schema``; {} without one.

    The messages ask for the same form, so an endpoint that cannot enforce it may be asked without.
    """
    if question.schema is None:
        return {}
    schema = {"name": "verdict", "strict": True, "schema": dict(question.schema)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _refuses_schema(error: object) -> bool:
    told = str(error or "").casefold()
    return any(word in told for word in ("response_format", "json_schema", "structured output"))


def _through_litellm() -> Complete | None:
    # Without it, LiteLLM fetches its price list from the network while it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = module("litellm")
    if litellm is None:
        return None

    unable: set[str] = set()  # models whose endpoint refused a schema

    async def ask(question: Question, params: dict[str, Any]) -> Any:
        return await litellm.acompletion(
            model=question.model,
            messages=[dict(message) for message in question.messages],
            max_tokens=question.max_tokens,
            timeout=120,
            num_retries=2,
            **params,
        )

    async def complete(question: Question, /) -> Answer:
        params = {} if question.model in unable else response_format(question)
        try:
            try:
                response = await ask(question, params)
            except Exception as error:
                if not params or not _refuses_schema(error):
                    raise
                unable.add(question.model)
                response = await ask(question, {})
        except Exception as error:  # noqa: BLE001 - every provider raises its own; it is told in the Answer
            return Answer(error=f"{type(error).__name__}: {error}")
        usage = response.usage
        return Answer(
            text=response.choices[0].message.content,
            cost_usd=_litellm_cost(litellm, response),
            input_tokens=usage.prompt_tokens or 0,
            output_tokens=usage.completion_tokens or 0,
        )

    return complete


def _litellm_cost(litellm: Any, response: Any) -> float | None:
    try:
        return float(litellm.completion_cost(response)) or None
    except Exception:  # noqa: BLE001 - a model without a price: the cost is unknown, which None says
        return None
