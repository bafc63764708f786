"""Recovering the template variables of a call from what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptmigrate import template
from promptmigrate.harvest.chat import Turn
from promptmigrate.types import Prompt

_ROLE = {"developer": "system", "human": "user", "ai": "assistant", "model": "assistant"}


def by_text(prompt: Prompt, turns: Sequence[Turn]) -> dict[str, str] | None:
    """The variables that make ``prompt`` render to ``turns``, or None if it does not.

    Message by message; the same variable in two messages must have the same value. White space around a
    message does not count, since clients trim it. A text prompt matches a single message of any role.
    """
    if len(turns) != len(prompt.messages):
        return None
    values: dict[str, str] = {}
    for message, turn in zip(prompt.messages, turns, strict=True):
        if turn.content is None:
            return None
        if prompt.chat and _role(message.role) != _role(turn.role):
            return None
        found = template.recover(message.content, turn.content)
        if found is None:
            found = template.recover(message.content.strip(), turn.content.strip())
        if found is None:
            return None
        for name, value in found.items():
            if values.setdefault(name, value) != value:
                return None
    return values


def by_name(variables: Sequence[str], inputs: Any) -> dict[str, Any] | None:
    """The variables from recorded arguments that have their names, or None if one is missing.

    Arguments that come as one mapping (``handle(request)``, ``{"variables": {...}}``) are looked into.
    """
    if not isinstance(inputs, Mapping):
        return None
    if all(name in inputs for name in variables):
        return {name: inputs[name] for name in variables}
    inner = [value for value in inputs.values() if isinstance(value, Mapping)]
    if "variables" in inputs and isinstance(inputs["variables"], Mapping):
        inner = [inputs["variables"]]
    if len(inner) == 1 and all(name in inner[0] for name in variables):
        return {name: inner[0][name] for name in variables}
    return None


def merge(rendered: Mapping[str, str], named: Mapping[str, Any] | None) -> dict[str, Any]:
    """What was sent, with the type of the recorded argument where that renders to the same text."""
    if named is None:
        return dict(rendered)
    return {
        name: named[name] if name in named and template.as_text(named[name]) == text else text
        for name, text in rendered.items()
    }


def _role(role: str) -> str:
    return _ROLE.get(role, role)
