"""What a trace recorded of production's call, as a Reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptmigrate.types import Example, Reply

if TYPE_CHECKING:
    from promptmigrate.lm import Price


def counted_tokens(example: Example) -> tuple[int, int] | None:
    """Input and output tokens, where the trace counted both."""
    asked, answered = (example.metadata.get(f"{way}_tokens") for way in ("input", "output"))
    if not (isinstance(asked, int | float) and isinstance(answered, int | float)):
        return None
    return (int(asked), int(answered)) if asked > 0 and answered > 0 else None


def recorded_usd(example: Example, price: Price | None) -> float | None:
    """What production paid in USD: as the trace says, else what its counted tokens cost at ``price``."""
    known = example.metadata.get("cost_usd")
    if isinstance(known, int | float):
        return float(known)
    tokens = counted_tokens(example)
    return price.cost(*tokens) if price is not None and tokens is not None else None


def recorded_reply(example: Example, price: Price | None) -> Reply:
    """The answer with its tokens, cost and latency; ``price``: of the model that gave it, if known."""
    recorded = example.metadata
    return Reply(
        kind="ok",
        text=example.reference,
        model=str(recorded.get("model", "")),
        input_tokens=int(recorded.get("input_tokens") or 0),
        output_tokens=int(recorded.get("output_tokens") or 0),
        cost_usd=recorded_usd(example, price),
        latency_s=float(recorded.get("latency_s") or 0.0),
        cached=True,
        attempts=0,
    )
