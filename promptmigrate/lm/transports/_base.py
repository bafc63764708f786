"""What a transport takes, gives and raises. A transport makes one attempt; the door owns retries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from promptmigrate.types import OutcomeKind

Fault: TypeAlias = Literal[
    "rate_limited",  # 429
    "server",  # 408, 409, 425, 5xx, 529
    "reset",  # the connection broke after the request was sent
    "unreachable",  # no connection was made: nothing was sent
    "bad_body",  # 200, but not a chat completion
    "silent",  # the time was up before a byte came
    "slow",  # the time was up in the middle of the answer
    "bad_request",  # 400, 413, 422 and other refusals of this one request
    "context_length",  # the request is longer than the model can read
    "auth",  # 401, 403
    "not_found",  # 404: the model or the address
    "billing",  # 402, or no credit left
    "moved",  # a redirect, which is never followed
]
RETRIED: frozenset[Fault] = frozenset({"rate_limited", "server", "reset", "unreachable", "bad_body", "slow"})
"""Faults that another attempt may cure. A silent upstream is not asked again: it may still be working."""
CONFIGURATION: frozenset[Fault] = frozenset({"auth", "not_found", "billing", "moved"})
"""Faults that every further call would meet too; the person who runs it has to act."""
_KINDS: Mapping[Fault, OutcomeKind] = {
    "rate_limited": "rate_limited",
    "silent": "timeout",
    "slow": "timeout",
    "bad_body": "parse_error",
}
_MAYBE_BILLED: frozenset[Fault] = frozenset({"reset", "bad_body", "silent", "slow"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One attempt: the model as its endpoint names it, and what to send, untouched."""

    model: str
    messages: Sequence[Mapping[str, str]]
    params: Mapping[str, Any]
    timeout_s: float
    """Seconds from sending to the last byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireReply:
    """One answer as it came from the wire."""

    kind: Literal["ok", "truncated", "filtered"]
    text: str
    model: str
    finish_reason: str | None
    input_tokens: int
    output_tokens: int
    latency_s: float
    """Seconds from sending to the last byte."""
    cost_usd: float | None = None
    """What the provider says it charged; None if it does not say."""
    status: int | None = 200


class Usage(NamedTuple):
    """What a provider says that a request has taken."""

    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None if it does not say."""


class WireError(Exception):
    """One attempt that ended without an answer. The message is one sentence and holds no secret.

    ``usage`` is what the provider says that it charges for all the same, if it does.
    """

    def __init__(
        self,
        fault: Fault,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.fault, self.status, self.retry_after_s, self.usage = fault, status, retry_after_s, usage
        super().__init__(message)

    @property
    def kind(self) -> OutcomeKind:
        """The outcome kind of a call that ends with this."""
        return _KINDS.get(self.fault, "provider_error")

    @property
    def sent(self) -> bool:
        """Whether a request left this machine."""
        return self.fault != "unreachable"

    @property
    def maybe_billed(self) -> bool:
        """Whether the provider may charge for it although no answer came."""
        return self.fault in _MAYBE_BILLED


@runtime_checkable
class Transport(Protocol):
    """A way to models. Used from one event loop only."""

    async def send(self, request: WireRequest, /) -> WireReply:
        """Make one attempt.

        Raises:
            WireError: it ended without an answer.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...
