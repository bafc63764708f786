"""Scoring the traces of an experiment: what is new is scored and written, what is written is left alone.

An assessment is written as soon as it is there, and tells the spec hash of its scorer; a run that was killed
goes on where it was, and a run that is complete adds nothing. What cannot be scored is not written at all,
neither as a value nor as an error: it is counted in the report, and tried again by the next run, when the
judge may answer or a label may be there. Answers of judges are kept in the call cache: nothing is paid twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import PromptMigrateError, UsageError
from promptmigrate.traces.settings import ScoringFile
from promptmigrate.traces.store import TraceStore, scored_by

if TYPE_CHECKING:
    from promptmigrate.lm import Door
    from scorers import Answer, Complete, Question, Score, Scorer
    from scorers.running import RecordedCall

_BATCH = 100
"""Traces whose spans are held at a time."""
_CONCURRENCY = 32


@dataclass(frozen=True, kw_only=True)
class ScoreJob:
    """Which traces to score with what."""

    experiment: str
    scoring: ScoringFile
    tracking_uri: str | None = None
    since: str | None = "24h"
    until: str | None = None
    filter_string: str | None = None
    sample: float | None = None
    """Share of the traces in (0, 1], chosen by the hash of their ids."""
    limit: int | None = None
    """At most so many traces, chosen by the hash of their ids."""
    cache: Path | None = None
    """Call cache of the judges; in its folder a scorer is held, so that no other process of this host gives
    its scores to the same traces at the same time."""
    budget_calls: int | None = None
    record: Path | None = None
    replay: Path | None = None


@dataclass(kw_only=True)
class Report:
    """What a run found and did."""

    experiment: str
    traces: int = 0
    """Traces in the window and sample."""
    written: int = 0
    """Assessments added."""
    present: int = 0
    """Assessments that were there already."""
    unscored: dict[str, int] = field(default_factory=dict)
    """``scorer: reason`` -> how many; not written."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Traces without anything to score, by reason."""
    summary: list[dict[str, Any]] = field(default_factory=list)
    """One row per prompt version and model, over new and earlier assessments."""
    calls: int = 0
    """Requests sent to judges."""
    cached: int = 0
    usd: float | None = 0.0
    """What they cost, as far as prices are known; None: calls were sent, and no price is known."""
    usd_unknown_calls: int = 0
    """Requests whose price is not known; they are not in ``usd``."""
    stopped: str | None = None
    """Why the run ended before it was through."""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return dict(vars(self))


Row = tuple[str, str, dict[str, Any]]
"""Prompt, model, scores by name."""


def score(job: ScoreJob, *, on_progress: Callable[[int, int], None] | None = None) -> Report:
    """Score the traces of ``job`` and write the results back.

    A budget that is exhausted does not raise: what was scored is written, and ``stopped`` says so.

    Raises:
        StorageError: the store failed, or another process is giving these scores.
        UsageError: something given cannot be used.
        EndpointError: a judge cannot be reached at all.
    """
    if job.sample is not None and not 0 < job.sample <= 1:
        raise UsageError(f"--sample must be above 0 and at most 1, not {job.sample:g}")
    if job.limit is not None and job.limit < 1:
        raise UsageError(f"--limit must be at least 1, not {job.limit}")
    from promptmigrate.config import BudgetConfig
    from promptmigrate.lm import Door

    store = TraceStore(job.experiment, job.tracking_uri)
    infos = store.infos(
        since=_moment(job.since, "--since"),
        until=_moment(job.until, "--until"),
        filter_string=job.filter_string,
        sample=job.sample,
        limit=job.limit,
    )
    with ExitStack() as stack:
        if job.cache is not None:
            _hold(job, store, stack)
        door = stack.enter_context(
            Door.open(
                endpoints=job.scoring.endpoints,
                prices=job.scoring.prices,
                cache=job.cache,
                budget=BudgetConfig(calls=job.budget_calls) if job.budget_calls is not None else None,
                record=job.record,
                replay=job.replay,
            )
        )
        if job.replay is None and (models := _models(job.scoring.scorers)):
            door.preflight(models)
        run = _Run(store, door, job, Report(experiment=job.experiment, traces=len(infos)))
        return run.all(infos, on_progress)


def _hold(job: ScoreJob, store: TraceStore, stack: ExitStack) -> None:
    """Keep other processes of this host from giving the scores of ``job``: they would all be there twice."""
    from promptmigrate.files import digest, held
    from scorers.running import spec_hash

    assert job.cache is not None
    hashes = {digest([store.place, spec_hash(s)])[7:19]: s.name for s in job.scoring.scorers}
    for name, scorer in sorted(hashes.items()):
        busy = (
            f"another process scores traces of {job.experiment!r} with {scorer}; wait for it or stop it "
            "(what it has written is left alone then)"
        )
        stack.enter_context(held(job.cache.parent / "scoring" / f"{name}.lock", busy=busy))


