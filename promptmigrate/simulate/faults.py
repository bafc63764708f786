"""What goes wrong on the way to a model: which fault a request meets, by its content and attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from promptmigrate.simulate._chance import digest, unit

Fault: TypeAlias = Literal["rate_limited", "server_error", "hang", "malformed", "dropped"]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Rates in [0, 1] of each fault, together at most 1; the same request meets the same in every run."""

    rate_limited: float = 0.0
    """429 with Retry-After."""
    server_error: float = 0.0
    """500, 502 or 503."""
    hang: float = 0.0
    """No answer for :attr:`hang_s` seconds."""
    malformed: float = 0.0
    """200 with a body that is not a chat completion."""
    dropped: float = 0.0
    """The connection is closed without an answer."""
    retry_after_s: float = 1.0
    hang_s: float = 600.0
    attempts: int | None = None
    """Only the first so many attempts of a request can meet a fault; None: all."""
    seed: int = 0

    def __post_init__(self) -> None:
        rates = (self.rate_limited, self.server_error, self.hang, self.malformed, self.dropped)
        if any(not 0.0 <= rate <= 1.0 for rate in rates) or sum(rates) > 1.0 + 1e-9:
            raise ValueError("fault rates must be between 0 and 1 and sum up to at most 1")

    @property
    def any(self) -> bool:
        """Whether there are faults at all."""
        return bool(self.rate_limited or self.server_error or self.hang or self.malformed or self.dropped)

    def draw(self, content: str, attempt: int) -> tuple[Fault | None, float]:
        """The fault that the ``attempt``-th (from 0) sending of ``content`` meets, and a number in [0, 1)
        for its details.
        """
        if self.attempts is not None and attempt >= self.attempts:
            return None, 0.0
        seed = digest(content, str(attempt), str(self.seed))
        luck = unit(seed, "fault")
        kinds: tuple[Fault, ...] = ("rate_limited", "server_error", "hang", "malformed", "dropped")
        for kind in kinds:
            luck -= getattr(self, kind)
            if luck < 0.0:
                return kind, unit(seed, "detail")
        return None, 0.0
