"""How a simulated model reads a request: the turns, the demos, the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.simulate._types import TOKENS_PER_MESSAGE, count_tokens

ROW_MARK = "\u27e6row\u27e7"
"""Stands where the row was, so that the rest of a prompt is the same text for every row."""
_CAPITAL = {"system": "system", "developer": "system", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: role ``system``, ``user`` or ``assistant``."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Demo:
    """A worked example in a prompt. ``turn``: given as a user and an assistant message, not inside a text."""

    row: str
    output: str
    turn: bool


def turns_of(messages: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """Chat messages as turns; lists of content parts are joined, parts that are not text are dropped."""
    turns = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = "\n".join(
                str(part.get("text", "")) for part in content if isinstance(part, Mapping) and "text" in part
            )
        turns.append(
            Turn(_CAPITAL.get(str(message.get("role")), "user"), content if isinstance(content, str) else "")
        )
    return tuple(turns)


def tokens_of(turns: Sequence[Turn]) -> int:
    """Prompt tokens of a request."""
    return sum(count_tokens(turn.text) + TOKENS_PER_MESSAGE for turn in turns)


def last_user(turns: Sequence[Turn]) -> int:
    """Index of the last user turn, -1 if there is none."""
    return next((i for i in range(len(turns) - 1, -1, -1) if turns[i].role == "user"), -1)


def last_field(text: str) -> str:
    """What a ``[[ ## field ## ]]`` answer says in its last field; any other text is returned as it is."""
    if "[[ ## " not in text:
        return text.strip()
    value = text
    for piece in text.split("[[ ## ")[1:]:
        name, _, body = piece.partition(" ## ]]")
        if name.strip() != "completed":
            value = body
    return value.strip()


def json_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in ``text``, bare, fenced or inside prose; None if there is none."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, _ = decoder.raw_decode(text, start)
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        start = text.find("{", start + 1)
    return None
