"""One output, scored by one scorer: through the door where it needs a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from promptmigrate.evaluate.embedding import embedding_model, score_embedded
from promptmigrate.evaluate.judging import ask_judge
from promptmigrate.evaluate.results import trace_of
from promptmigrate.redact import redact, told
from promptmigrate.types import Example, Reply
from scorers import Answer, Judge, Question, Sample, Score, Scorer, run_judge
from scorers.running import broken

if TYPE_CHECKING:
    from promptmigrate.lm import Door


_ERROR_CHARS = 220


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A scorer with its weight in the quality."""

    scorer: Scorer
    weight: float = 1.0
    """0: it is no part of the quality."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the judge's calls, if the scorer is a judge."""


def sample_of(example: Example, reply: Reply, output: str) -> Sample:
    """``output`` in the place of the answer that ``reply`` gave to ``example``."""
    return Sample(output=output, expected=example.expected, inputs=example.inputs, trace=trace_of(reply))


def score_here(
    scorer: Scorer, output: Any, *, expected: Any, inputs: Mapping[str, Any] | None, trace: Any = None
) -> Score:
    """What ``scorer``, which asks nobody through the door, says; one that breaks leaves it unscored."""
    try:
        return _told(scorer(output=output, expected=expected, inputs=inputs, trace=trace))
    except Exception as error:  # noqa: BLE001 - it is somebody's own; what it raised is told in the score
        return _broken(scorer, error)


async def score(door: Door, measure: Measure, sample: Sample, *, judge: bool) -> Score:
    """What ``measure`` says of ``sample``; a scorer that breaks on it leaves it unscored, and says why.

    Raises:
        BudgetExceeded: a judge's call did not fit.
        EndpointError: a judge's model cannot be reached at all.
    """
    scorer = measure.scorer
    try:
        if embedding_model(scorer) is not None:
            return await score_embedded(door, scorer, sample, measure.params)
        if not judge:
            return await _without_door(scorer, sample)

        async def complete(question: Question) -> Answer:
            return await ask_judge(door, question, measure.params)

        return await run_judge(cast(Judge, scorer), sample, complete)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # A plug-in that breaks on one output leaves that output unscored and says so in the results.
        return _broken(scorer, error)


async def _without_door(scorer: Scorer, sample: Sample) -> Score:
    """What a scorer that is no judge of ours says; whatever it raises leaves the output unscored."""
    asynchronous = getattr(scorer, "score_async", None)
    if asynchronous is None:
        return score_here(
            scorer, sample.output, expected=sample.expected, inputs=sample.inputs, trace=sample.trace
        )
    try:  # one that does I/O of its own, such as a bridged MLflow judge
        found: Score = await asynchronous(
            output=sample.output, expected=sample.expected, inputs=sample.inputs, trace=sample.trace
        )
    except Exception as error:  # noqa: BLE001 - what it raised is told in the score
        return _broken(scorer, error)
    return _told(found)


def _broken(scorer: Scorer, error: BaseException) -> Score:
    # Redacted before it is cut: half a key would not be known as one.
    return broken(scorer, error, told(error)[:_ERROR_CHARS])


def _told(found: Score) -> Score:
    """``found``; what somebody's code raised may show the key that a service has refused."""
    if found.unscored != "error":
        return found
    return replace(found, rationale=redact(found.rationale, ("secret",))[0])
