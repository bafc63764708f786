"""A snapshot of what was spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promptmigrate.types import Purpose


@dataclass(frozen=True, kw_only=True)
class Spend:
    """What was spent so far, over all processes of the run."""

    calls: Mapping[Purpose, int]
    """Requests really sent (retries too; also those whose process died before the answer came)."""
    cached: int
    """Answers of this Door that cost nothing: from the cache, a recording, or an identical call under way."""
    usd: float
    """Cost of the answers, as far as prices are known."""
    usd_by_purpose: Mapping[Purpose, float]
    usd_held: float
    """Worst case of requests under way, or broken off where the provider may have charged; counts against
    the budget."""
    usd_unknown_calls: int
    """Requests whose price is not known; they are not in ``usd``."""
    tokens: int
    """Input and output tokens of the answers."""
    seconds: float
    """Wall time during which at least one process was at work."""
