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
from promptmigrate.lm.lm15 import messages_of, params_of, response_of
from promptmigrate.template import sendable
from promptmigrate.types import Purpose, Reply, Request

if TYPE_CHECKING:
    import dspy

    from promptmigrate.lm.door import Door

_ROLLOUT_STRIDE = 1000
"""Askings that one rollout may make for one call (``n``)."""


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
            messages=messages_of(request),
            params={**self._params, **params_of(request.config, self._params)},
            purpose=self._purpose,
            repeat=slot.take() if slot is not None else 0,
        )

    def _response(self, reply: Reply) -> Any:
        if reply.kind == "truncated" and self._on_cut is not None:
            self._on_cut()
        return response_of(reply, self.model)

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
                return super().__call__(*_sendable(args), **_sendable(kwargs))
            finally:
                _rollout.reset(token)

        async def acall(self, *args: Any, **kwargs: Any) -> Any:
            token = _rollout.set(_Rollout(kwargs.get("rollout_id", self.kwargs.get("rollout_id"))))
            try:
                return await super().acall(*_sendable(args), **_sendable(kwargs))
            finally:
                _rollout.reset(token)

    return DoorLM


def _sendable(value: Any) -> Any:
    """``value`` with its texts as DSPy takes them: it breaks off on what is not valid Unicode.

    What needs no change is given back as itself: by that DSPy knows the messages of its own adapters.
    """
    if isinstance(value, str):
        return sendable(value)
    made: Any = value
    if isinstance(value, list | tuple):
        made = type(value)([_sendable(each) for each in value])
    elif isinstance(value, dict):
        made = {key: _sendable(each) for key, each in value.items()}
    return value if made == value else made


def _not_of_cut_answers(record: logging.LogRecord) -> bool:
    """Drops DSPy's warning of an answer that was cut, where the LM that asked is one on a Door."""
    return _rollout.get() is None or not record.getMessage().startswith("LM response was truncated")


def _passing(kind: type[PromptMigrateError]) -> type[Exception]:
    """``kind`` as a class that DSPy also knows as its own, since it wraps all others in "unexpected"."""
    from dspy.utils.exceptions import LMError

    return type(kind.__name__, (kind, LMError), {"__module__": kind.__module__, "__doc__": kind.__doc__})
