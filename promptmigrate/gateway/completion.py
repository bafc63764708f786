"""What a caller of the gateway gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer, and who gave it."""

    text: str
    variant: str
    """The variant that answered."""
    assigned: str
    """The variant that the route gave to this unit; statistics count the call for it (intention to treat)."""
    model: str
    """The model that answered, as the provider names it."""
    revision: int
    """Revision of the route that served the call."""
    cost_usd: float | None
    """Of all attempts whose usage is known; None: the price of the model is not known."""
    input_tokens: int
    output_tokens: int
    latency_s: float
    """Seconds from the call to the answer: waiting, retries and fallbacks included."""
    attempts: int
    """Requests sent, to all variants together."""
    trace_id: str | None
    """Id of the trace in MLflow; None where the call is not recorded."""
    finish_reason: str | None

    @property
    def fallback(self) -> bool:
        """Whether another variant than the assigned one answered."""
        return self.variant != self.assigned
