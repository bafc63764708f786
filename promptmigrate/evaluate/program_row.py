"""One run of a program on one row: what it asks, and its answer as one Reply."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from promptmigrate.errors import CallFailed, ConfigError, PromptMigrateError, TemplateError
from promptmigrate.evaluate.program import Program
from promptmigrate.redact import told
from promptmigrate.types import OutcomeKind, Reply, Request, Variant

if TYPE_CHECKING:
    from promptmigrate.lm import Door

Inputs: TypeAlias = Mapping[str, Any]
_AGAIN = 1000
"""Added to the repeat index for each further asking of the same question within a row: a program that votes
gets a new answer each time, as in production. More than any configured number of repeats."""
_ERROR_CHARS = 300


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call that a program made."""

    component: str
    variables: Inputs
    reply: Reply


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A program on one row, all of whose calls were answered."""

    steps: tuple[Step, ...]
    """In the order in which they were asked."""
    text: str
    error: str | None = None
    """The exception that the program raised; its text is empty then."""

    def first(self, component: str) -> Step | None:
        """The first call with the prompt of that name."""
        return next((step for step in self.steps if step.component == component), None)


class _Reached(BaseException):
    """Ends a program where a component is asked, or asks too often; not an Exception, so that programs let it
    pass."""


class Row:
    """One run of a program on a row; ``ask`` and ``ask_async`` are what the program gets."""

    def __init__(
        self,
        variant: Variant,
        door: Door | None,
        *,
        repeat: int = 0,
        stop: str = "",
        stub: str = "",
        may_ask: Callable[[Row], bool] | None = None,
    ) -> None:
        self._variant, self._door, self._repeat, self._stop, self._stub = variant, door, repeat, stop, stub
        self._may_ask = may_ask
        self._lock = threading.Lock()
        self._asked: list[tuple[str, Inputs, Request]] = []
        self._replies: dict[int, Reply] = {}
        self.reached: Inputs | None = None
        self.fatal: Exception | None = None
        self.raised: str | None = None
        self.text = ""
        self.cut = False
        """Whether it wanted to ask more often than it may."""

    @property
    def asked(self) -> int:
        """How often it has asked so far."""
        return len(self._asked)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The calls that came back."""
        return tuple(
            Step(component=name, variables=variables, reply=self._replies[index])
            for index, (name, variables, _) in enumerate(self._asked)
            if index in self._replies
        )

    def play(self, program: Program, inputs: Inputs) -> None:
        """Run the program to its end, or to where it has to stop."""
        given = {name: inputs[name] for name in program.inputs}
        try:
            if program.asynchronous:
                self.text = _text(asyncio.run(program.call(self.ask_async, **given)))
            else:
                self.text = _text(program.call(self.ask, **given))
        except _Reached:
            pass
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's code raises is its answer
            # Redacted before it is cut: half a key would not be known as one.
            self.raised = told(error)[:_ERROR_CHARS]

    def stop(self) -> None:
        """Let the program ask nothing any more."""
        self.fatal = self.fatal or PromptMigrateError("the run was stopped")

    def ask(self, name: str, /, **variables: Any) -> str:
        """The model's answer to the prompt of that name.

        Raises:
            CallFailed: the model gave no answer.
            PromptMigrateError: the run has to end.
        """
        index, request = self._request(name, variables)
        if self._door is None:
            return self._settle(index, Reply(kind="ok", text=self._stub, attempts=0))
        try:
            reply = self._door.complete(request)
        except Exception as error:  # ours, not the program's: it ends the run
            self.fatal = self.fatal or error
            raise
        return self._settle(index, reply)

    async def ask_async(self, name: str, /, **variables: Any) -> str:
        """:meth:`ask` for asynchronous programs."""
        index, request = self._request(name, variables)
        if self._door is None:
            return self._settle(index, Reply(kind="ok", text=self._stub, attempts=0))
        try:
            reply = await self._door.acomplete(request)
        except Exception as error:  # ours, not the program's: it ends the run
            self.fatal = self.fatal or error
            raise
        return self._settle(index, reply)

    def _request(self, name: str, variables: Inputs) -> tuple[int, Request]:
        # A program may catch what went wrong and ask on: the row is lost already, or the run has to end.
        if self.fatal is not None:
            raise self.fatal
        if self.reached is not None or self.cut:
            raise _Reached
        failed = next((step for step in self.steps if not step.reply.answered), None)
        if failed is not None:
            raise _failure(failed)
        prompt = self._variant.components.get(name)
        if prompt is None:
            known = ", ".join(self._variant.components)
            self.fatal = ConfigError(
                f"prompts: the program asks for {name!r}, which is not given; given are {known}",
                key="prompts",
            )
            raise self.fatal
        if name == self._stop:
            self.reached = dict(variables)
            raise _Reached
        try:
            messages = prompt.render(variables)
        except (TemplateError, TypeError, ValueError) as error:
            self.fatal = ConfigError(f"prompts.{name}: {error}", key=f"prompts.{name}")
            raise self.fatal from error
        if self._may_ask is not None and not self._may_ask(self):
            # Not an Exception: a program that asks until an answer suits it would catch it and ask on.
            self.cut = True
            raise _Reached
        with self._lock:  # a program may have threads of its own
            before = sum(request.messages == messages for _, _, request in self._asked)
            request = Request(
                model=self._variant.model,
                messages=messages,
                params=self._variant.params,
                repeat=self._repeat + _AGAIN * before,
            )
            self._asked.append((name, dict(variables), request))
            return len(self._asked) - 1, request

    def _settle(self, index: int, reply: Reply) -> str:
        self._replies[index] = reply
        if not reply.answered:
            name, variables, _ = self._asked[index]
            raise _failure(Step(component=name, variables=variables, reply=reply))
        return reply.text or ""

    def reply(self) -> Reply:
        """The row's answer as one Reply: costs, tokens and latencies of all calls added up.

        A failed call makes it a failed one. Where the program itself raised, production's user would have
        got nothing: the answer is an empty text, and ``error`` says so.
        """
        replies = [step.reply for step in self.steps]
        failed = next((step for step in self.steps if not step.reply.answered), None)
        costs = [reply.cost_usd for reply in replies]
        known = [cost for cost in costs if cost is not None]
        cached = all(reply.cached for reply in replies)
        kind: OutcomeKind = "truncated" if any(reply.kind == "truncated" for reply in replies) else "ok"
        error = None if self.raised is None else f"the program raised {self.raised}"
        if failed is not None:
            kind, error = failed.reply.kind, str(_failure(failed))
        return Reply(
            kind=kind,
            text=None if failed else "" if error else self.text,
            model=replies[-1].model if replies else self._variant.model,
            finish_reason=replies[-1].finish_reason if replies else None,
            input_tokens=sum(reply.input_tokens for reply in replies),
            output_tokens=sum(reply.output_tokens for reply in replies),
            cost_usd=sum(known) if len(known) == len(costs) else None,
            latency_s=sum(reply.latency_s for reply in replies),
            cached=cached,
            # As of one call: what was sent beyond one request for each answer is retries.
            attempts=0 if cached else 1 + sum(max(0, reply.attempts - 1) for reply in replies),
            status=failed.reply.status if failed else None,
            error=error,
        )


def _failure(step: Step) -> CallFailed:
    reply = step.reply
    return CallFailed(
        f"{step.component}: {reply.error or reply.kind}",
        kind=reply.kind,
        status=reply.status,
        attempts=reply.attempts,
    )


def _text(result: Any) -> str:
    """The text in what a program gave: itself, its ``text``, or its one field (a ``dspy.Prediction``'s)."""
    if isinstance(result, str):
        return result
    text = getattr(result, "text", None)
    if isinstance(text, str):
        return text
    items = getattr(result, "items", None)
    values = [value for _, value in items()] if callable(items) else []
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    raise TypeError(f"the program gave a {type(result).__name__}, not a text or an object with one text")
