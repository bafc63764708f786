"""How a call is served: for whom, how long it may take, and what happens when it fails."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from promptmigrate.gateway.sections.base import Count, NotNegative, Number, Seconds, Section


class Unit(Section):
    """What is sticky: the first of ``from`` that a call names decides its variant."""

    from_: list[Literal["user", "session"]] = Field(default=["user", "session"], alias="from", min_length=1)
    missing: Literal["control", "random", "error"] = Field(
        "control", description="What a call without user and session gets."
    )
    salt: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Default: the name of the route. Another salt draws the units anew."
    )


class Timeouts(Section):
    """Seconds. ``total_s`` wins over everything: retries, waits and fallbacks included."""

    connect_s: Seconds = 2
    first_token_s: Seconds = 10
    idle_s: Seconds = 15
    attempt_s: Seconds = 30
    total_s: Seconds = 60


class Backoff(Section):
    """Before try k the gateway waits a random time up to min(max_s, base_s * 2^(k-1)): full jitter."""

    base_s: Number = 0.5
    max_s: Number = 8


class Retry(Section):
    """Asking the same variant again."""

    max_attempts: Annotated[int, Field(strict=True, ge=1, le=10)] = 3
    backoff: Backoff = Backoff()
    retry_after_max_s: Number = Field(20, description="A longer Retry-After falls over instead of waiting.")
    budget: Annotated[float, Field(strict=True, ge=0, le=1)] = Field(
        0.1, description="Retries as a share of calls, one per second on top."
    )


class Breaker(Section):
    """After ``failures`` in a row within ``window_s`` a variant is left alone for ``open_s``, then probed."""

    failures: Count = 5
    window_s: Seconds = 30
    open_s: Seconds = 15


class Concurrency(Section):
    """Calls at once, calls that may wait for a place, and how long they wait."""

    max: Count = 64
    queue: NotNegative = 128
    queue_timeout_s: Seconds = 2


class Fallbacks(Section):
    """Variants to ask instead, in order, by class of error."""

    default: list[str] = Field(default_factory=list, description="Outages: unreachable, 429, 5xx, silence.")
    context_length: list[str] = Field(default_factory=list)
    content_filter: list[str] = Field(default_factory=list, description="Refusals, by default not evaded.")
    auth: list[str] = Field(default_factory=list, description="Bad keys, by default not hidden.")
