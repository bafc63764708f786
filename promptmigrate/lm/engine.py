"""DSPy's way through the Door: a custom engine, so that every DSPy call is cached, counted and limited by us.

DSPy's own cache and retries are off and its usage tracking is not relied on. What DSPy asks for several
times (``n``, ``rollout_id``) becomes the ``repeat`` of our requests, so that the call cache tells them apart.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import PromptMigrateError
from promptmigrate.types import Purpose, Reply, Request

if TYPE_CHECKING:
    import dspy

    from promptmigrate.lm.door import Door

_ROLLOUT_STRIDE = 1000
"""Askings that one rollout may make for one call (``n``)."""
_SAME_NAME = (
    "temperature",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "service_tier",
    "store",
)


class _Rollout:
    """Which asking of the same question this is."""

    def __init__(self, rollout: object) -> None:
        self._next = rollout * _ROLLOUT_STRIDE if isinstance(rollout, int) else 0

    def take(self) -> int:
        self._next += 1
        return self._next - 1


_rollout: ContextVar[_Rollout | None] = ContextVar("promptmigrate_rollout", default=None)


def dspy_lm(
    door: Door,
    model: str,
    *,
    purpose: Purpose,
    params: Mapping[str, Any] | None = None,
    on_cut: Callable[[], None] | None = None,
) -> dspy.LM:
    """A ``dspy.LM`` that asks ``model`` through ``door``.

    ``params`` go out as they are, under whatever DSPy sets for a call (temperature, response format, ...). A
    call that fails raises the fitting DSPy error. What must stop a run (BudgetExceeded, EndpointError,
    StorageError) is raised as itself, and kept in ``lm.engine.failure``, since DSPy's optimizers swallow
    exceptions. ``on_cut`` is called, on whatever thread asks, for each answer that was cut at its greatest
    length; DSPy's own warning of that, which names settings that are not the user's, is left out.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or DSPy fetches a price map
    made: dspy.LM = _door_lm()(DoorEngine(door, model, purpose, dict(params or {}), on_cut))
    return made


class DoorEngine:
    """One DSPy attempt is one call of the Door. Borrowed by LMs and their copies; closing it does nothing."""

    def __init__(
        self,
        door: Door,
        model: str,
        purpose: Purpose,
        params: Mapping[str, Any],
        on_cut: Callable[[], None] | None = None,
    ) -> None:
        self._door, self.model, self._purpose, self._params = door, model, purpose, params
        self._on_cut = on_cut
        self.failure: PromptMigrateError | None = None
        """The first error that must stop the run."""

    def __deepcopy__(self, memo: object) -> DoorEngine:
        return self  # optimizers copy programs with their LMs; the Door is one

    def complete(self, request: Any) -> Any:
        """Answer a ``dspy.lm15.Request`` with a ``dspy.lm15.Response``."""
        asked = self._request(request)
        try:
            reply = self._door.complete(asked)
        except PromptMigrateError as error:
            raise self._stop(error) from error
        return self._response(reply)

    def stream(self, request: Any) -> Iterator[Any]:
        """The events of :meth:`complete`, once it is done."""
        from dspy.lm15 import response_to_events

        yield from response_to_events(self.complete(request))

    def close(self) -> None:
        """Nothing: whoever opened the Door closes it."""

    def _request(self, request: Any) -> Request:
        slot = _rollout.get()
        return Request(
            model=self.model,
            messages=_messages(request),
            params={**self._params, **_params(request.config, self._params)},
            purpose=self._purpose,
            repeat=slot.take() if slot is not None else 0,
        )

    def _response(self, reply: Reply) -> Any:
        if reply.kind == "truncated" and self._on_cut is not None:
            self._on_cut()
        return _response(reply, self.model)

    def _stop(self, error: PromptMigrateError) -> Exception:
        if self.failure is None:
            self.failure = error
        return _passing(type(error))(str(error))


class AsyncDoorEngine:
    """:class:`DoorEngine` for coroutines."""

    def __init__(self, engine: DoorEngine) -> None:
        self._engine = engine

    def __deepcopy__(self, memo: object) -> AsyncDoorEngine:
        return self

    async def complete(self, request: Any) -> Any:
        """Answer a ``dspy.lm15.Request`` with a ``dspy.lm15.Response``."""
        engine = self._engine
        asked = engine._request(request)
        try:
            reply = await engine._door.acomplete(asked)
        except PromptMigrateError as error:
            raise engine._stop(error) from error
        return engine._response(reply)

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        """The events of :meth:`complete`, once it is done."""
        from dspy.lm15 import response_to_events

        for event in response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """Nothing: whoever opened the Door closes it."""


