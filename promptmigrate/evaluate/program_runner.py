"""Running programs on many rows: through the Door in threads, or without any model to see what they ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import ConfigError
from promptmigrate.evaluate.program import Program
from promptmigrate.evaluate.program_row import Inputs, Ran, Row
from promptmigrate.types import Example, Prompt, Reply, Variant

if TYPE_CHECKING:
    from promptmigrate.lm import Door

_STUBBED = 200
"""Questions on one row that are answered without a model: made-up answers may never suit a program."""


def as_variant(
    prompts: Mapping[str, Prompt], *, model: str, params: Mapping[str, Any], origin: str
) -> Variant:
    """The Variant of a program with these prompts."""
    first = next(iter(prompts))
    return Variant(
        prompt=prompts[first], model=model, params=params, components=prompts, component=first, origin=origin
    )


def rehearse(program: Program, variant: Variant, rows: Sequence[Example]) -> int:
    """Run the program on ``rows`` with made-up answers and without any model; the most calls on one row.

    Every question is answered with what the whole row is known to be answered with. That is seldom what a
    component would say, so what the program raises then means nothing, nor that it asks on without an end;
    but which prompts it asks for, and with which variables, shows.

    Raises:
        ConfigError: it asks for a prompt that is not given, or without one of its variables.
    """
    most = 0
    for name in sorted(program.named - set(variant.components)):
        known = ", ".join(variant.components)
        raise ConfigError(
            f"prompts: {program.name} asks for {name!r}, which is not given; given are {known}", key="prompts"
        )
    for row in rows:
        one = Row(variant, None, stub=row.reference or str(row.expected or ""), may_ask=_stubbed)
        one.play(program, row.inputs)
        if one.fatal is not None:
            raise one.fatal
        most = max(most, 0 if one.cut else len(one.steps))
    return most


def _stubbed(row: Row) -> bool:
    return row.asked < _STUBBED


class ProgramRunner:
    """Runs a program on rows through a Door, each row in a thread of its own; remembers what it asked.

    Args:
        door: The way to the models.
        program: What to run. Rows run at the same time, so it must not keep anything of a row in itself.
        threads: Rows in work at a time.
    """

    def __init__(self, door: Door, program: Program, *, threads: int = 64) -> None:
        self._door, self.program = door, program
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="promptmigrate-program")
        self._room = threads
        self._ran: dict[tuple[str, str], Ran] = {}
        self._left: int | None = None
        self._counting = Lock()

    async def answer(self, variant: Variant, example: Example, repeat: int) -> Reply:
        """What the program answers with the prompts of ``variant``, on the Door's loop.

        Raises:
            BudgetExceeded: a call did not fit, whatever the program made of it.
            ConfigError: the program asked for a prompt or without a variable, or more often than
                :meth:`at_most` lets it.
            EndpointError: a model cannot be reached.
        """
        row = Row(variant, self._door, repeat=repeat, may_ask=self._may_ask)
        await self._play(row, example)
        if row.cut:
            raise ConfigError(
                f"program: {self.program.name} asked {row.asked} times on one row (id {example.id}) and "
                "wanted to ask on, with more calls than the first look may take; let it give up after a few "
                "answers that do not suit it, or raise the budget if rows really take so many calls",
                key="program",
            )
        reply = row.reply()
        if repeat == 0 and reply.answered:
            self._ran[variant.digest, example.id] = Ran(
                steps=row.steps, text=reply.text or "", error=reply.error
            )
        return reply

    @contextmanager
    def at_most(self, calls: int) -> Iterator[None]:
        """Within it, rows ask ``calls`` times in all: a program that loops is found out before it has spent
        what the search needs."""
        self._left = calls
        try:
            yield
        finally:
            self._left = None

    def _may_ask(self, _row: Row) -> bool:
        with self._counting:
            if self._left is None:
                return True
            self._left -= 1
            return self._left >= 0

    async def _play(self, row: Row, example: Example) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(
                self._pool, copy_context().run, row.play, self.program, dict(example.inputs)
            )
        except asyncio.CancelledError:
            row.stop()
            raise
        if row.fatal is not None:
            raise row.fatal

    def ran(self, variant: Variant, example: Example) -> Ran | None:
        """How the program went on ``example`` (the first repeat); None: not run, or a call failed."""
        return self._ran.get((variant.digest, example.id))

    @property
    def runs(self) -> tuple[tuple[str, Ran], ...]:
        """All that was run so far and answered, with the digests of the Variants."""
        return tuple((variant, ran) for (variant, _), ran in self._ran.items())

    def variables(self, variant: Variant, examples: Sequence[Example], component: str) -> dict[str, Inputs]:
        """Example id -> what ``component`` is first asked with; rows where it is not asked are left out, and
        those where a call before it failed.

        Only the calls before it are made.

        Raises:
            BudgetExceeded: a call did not fit.
        """
        room = asyncio.Semaphore(self._room)

        async def reach(example: Example) -> Inputs | None:
            if (ran := self.ran(variant, example)) is not None:
                step = ran.first(component)
                return None if step is None else step.variables
            row = Row(variant, self._door, stop=component)
            async with room:
                await self._play(row, example)
            return row.reached

        async def reach_all() -> list[Inputs | None]:
            work: list[Awaitable[Inputs | None]] = [reach(example) for example in examples]
            # All are let finish before the first error is raised: what is under way is paid.
            done = await asyncio.gather(*work, return_exceptions=True)
            for outcome in done:
                if isinstance(outcome, BaseException):
                    raise outcome
            return [outcome for outcome in done if not isinstance(outcome, BaseException)]

        found = self._door.run(reach_all())
        return {e.id: inputs for e, inputs in zip(examples, found, strict=True) if inputs is not None}

    def close(self) -> None:
        """Start no further row."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> ProgramRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
