"""The identity of a request: what makes two askings the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from promptmigrate.errors import UsageError
from promptmigrate.types import Messages

_VERSION = 1
_RESERVED = frozenset({"model", "messages", "stream"})
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def request_key(
    identity: str, model: str, messages: Messages, params: Mapping[str, Any], repeat: int
) -> bytes:
    """SHA-256 (32 bytes) over everything that may change the answer, and nothing else.

    ``identity`` is the endpoint's (its ``base_url``); neither the API key nor the purpose of the call belongs
    to it. Numbers that JSON writes in two ways (``0`` and ``0.0``) are one.

    Raises:
        UsageError: a message or parameter that cannot be written as JSON, or that is ours to set.
    """
    if reserved := _RESERVED & params.keys():
        raise UsageError(
            f"parameter '{min(reserved)}' for '{model}' cannot be set: promptmigrate sets it itself"
        )
    plain = [dict(message) for message in messages]
    try:
        text = _encode([_VERSION, identity, model, plain, _canonical(params), repeat])
    except (TypeError, ValueError) as error:
        raise UsageError(f"a message or parameter for '{model}' cannot be sent as JSON: {error}") from error
    return hashlib.sha256(text.encode()).digest()


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