class _Run:
    def __init__(self, store: TraceStore, door: Door, job: ScoreJob, report: Report) -> None:
        from scorers.running import spec_hash

        self._store, self._door, self._report = store, door, report
        self._scorers = job.scoring.scorers
        self._hashes = {scorer.name: spec_hash(scorer) for scorer in self._scorers}
        self._params = job.scoring.params
        self._ask = {s.name: _through(door, self._params.get(s.name, {})) for s in self._scorers}
        self._rows: list[Row] = []
        self._stop: PromptMigrateError | None = None

    def all(self, infos: Sequence[Any], on_progress: Callable[[int, int], None] | None) -> Report:
        from promptmigrate.errors import BudgetExceeded
        from scorers.running import summarise

        try:
            for start in range(0, len(infos), _BATCH):
                part = infos[start : start + _BATCH]
                self._batch(part)
                if on_progress:
                    on_progress(start + len(part), len(infos))
                if self._stop is not None:
                    break
        finally:
            spend = self._door.spend
            self._report.calls, self._report.cached = sum(spend.calls.values()), spend.cached
            self._report.usd_unknown_calls = spend.usd_unknown_calls
            self._report.usd = None if spend.usd_unknown_calls and not spend.usd else spend.usd
        if isinstance(self._stop, BudgetExceeded):
            self._report.stopped = self._stop.message
        elif self._stop is not None:
            raise self._stop
        self._report.summary = summarise(self._rows)
        return self._report

    def _batch(self, infos: Iterable[Any]) -> None:
        from scorers.running import read_trace

        # Spans are needed for all: the summary tells scores by model, which only they hold.
        traces = self._store.traces([info.trace_id for info in infos])
        # As they are now: another host may have scored them since the run began.
        earlier = {trace.info.trace_id: self._earlier(trace.info) for trace in traces}
        calls = []
        for trace in traces:
            call = read_trace(trace)
            if call.skip:
                self._report.skipped[call.skip] = self._report.skipped.get(call.skip, 0) + 1
                continue
            known = earlier[call.trace_id]
            self._report.present += len(known)
            calls.append((call, dict(known)))
        self._door.run(self._score_all(calls))
        self._rows += [(call.prompt, call.model, scores) for call, scores in calls if scores]

    def _earlier(self, info: Any) -> dict[str, Score]:
        from scorers import Score

        found = {}
        for scorer in self._scorers:
            item = scored_by(info, self._hashes[scorer.name])
            if item is not None and isinstance(item.value, int | float):
                found[scorer.name] = Score(name=scorer.name, version=scorer.version, value=float(item.value))
        return found

    async def _score_all(self, calls: Sequence[tuple[RecordedCall, dict[str, Score]]]) -> None:
        slots = asyncio.Semaphore(_CONCURRENCY)

        async def one(call: RecordedCall, scores: dict[str, Score]) -> None:
            async with slots:
                for scorer in self._scorers:
                    if scorer.name not in scores and self._stop is None:
                        await self._score_one(call, scorer, scores)

        async with asyncio.TaskGroup() as group:
            for call, scores in calls:
                group.create_task(one(call, scores))

    async def _score_one(self, call: RecordedCall, scorer: Scorer, scores: dict[str, Score]) -> None:
        from promptmigrate.evaluate import embedding_model, score_embedded
        from promptmigrate.redact import told
        from scorers.running import broken, score_call

        try:
            try:
                sample = call.sample(scorer)
                if embedding_model(scorer) is not None:
                    params = self._params.get(scorer.name, {})
                    found = await score_embedded(self._door, scorer, sample, params)
                else:
                    found = await score_call(scorer, sample, self._ask[scorer.name])
            except PromptMigrateError:
                raise
            except Exception as error:  # noqa: BLE001 - a plug-in that breaks leaves this trace unscored
                found = broken(scorer, error, told(error))
            scores[scorer.name] = found
            if found.unscored is not None:
                key = f"{scorer.name}: {found.unscored}"
                self._report.unscored[key] = self._report.unscored.get(key, 0) + 1
                return
            # In a thread: the store may be a server far away, and judges wait on this loop.
            await asyncio.to_thread(self._store.write, call.trace_id, found, scorer)
            self._report.written += 1
        except PromptMigrateError as error:
            # Calls under way are paid: they are let finish, and kept in the cache.
            self._stop = self._stop or error


def _moment(text: str | None, option: str) -> int | None:
    """Milliseconds since 1970 of an age or an ISO date."""
    from scorers.mlflow import milliseconds, moment

    if not text:
        return None
    try:
        return milliseconds(moment(text))
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error


def _models(scorers: Iterable[Scorer]) -> list[str]:
    from promptmigrate.evaluate import embedding_model
    from scorers import models_of

    asked = [s for s in scorers if hasattr(s, "ask") or embedding_model(s) is not None]
    return list(dict.fromkeys(model for s in asked for model in models_of(s)))


def _through(door: Door, params: Mapping[str, Any]) -> Complete:
    """The way of a judge through the door. What must stop the run is raised."""

    async def complete(question: Question, /) -> Answer:
        from promptmigrate.evaluate import ask_judge

        return await ask_judge(door, question, params)

    return complete
