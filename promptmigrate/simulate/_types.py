"""What the simulated provider offers and gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["source", "target", "editor", "judge", "echo"]
FinishReason: TypeAlias = Literal["stop", "length"]

_TOKEN = re.compile(r"[A-Za-z]{1,7}|\d{1,3}|[^\sA-Za-z\d]")
TOKENS_PER_MESSAGE = 4
"""What the framing of one chat message costs."""


def count_tokens(text: str) -> int:
    """Tokens of ``text`` by a simple rule: up to 7 letters, up to 3 digits, or one other sign."""
    return len(_TOKEN.findall(text))


@dataclass(frozen=True, kw_only=True)
class SimModel:
    """A model that the simulated provider serves. Prices are in USD per million tokens."""

    name: str
    """With its provider: ``sim/triage-large``."""
    role: Role
    world: str = ""
    """The world it is at home in; empty for editor, judge and echo, which serve all."""
    input_per_mtok: float
    output_per_mtok: float
    base_latency_s: float
    """Seconds to the first token (median)."""
    token_latency_s: float
    """Seconds per output token (median)."""
    context_tokens: int = 128_000
    about: str = ""

    @property
    def wire_name(self) -> str:
        """The name on the wire, without provider: ``triage-large``."""
        return self.name.removeprefix("sim/")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimReply:
    """An answer of a simulated model. The latency is reported, not slept."""

    text: str
    finish_reason: FinishReason
    input_tokens: int
    output_tokens: int
    latency_s: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One production input of a world, with the truth and who sent it."""

    inputs: Mapping[str, str]
    expected: str
    session: str
    """The group: rows of one session belong together."""
    user: str
