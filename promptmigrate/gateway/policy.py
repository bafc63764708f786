"""One call through a route: attempts, waits, fallbacks, and when to stop.

The rules, in the order in which they win: the total deadline; never ask a silent upstream again (it may
still be working, and billing); retry only what another attempt may cure, within the retry budget and the
breaker; fall over to another *variant*, with the prompt that was made for its model, only for the classes of
error that the route lists. A refusal, a bad key or a malformed request is never routed around by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from promptmigrate.errors import CallFailed, EndpointError, TemplateError
from promptmigrate.gateway._explain import nearest
from promptmigrate.gateway.live import Live, Target

if TYPE_CHECKING:
    from promptmigrate.gateway.clock import Clock
    from promptmigrate.lm.transports import WireReply

FallbackClass: TypeAlias = Literal["default", "context_length", "content_filter", "auth"]
_CLASSES: Mapping[str, FallbackClass] = {
    "rate_limited": "default",
    "server": "default",
    "reset": "default",
    "unreachable": "default",
    "bad_body": "default",
    "silent": "default",
    "slow": "default",
    "open": "default",
    "context_length": "context_length",
    "filtered": "content_filter",
    # Configuration: a person has to act, so it is not hidden behind an answer unless the route says so.
    "auth": "auth",
    "billing": "auth",
    "not_found": "auth",
    "moved": "auth",
}
_OUTAGES = frozenset(fault for fault, group in _CLASSES.items() if group == "default") - {"open"}
_LEAST_S = 0.001
"""With less time than this left, no request is sent."""


@dataclass(slots=True)
class Attempt:
    """One request that was sent, for the trace."""

    variant: str
    fault: str | None
    status: int | None
    seconds: float
    message: str = ""


@dataclass(slots=True, kw_only=True)
class Journey:
    """What one call went through; complete whether it was answered or not."""

    assigned: str
    killed: bool = False
    """Whether only control may serve."""
    messages: Sequence[Mapping[str, str]] = ()
    """As sent to the last variant that was asked."""
    served: Target | None = None
    reply: WireReply | None = None
    attempts: list[Attempt] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    input_usd: float = 0.0
    output_usd: float = 0.0
    price_known: bool = True

    @property
    def cost_usd(self) -> float | None:
        """USD of all attempts whose usage is known; None if a price is not known."""
        return self.input_usd + self.output_usd if self.price_known else None

    def add(self, target: Target, reply: WireReply) -> None:
        """Count the usage of an answer."""
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens
        cost = target.cost(reply.input_tokens, reply.output_tokens)
        if reply.cost_usd is not None:  # what the provider says it charged goes before the list
            known = sum(cost) if cost else 0.0
            share = cost[0] / known if cost and known else 0.5
            cost = reply.cost_usd * share, reply.cost_usd * (1 - share)
        if cost is None:
            self.price_known = False
        else:
            self.input_usd += cost[0]
            self.output_usd += cost[1]


class _Failed(Exception):  # noqa: N818 - never seen by callers
    """A variant that could not answer."""

    def __init__(
        self, fault: str, message: str, kind: str, status: int | None, cause: Exception | None
    ) -> None:
        self.fault, self.message, self.kind, self.status, self.cause = fault, message, kind, status, cause
        super().__init__(message)


def check_variables(live: Live, variables: Mapping[str, Any]) -> None:
    """Raise :class:`TemplateError` unless ``variables`` are exactly those of the route's prompts.

    None is no value, as in the rows that the prompt was measured on.
    """
    expected = live.route.variables
    if len(variables) == len(expected) and all(variables.get(name) is not None for name in expected):
        return
    missing = [name for name in expected if name not in variables]
    extra = [name for name in variables if name not in expected]
    if missing:
        given = f"given: {', '.join(map(repr, variables))}" if variables else "none given"
        raise TemplateError(
            f"route '{live.route.route}' needs the variable{'s' if len(missing) > 1 else ''} "
            f"{', '.join(map(repr, missing))}; {given}"
        )
    if extra:
        raise TemplateError(
            f"route '{live.route.route}' has no variable {extra[0]!r}; "
            f"{nearest(extra[0], expected, 'variables')}"
        )
    empty = next(name for name in expected if variables[name] is None)
    raise TemplateError(f"route '{live.route.route}': the variable {empty!r} is None; give a value")


async def travel(
    live: Live, journey: Journey, variables: Mapping[str, Any], deadline: float, clock: Clock
) -> None:
    """Get an answer for ``journey.assigned``, from it or a fallback, before ``deadline`` (clock seconds).

    Raises:
        CallFailed: there is none; ``journey`` holds what was tried.
        TemplateError: a value cannot be written into the prompt; nothing was sent.
    """
    live.budget.call()
    target = live.targets[journey.assigned]
    tried: list[str] = []
    story: list[str] = []
    while True:
        tried.append(target.name)
        try:
            journey.reply = await _ask(live, target, journey, variables, deadline, clock)
        except _Failed as failure:
            story.append(f"variant '{target.name}': {failure.message}")
            following = _next(live, journey, target, failure.fault, tried)
            if following is None or deadline - clock.monotonic() < _LEAST_S:
                sent = len(journey.attempts)
                raise CallFailed(
                    f"route '{live.route.route}' got no answer after {sent} request{'s' * (sent != 1)}: "
                    + "; then ".join(story),
                    kind=failure.kind,
                    status=failure.status,
                    attempts=sent,
                ) from failure.cause
            target = following
        else:
            journey.served = target
            return


def _next(live: Live, journey: Journey, failed: Target, fault: str, tried: Sequence[str]) -> Target | None:
    """The variant to ask after ``failed``, if the route names one for this class of error."""
    group = _CLASSES.get(fault)
    if group is None:
        return None
    for name in getattr(live.route.fallbacks, group):
        if name in tried or (journey.killed and name != live.route.control):
            continue
        target = live.targets[name]
        if group == "context_length":
            room, needed = target.variant.context_window, failed.variant.context_window
            if room is None or needed is None or room <= needed:
                continue
        return target
    return None


async def _ask(
    live: Live, target: Target, journey: Journey, variables: Mapping[str, Any], deadline: float, clock: Clock
) -> WireReply:
    """Ask one variant, again where that may help."""
    from promptmigrate.lm.transports import RETRIED

    route = live.route
    try:
        journey.messages = target.variant.prompt.prompt.render(variables)
    except (TypeError, ValueError) as error:
        raise TemplateError(f"a variable for route '{route.route}' is not a text or JSON: {error}") from error
    number = 0
    while True:
        number += 1
        fault, wait_s = await _attempt(live, target, journey, deadline, clock)
        if fault is None:
            assert journey.reply is not None
            return journey.reply
        if fault.fault not in RETRIED or number >= route.retry.max_attempts:
            raise fault
        pause = (
            min(route.retry.backoff.max_s, route.retry.backoff.base_s * 2 ** (number - 1)) * live.rng.random()
        )
        if wait_s is not None:
            if wait_s > route.retry.retry_after_max_s:
                raise fault
            pause = max(pause, wait_s)
        now = clock.monotonic()
        if now + pause + _LEAST_S >= deadline or target.breaker.is_open or not live.budget.take(now):
            raise fault
        await clock.sleep(pause)


async def _attempt(
    live: Live, target: Target, journey: Journey, deadline: float, clock: Clock
) -> tuple[_Failed | None, float | None]:
    """Send one request: its failure and Retry-After (s), or (None, None) with ``journey.reply`` set."""
    from promptmigrate.lm.transports import WireError, WireRequest

    started = clock.monotonic()
    left = deadline - started
    if left < _LEAST_S:
        return _Failed(
            "deadline", f"the total of {live.route.timeouts.total_s:g} s is used up", "timeout", None, None
        ), None
    breaker = target.breaker
    if not breaker.allows(started):
        return _Failed(
            "open", "left alone after repeated failures (breaker open)", "provider_error", None, None
        ), None
    attempt = Attempt(target.name, "cancelled", None, 0.0)
    journey.attempts.append(attempt)
    request = WireRequest(
        model=target.wire_model,
        messages=journey.messages,
        params=target.variant.params,
        timeout_s=min(live.route.timeouts.attempt_s, left),
    )
    try:
        transport = await live.transport(target)
        reply = await transport.send(request)
    except WireError as error:
        attempt.fault, attempt.status, attempt.message = error.fault, error.status, str(error)
        if error.fault in _OUTAGES:
            breaker.failed(clock.monotonic())
        else:
            breaker.succeeded()
        return _Failed(error.fault, str(error), error.kind, error.status, error), error.retry_after_s
    except EndpointError as error:
        breaker.unknown()
        journey.attempts.pop()
        return _Failed("auth", str(error), "provider_error", None, error), None
    except BaseException:
        breaker.unknown()
        raise
    finally:
        attempt.seconds = clock.monotonic() - started
    breaker.succeeded()
    attempt.fault, attempt.status = None, reply.status
    journey.add(target, reply)
    if reply.kind == "filtered":
        attempt.fault = "filtered"
        return _Failed(
            "filtered", "the provider's content filter refused it", "filtered", reply.status, None
        ), None
    journey.reply = reply
    return None, None
