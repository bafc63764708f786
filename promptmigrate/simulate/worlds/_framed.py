"""A task model's answer, put into the form that a request's frame asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptmigrate.simulate._reading import json_object


class Framed:
    """Puts a task model's answer into the fields of a form."""

    def __init__(self, body: str) -> None:
        self._body = body
        self._values = json_object(body) or {}

    def text(self, name: str, index: int) -> str:  # noqa: ARG002 - part of the protocol
        if name in self._values:
            return str(self._values[name])
        if name in ("reasoning", "rationale", "explanation", "reason"):
            lines = self._body.strip().splitlines()
            return "\n".join(lines[:-1]) or "The text says so."
        return self._body

    def truth(self, name: str) -> bool:
        return bool(self._values.get(name))

    def number(self, name: str, low: float, high: float) -> float:  # noqa: ARG002 - part of the protocol
        found = self._values.get(name, self._body.split()[-1].strip(".*") if self._body.split() else 0)
        try:
            return float(found)
        except (TypeError, ValueError):
            return low

    def choice(self, name: str, options: Sequence[Any], index: int) -> Any:  # noqa: ARG002 - part of the protocol
        said = str(self._values.get(name, self._body)).lower()
        return next((option for option in options if str(option).lower() in said), options[0])

    def count(self, name: str) -> int:  # noqa: ARG002 - part of the protocol
        return 1

    def keys(self, name: str) -> Sequence[str]:
        return [name]