@cache
def _door_lm() -> Any:
    """The LM class, made when DSPy is first needed."""
    import dspy

    logging.getLogger("dspy.clients.lm").addFilter(_not_of_cut_answers)

    class DoorLM(dspy.LM):  # type: ignore[misc]  # DSPy is not typed
        """A ``dspy.LM`` on a Door. Tells the engine which asking of the same question a call is."""

        def __init__(self, engine: DoorEngine) -> None:
            super().__init__(
                engine.model, engine=engine, async_engine=AsyncDoorEngine(engine), cache=False, num_retries=0
            )

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            token = _rollout.set(_Rollout(kwargs.get("rollout_id", self.kwargs.get("rollout_id"))))
            try:
                return super().__call__(*args, **kwargs)
            finally:
                _rollout.reset(token)

        async def acall(self, *args: Any, **kwargs: Any) -> Any:
            token = _rollout.set(_Rollout(kwargs.get("rollout_id", self.kwargs.get("rollout_id"))))
            try:
                return await super().acall(*args, **kwargs)
            finally:
                _rollout.reset(token)

    return DoorLM


def _not_of_cut_answers(record: logging.LogRecord) -> bool:
    """Drops DSPy's warning of an answer that was cut, where the LM that asked is one on a Door."""
    return _rollout.get() is None or not record.getMessage().startswith("LM response was truncated")


def _passing(kind: type[PromptMigrateError]) -> type[Exception]:
    """``kind`` as a class that DSPy also knows as its own, since it wraps all others in "unexpected"."""
    from dspy.utils.exceptions import LMError

    return type(kind.__name__, (kind, LMError), {"__module__": kind.__module__, "__doc__": kind.__doc__})


# --- DSPy's request to ours ------------------------------------------------------------------------------


def _messages(request: Any) -> tuple[dict[str, str], ...]:
    messages = []
    if request.system:
        parts = request.system
        messages.append({"role": "system", "content": parts if isinstance(parts, str) else _text(parts)})
    for message in request.messages:
        # DSPy calls every later system message "developer", whatever it was.
        role = "system" if message.role == "developer" else message.role
        messages.append({"role": role, "content": _text(message.parts)})
    if request.tools:
        raise _unsupported("tools")
    return tuple(messages)


def _text(parts: Any) -> str:
    texts = []
    for part in parts:
        if part.type not in {"text", "thinking", "refusal"}:
            raise _unsupported(f"message parts of type '{part.type}'")
        if part.type != "thinking":
            texts.append(part.text)
    return "\n".join(texts)


def _params(config: Any, base: Mapping[str, Any]) -> dict[str, Any]:
    params = {name: value for name in _SAME_NAME if (value := getattr(config, name)) is not None}
    if config.max_tokens is not None:
        params["max_completion_tokens" if "max_completion_tokens" in base else "max_tokens"] = (
            config.max_tokens
        )
    if config.stop:
        params["stop"] = list(config.stop)
    if config.user_id is not None:
        params["user"] = config.user_id
    if config.reasoning is not None and config.reasoning.effort != "off":
        params["reasoning_effort"] = config.reasoning.effort
    if config.response_format is not None:
        params["response_format"] = _response_format(config.response_format)
    for name in ("top_k", "tool_choice", "cache", "logprobs", "probabilities"):
        if getattr(config, name, None) is not None:
            raise _unsupported(f"'{name}'")
    return {**params, **(config.extensions or {})}


def _response_format(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if wanted["type"] != "json_schema":
        return {"type": wanted["type"]}
    inner = {"name": "response", **{name: value for name, value in wanted.items() if name != "type"}}
    return {"type": "json_schema", "json_schema": inner}


def _unsupported(what: str) -> Exception:
    from dspy.lm15 import UnsupportedFeatureError

    error: Exception = UnsupportedFeatureError(f"{what} cannot pass the Door, which carries texts only")
    return error


# --- our reply to DSPy's response ------------------------------------------------------------------------


def _response(reply: Reply, model: str) -> Any:
    from dspy import lm15

    if not reply.answered:
        raise _error(reply)
    finish = {"truncated": "length", "filtered": "content_filter"}.get(reply.kind, "stop")
    return lm15.Response(
        id=None,
        model=reply.model or model,
        message=lm15.Message.assistant([lm15.TextPart(reply.text or "")]),
        finish_reason=finish,
        usage=lm15.Usage(
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            total_tokens=reply.input_tokens + reply.output_tokens,
        ),
    )


def _error(reply: Reply) -> Exception:
    from dspy import lm15

    message = reply.error or f"the call ended as {reply.kind}"
    kind: Any = lm15.ProviderError
    if reply.kind == "rate_limited":
        kind = lm15.RateLimitError
    elif reply.kind == "timeout":
        kind = lm15.TimeoutError
    elif reply.kind == "provider_error":
        if reply.status is None:
            kind = lm15.TransportError
        elif reply.status < 500:
            too_long = "longer than the model can read" in message
            kind = lm15.ContextLengthError if too_long else lm15.InvalidRequestError
        else:
            kind = lm15.ServerError
    error: Exception = kind(message, status=reply.status)
    return error
