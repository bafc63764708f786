"""Runs Variants on Examples through the door, with bounded concurrency.

What was answered once in a process is not asked again; what was answered in an earlier process comes from
the call cache. A failed call is an Outcome without scores, never a score.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from promptmigrate.errors import PromptMigrateError
from promptmigrate.evaluate.log import OutcomeLog
from promptmigrate.evaluate.recorded import recorded_reply
from promptmigrate.evaluate.results import Evaluation, Key
from promptmigrate.evaluate.scoring import Measure, sample_of, score
from promptmigrate.evaluate.trials import Tried, try_out
from promptmigrate.types import Example, Outcome, Reply, Request, Variant
from scorers import Judge, Sample, Score, most_questions

if TYPE_CHECKING:
    from promptmigrate.lm import Door

Job: TypeAlias = tuple[Variant, Example, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where an evaluation stands."""

    phase: str
    done: int
    total: int
    errors: int
    cached: int
    usd: float
    """Spent in the whole run so far, in USD, as far as prices are known."""


def calls_per_row(measures: Sequence[Measure]) -> int:
    """Task and judge calls that one Variant on one Example costs at most."""
    return 1 + sum(most_questions(measure.scorer) for measure in measures)


class Evaluator:
    """Evaluates Variants through one :class:`promptmigrate.lm.Door`.

    Args:
        door: The way to the models; its budget and cache apply.
        measures: The scorers; their names must differ.
        concurrency: Examples in work at a time; the door's own limits apply below it.
        turn: Where in the list of jobs to begin, as a share in [0, 1): several workers on the same jobs
            begin apart, so that each finds done what it comes to later.
        log: Where each Outcome is appended as it comes.
        on_progress: Called after each Outcome, on the door's thread; must be quick.
        program: Answers for the Variants of a program with several prompts.
    """

    def __init__(
        self,
        door: Door,
        measures: Sequence[Measure],
        *,
        concurrency: int = 64,
        turn: float = 0.0,
        log: OutcomeLog | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        program: Callable[[Variant, Example, int], Awaitable[Reply]] | None = None,
    ) -> None:
        self._door, self._program = door, program
        self._measures = tuple(measures)
        # isinstance() of a protocol looks at every attribute: too slow for once per output
        self._judges = frozenset(m.scorer.name for m in measures if isinstance(m.scorer, Judge))
        self._weights = {measure.scorer.name: measure.weight for measure in measures}
        if len(self._weights) != len(self._measures):
            raise ValueError("two scorers have the same name; give one of them another 'name'")
        self._concurrency = concurrency
        self._turn = turn
        self._log = log
        self._on_progress = on_progress
        self._done: dict[Key, Outcome] = {}
        self._asked = self._sent = 0

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The scorers with their weights."""
        return self._measures

    @property
    def retry_rate(self) -> float:
        """Requests sent beyond one for each answer, as a share, over the task calls of this process."""
        return max(0.0, self._sent / self._asked - 1) if self._asked else 0.0

    def run(
        self, variants: Sequence[Variant], examples: Sequence[Example], *, phase: str = "", repeats: int = 1
    ) -> Evaluation:
        """Evaluate every Variant on every Example, ``repeats`` times.

        Raises:
            BudgetExceeded: a call did not fit; what was answered before is kept in the cache.
            EndpointError: a model cannot be reached at all.
        """
        jobs = [(v, e, r) for e in examples for v in variants for r in range(repeats)]
        pending = [job for job in jobs if _key(job) not in self._done]
        failed = self._door.run(self._run(pending, phase)) if pending else {}
        outcomes = {key: self._done.get(key) or failed[key] for key in map(_key, jobs)}
        return Evaluation(
            variants=tuple(variants),
            examples=tuple(examples),
            weights=self._weights,
            repeats=repeats,
            outcomes=outcomes,
        )

    def recorded(
        self, variant: Variant, examples: Sequence[Example], *, phase: str = "", priced: bool = False
    ) -> Evaluation:
        """Score what production answered (``example.reference``), as Outcomes of ``variant``.

        No task call is sent; a judge may be asked. An Example without a reference has no Outcome. Cost and
        latency are those that the trace recorded; ``priced``: the model of ``variant`` is the one that
        answered, so where a trace only counts tokens, they cost what they cost there.

        Raises:
            EndpointError: a price is asked for, and there is no endpoint for the model.
        """
        price = self._door.price(variant.model) if priced else None

        async def score_all() -> dict[Key, Outcome]:
            found = {}
            for example in examples:
                if example.reference is not None:
                    outcome = await self._scored(variant, example, 0, recorded_reply(example, price))
                    found[variant.digest, example.id, 0] = outcome
                    if self._log:
                        self._log.append(phase, variant, outcome)
            return found

        return Evaluation(
            variants=(variant,),
            examples=tuple(examples),
            weights=self._weights,
            outcomes=self._door.run(score_all()),
        )

    def tried(self, variant: Variant, measured: Evaluation) -> dict[str, tuple[Tried, ...]]:
        """The first answers of ``variant``, altered and scored by the scorers that need no model, by Example.

        No call is sent. See :mod:`promptmigrate.evaluate.trials`.
        """
        return self._door.run(try_out(self._measures, measured, variant, self._score))

    def known(self, variant: Variant, examples: Sequence[Example]) -> Evaluation:
        """What is already measured of ``variant`` on ``examples``, without any call."""
        keys = [(variant.digest, example.id, 0) for example in examples]
        return Evaluation(
            variants=(variant,),
            examples=tuple(e for e, key in zip(examples, keys, strict=True) if key in self._done),
            weights=self._weights,
            outcomes={key: self._done[key] for key in keys if key in self._done},
        )

    async def _run(self, jobs: Sequence[Job], phase: str) -> dict[Key, Outcome]:
        """Works ``jobs`` off; returns the Outcomes that may come out better when asked again."""
        failed: dict[Key, Outcome] = {}
        counts = {"done": 0, "errors": 0, "cached": 0}
        first = int(len(jobs) * self._turn)
        queue: Iterator[Job] = chain(jobs[first:], jobs[:first])

        stopped: list[PromptMigrateError] = []

        async def work() -> None:
            for job in queue:
                if stopped:
                    return
                try:
                    outcome = await self._one(*job)
                except PromptMigrateError as error:
                    # The calls under way are paid: they are let finish, and kept in the cache.
                    stopped.append(error)
                    return
                settled = outcome.reply.answered and all(s.unscored != "judge_failed" for s in outcome.scores)
                (self._done if settled else failed)[_key(job)] = outcome
                if not outcome.reply.cached:
                    self._asked += 1
                    self._sent += outcome.reply.attempts
                counts["done"] += 1
                counts["errors"] += not settled
                counts["cached"] += outcome.reply.cached
                if self._log:
                    self._log.append(phase, job[0], outcome)
                if self._on_progress:
                    self._on_progress(
                        Progress(phase=phase, total=len(jobs), usd=self._door.spend.usd, **counts)
                    )

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(jobs))):
                    group.create_task(work())
        finally:
            if self._log:
                self._log.flush()
        if stopped:
            raise stopped[0]
        return failed

    async def _one(self, variant: Variant, example: Example, repeat: int) -> Outcome:
        if variant.components and self._program is not None:
            reply = await self._program(variant, example, repeat)
            return await self._scored(variant, example, repeat, reply)
        request = Request(
            model=variant.model,
            messages=variant.prompt.render(example.inputs),
            params=variant.params,
            repeat=repeat,
        )
        return await self._scored(variant, example, repeat, await self._door.acomplete(request))

    async def _scored(self, variant: Variant, example: Example, repeat: int, reply: Reply) -> Outcome:
        scores: tuple[Score, ...] = ()
        if reply.answered:
            # A filtered answer is one that a user would have got: empty, and scored as such.
            sample = sample_of(example, reply, reply.text or "")
            scores = tuple([await self._score(measure, sample) for measure in self._measures])
        return Outcome(variant=variant.digest, example=example.id, repeat=repeat, reply=reply, scores=scores)

    async def _score(self, measure: Measure, sample: Sample) -> Score:
        return await score(self._door, measure, sample, judge=measure.scorer.name in self._judges)


def _key(job: Job) -> Key:
    return job[0].digest, job[1].id, job[2]
