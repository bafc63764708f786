"""Embeddings on the wire: a request with the one message ``{"role": "embed", "content": text}``.

The vector is the text of the reply, as a JSON list: so cache, ledger, limits and recordings hold for it as
for any answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from promptmigrate.lm.transports._base import WireReply, WireRequest
from promptmigrate.lm.transports._chat import BadBody, reply

ROLE = "embed"


def wanted(messages: Sequence[Mapping[str, str]]) -> bool:
    """Whether a vector is asked for, not an answer."""
    return len(messages) == 1 and messages[0].get("role") == ROLE


def payload(request: WireRequest) -> dict[str, Any]:
    """The body of ``POST {base_url}/embeddings``."""
    return {
        "model": request.model,
        "input": request.messages[0]["content"],
        "encoding_format": "float",
        **request.params,
    }


def read(body: Any, request: WireRequest, *, latency_s: float) -> WireReply:
    """The vector in the body of an answer.

    Raises:
        BadBody: there is none.
    """
    data = body.get("data") if isinstance(body, dict) else None
    first = data[0] if isinstance(data, list) and data else None
    vector = first.get("embedding") if isinstance(first, dict) else None
    if not isinstance(vector, list) or not vector:
        raise BadBody("the body has no embedding")
    if not all(isinstance(x, int | float) and math.isfinite(x) for x in vector):
        raise BadBody("the embedding holds something that is no number")
    usage = body.get("usage") or {}
    return reply(
        text=json.dumps(vector),
        finish_reason="stop",
        model=body.get("model") or request.model,
        usage={"prompt_tokens": usage.get("prompt_tokens"), "completion_tokens": 0},
        messages=request.messages,
        latency_s=latency_s,
    )
