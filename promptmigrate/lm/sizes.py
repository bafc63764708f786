"""How many tokens a request may take at worst, before it is sent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from promptmigrate.types import Messages

DEFAULT_OUTPUT_TOKENS = 4096
"""Assumed where a request does not bound its answer and the model has not yet given longer ones."""
_BYTES_PER_TOKEN = 3.0
_TOKENS_PER_MESSAGE = 8


class Sizes:
    """Upper estimates for one model, corrected by what its answers turn out to be.

    Three bytes per token is less than nearly all text needs in any script; where a tokenizer takes more, the
    estimate follows the largest ratio seen.
    """

    def __init__(self) -> None:
        self._ratio = 1.0
        self._longest = 0

    def worst(self, messages: Messages, params: Mapping[str, Any]) -> tuple[int, int]:
        """Input and output tokens at worst."""
        size = sum(len(message["content"].encode("utf-8", "replace")) for message in messages)
        for name in ("tools", "response_format"):
            if name in params:
                size += len(json.dumps(params[name], default=str))
        given = size / _BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE * (len(messages) + 1)
        if messages and messages[0]["role"] == "embed":
            return math.ceil(given * self._ratio), 0
        bound = params.get("max_completion_tokens") or params.get("max_tokens")
        if not isinstance(bound, int | float) or bound <= 0:
            bound = max(DEFAULT_OUTPUT_TOKENS, 2 * self._longest)
        answers = params.get("n")
        return (
            math.ceil(given * self._ratio),
            math.ceil(bound) * (answers if isinstance(answers, int) and answers > 1 else 1),
        )

    def learn(self, worst_input: int, input_tokens: int, output_tokens: int) -> None:
        """Take note of what a request really took."""
        self._longest = max(self._longest, output_tokens)
        if input_tokens > worst_input:
            self._ratio *= min(4.0, input_tokens / worst_input)
