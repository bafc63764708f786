"""Scoring calls that were already made, from the traces that recorded them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from scorers._bridge import as_scorers, is_judge, score_one
from scorers._deliberate import run_judge
from scorers._trace_reading import RecordedCall, read_trace
from scorers._types import Answer, Complete, Judge, Question, Sample, Score, Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceScore:
    """One trace with its scores by scorer name; none if the trace was skipped."""

    call: RecordedCall
    scores: Mapping[str, Score]


@dataclass(frozen=True, slots=True)
class TraceScores(Sequence[TraceScore]):
    """The scores of many traces, in their order."""

    rows: tuple[TraceScore, ...]

    @overload
    def __getitem__(self, index: int) -> TraceScore: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TraceScore]: ...
    def __getitem__(self, index: int | slice) -> TraceScore | Sequence[TraceScore]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[TraceScore]:
        return iter(self.rows)

    @property
    def skipped(self) -> dict[str, int]:
        """How many traces were not scored, by reason."""
        counts: dict[str, int] = {}
        for row in self.rows:
            if row.call.skip:
                counts[row.call.skip] = counts.get(row.call.skip, 0) + 1
        return counts

    def mean(self, name: str) -> float | None:
        """Mean value of one scorer over the traces that it scored; None if it scored none."""
        return _mean([row.scores[name].value for row in self.rows if name in row.scores])

    def summary(self) -> list[dict[str, Any]]:
        """One row per prompt version and model; see :func:`summarise`."""
        return summarise((row.call.prompt, row.call.model, row.scores) for row in self.rows if row.scores)


def score_traces(
    traces: Iterable[Any],
    *,
    scorers: Any,
    complete: Complete | None = None,
    concurrency: int = 16,
) -> TraceScores:
    """Score recorded calls, without making them again.

    Args:
        traces: MLflow traces, their dicts, or rows with ``inputs``, ``outputs`` and ``expectations``.
        scorers: One or several scorers, names or specs; their names must differ.
        complete: How judges reach their model, instead of their own way.
        concurrency: Traces that judges work on at a time.

    A failed or unfinished call is skipped, with the reason. Expectations are what people noted on the trace
    (``mlflow.log_expectation``).

    Raises:
        ScorerSpecError: something given is no scorer.
        NoCompleteError: a judge has no way to reach a model.
        TypeError: something given is no trace.

    Example:
        >>> import scorers
        >>> traces = [
        ...     {"inputs": {"text": "Charged twice"}, "outputs": "bill", "expectations": {"queue": "bill"}},
        ...     {"inputs": {"text": "It crashes"}, "outputs": "bill", "expectations": {"queue": "bug"}},
        ... ]
        >>> scorers.score_traces(traces, scorers=["label_match"]).mean("label_match")
        0.5
    """
    from scorers._waiting import wait_for

    measures = as_scorers(scorers)
    calls = [read_trace(trace, number) for number, trace in enumerate(traces, 1)]
    return TraceScores(wait_for(_score_calls(calls, measures, complete, concurrency)))


async def _score_calls(
    calls: Sequence[RecordedCall], scorers: Sequence[Scorer], complete: Complete | None, concurrency: int
) -> tuple[TraceScore, ...]:
    import asyncio  # costs as much to import as everything else here

    slots = asyncio.Semaphore(max(1, concurrency))

    async def one(call: RecordedCall) -> TraceScore:
        if call.skip:
            return TraceScore(call=call, scores={})
        async with slots:
            scores = {s.name: await score_call(s, call.sample(s), complete) for s in scorers}
        return TraceScore(call=call, scores=scores)

    return tuple(await asyncio.gather(*map(one, calls)))


async def score_call(scorer: Any, sample: Sample, complete: Complete | None = None) -> Score:
    """The score of one sample by any scorer: a judge through ``complete`` if it is given."""
    if is_judge(scorer) and complete is not None:
        judge: Judge = scorer
        return await run_judge(judge, sample, complete)
    if hasattr(scorer, "score_async"):
        found: Score = await scorer.score_async(
            output=sample.output, expected=sample.expected, inputs=sample.inputs, trace=sample.trace
        )
        return found
    if is_judge(scorer):
        # A judge of a plug-in that has no asynchronous form of its own.
        from scorers._complete import default_complete

        own = getattr(scorer, "complete", None) or default_complete()
        return await run_judge(scorer, sample, _never_raising(own))
    return score_one(scorer, sample)


def _never_raising(complete: Complete) -> Complete:
    async def ask(question: Question, /) -> Answer:
        try:
            return await complete(question)
        except Exception as error:  # noqa: BLE001 - an injected callable; it is told in the score
            return Answer(error=f"{type(error).__name__}: {error}")

    return ask


def summarise(rows: Iterable[tuple[str, str, Mapping[str, Score]]]) -> list[dict[str, Any]]:
    """Means by prompt version and model.

    Args:
        rows: prompt, model and the scores of one trace each.

    Returns:
        Mappings with ``prompt``, ``model``, ``traces`` and ``scores``: by scorer its ``mean`` (None if it
        scored none), ``scored`` and ``unscored`` (by reason).
    """
    groups: dict[tuple[str, str], list[Mapping[str, Score]]] = {}
    for prompt, model, scores in rows:
        groups.setdefault((prompt, model), []).append(scores)
    found = []
    for (prompt, model), group in sorted(groups.items()):
        names = list(dict.fromkeys(name for scores in group for name in scores))
        told: dict[str, Any] = {}
        for name in names:
            given = [scores[name] for scores in group if name in scores]
            unscored: dict[str, int] = {}
            for score in given:
                if score.unscored is not None:
                    unscored[score.unscored] = unscored.get(score.unscored, 0) + 1
            told[name] = {
                "mean": _mean([score.value for score in given]),
                "scored": len(given) - sum(unscored.values()),
                "unscored": unscored,
            }
        found.append({"prompt": prompt, "model": model, "traces": len(group), "scores": told})
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
