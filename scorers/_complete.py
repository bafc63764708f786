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


def _module(name: str) -> Any:
    # By name: this package lies below promptmigrate and must not depend on it.
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _through_door() -> Complete | None:
    lm, types = _module("promptmigrate.lm"), _module("promptmigrate.types")
    if lm is None or types is None or not hasattr(lm, "Door"):
        return None
    door = lm.Door.open()
    atexit.register(door.close)

    async def complete(question: Question, /) -> Answer:
        params = {} if question.max_tokens is None else {"max_tokens": question.max_tokens}
        reply = await door.acomplete(
            types.Request(
                model=question.model, messages=tuple(question.messages), params=params, purpose="judge"
            )
        )
        error = None if reply.answered else f"{reply.kind}: {reply.error or 'no answer'}"
        return Answer(
            text=reply.text if reply.answered else None,
            error=error,
            cost_usd=reply.cost_usd,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
        )

    return complete


def _through_litellm() -> Complete | None:
    # Without it, LiteLLM fetches its price list from the network while it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = _module("litellm")
    if litellm is None:
        return None

    async def complete(question: Question, /) -> Answer:
        try:
            response = await litellm.acompletion(
                model=question.model,
                messages=[dict(message) for message in question.messages],
                max_tokens=question.max_tokens,
                timeout=120,
                num_retries=2,
            )
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
