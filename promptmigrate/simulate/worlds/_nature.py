"""How a model behaves: it fails in named ways, less often the better a prompt speaks to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Nature:
    """How one model behaves in its world."""

    base: Mapping[str, float]
    """Probability of each hazard when nothing in the prompt speaks to it."""
    floor: Mapping[str, float]
    """Probability of each hazard when the prompt speaks to it as well as can be."""
    obeys: float
    """How much of an instruction reaches it."""
    imitates: float
    """How much of what demos show reaches it."""
    attention_tokens: int
    """Instructions longer than this are obeyed less and less."""
    reads_system: float = 1.0
    """Share of the calls in which it heeds the system message."""
    variety: float = 0.12
    """Share of its luck that is new for each wording, at temperature 0; more at higher ones."""

    def hazards(self, pressures: Mapping[str, tuple[float, float]], tokens: int) -> dict[str, float]:
        """Probability of each hazard, by how strongly ``tokens`` of instructions, and demos, speak to it."""
        reach = self.obeys * _attention(tokens, self.attention_tokens)
        result = {}
        for name, (told, shown) in pressures.items():
            # Being told and being shown reinforce each other; a wrong rule (negative) makes it worse.
            strength = told if told < 0 else 1.0 - (1.0 - told * reach) * (1.0 - shown * self.imitates)
            base = self.base.get(name, 0.0)
            result[name] = min(1.0, max(0.0, base + (self.floor.get(name, 0.0) - base) * strength))
        return result


def _attention(tokens: int, limit: int) -> float:
    """How much of the instructions is still in mind: all up to ``limit`` tokens, half at three times that."""
    return 1.0 if tokens <= limit else limit / (limit + 0.5 * (tokens - limit))
