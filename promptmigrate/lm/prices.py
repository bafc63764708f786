"""What a model costs. A price that nobody states is unknown, never guessed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptmigrate.config import PriceConfig
    from promptmigrate.lm.endpoints import Endpoint

_MAP = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price of a model in USD per million tokens, and who states it."""

    input_per_mtok: float
    output_per_mtok: float
    source: str

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """USD for so many tokens."""
        return (input_tokens * self.input_per_mtok + output_tokens * self.output_per_mtok) / 1e6


class Prices:
    """Prices by model name; the configuration goes before the endpoint, the endpoint before the list."""

    def __init__(self, configured: Mapping[str, PriceConfig]) -> None:
        self._configured = configured
        self._stated: dict[str, Price] = {}
        self._found: dict[str, Price | None] = {}

    def learn(self, model: str, pricing: object) -> None:
        """Take what an endpoint says in its model list: ``{"prompt": "0.0000001", "completion": ...}``, USD
        per token (OpenRouter's form)."""
        if not isinstance(pricing, Mapping):
            return
        prompt, completion = _number(pricing.get("prompt")), _number(pricing.get("completion"))
        if prompt is not None and completion is not None:
            self._found.clear()
            self._stated[model] = Price(
                input_per_mtok=prompt * 1e6,
                output_per_mtok=completion * 1e6,
                source="the endpoint's model list",
            )

    def find(self, model: str, endpoint: Endpoint, wire_model: str) -> Price | None:
        """The price of ``model``, or None if nobody states one."""
        if model not in self._found:
            self._found[model] = self._find(model, endpoint, wire_model)
        return self._found[model]

    def _find(self, model: str, endpoint: Endpoint, wire_model: str) -> Price | None:
        configured = self._configured.get(model)
        if configured is not None:
            return Price(
                input_per_mtok=configured.input_per_mtok,
                output_per_mtok=configured.output_per_mtok,
                source="configuration",
            )
        if endpoint.transport == "sim":
            return _simulated(wire_model)
        if model in self._stated:
            return self._stated[model]
        # A list price holds at the provider's own address; what another server charges is not known.
        return _listed(endpoint.name, wire_model) if endpoint.at_home else None


def _simulated(name: str) -> Price | None:
    from promptmigrate.simulate import models

    found = models().get(f"sim/{name}")
    if found is None:
        return None
    return Price(
        input_per_mtok=found.input_per_mtok, output_per_mtok=found.output_per_mtok, source="simulated"
    )


def _listed(provider: str, name: str) -> Price | None:
    entries = _bundled()
    for entry_name in (f"{provider}/{name}", name):
        entry = entries.get(entry_name)
        # A bare name may belong to another provider; only this one's own entry counts.
        if entry is not None and (entry_name != name or entry[0].partition("-")[0] == provider):
            return Price(
                input_per_mtok=entry[1] * 1e6, output_per_mtok=entry[2] * 1e6, source="LiteLLM's price list"
            )
    return None


@cache
def _bundled() -> Mapping[str, tuple[str, float, float]]:
    """LiteLLM's bundled price list as name: (provider, USD per input token, USD per output token).

    The file is read without importing litellm, which would cost seconds.
    """
    spec = find_spec("litellm")
    if spec is None or not spec.origin:
        return {}
    try:
        data: Any = json.loads((Path(spec.origin).parent / _MAP).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    listed = {}
    for name, entry in data.items() if isinstance(data, dict) else ():
        if not isinstance(entry, dict) or entry.get("mode") not in {"chat", "responses", "completion"}:
            continue
        prompt, completion = (
            _number(entry.get("input_cost_per_token")),
            _number(entry.get("output_cost_per_token")),
        )
        if prompt is not None and completion is not None:
            listed[name] = (str(entry.get("litellm_provider", "")), prompt, completion)
    return listed


def _number(value: object) -> float | None:
    """A finite number that is not negative (OpenRouter writes -1 for "varies")."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
