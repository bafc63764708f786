"""How a judge is run, whoever sends the questions.

A deliberation is a generator without I/O: it yields questions that may be asked at the same time, is sent
their answers in the same order, and returns the score. Judges that need several questions (pairwise, panel)
have a method ``deliberate(sample)``; for all others it is one question, or none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from scorers._types import Answer, Question, Sample, Score

if TYPE_CHECKING:
    from scorers._types import Complete, Judge, Scorer

Deliberation: TypeAlias = Generator[tuple[Question, ...], Sequence[Answer], Score]
"""Yields questions that may be asked at once, takes their answers in that order, returns the score."""


def deliberate(judge: Judge, sample: Sample) -> Deliberation:
    """The deliberation of any judge, also of one that knows only ``ask`` and ``conclude``."""
    own = getattr(judge, "deliberate", None)
    return own(sample) if own is not None else one_question(judge, sample)


def one_question(judge: Judge, sample: Sample) -> Deliberation:
    """The deliberation of a judge that asks once."""
    asked = judge.ask(sample)
    if isinstance(asked, Score):
        return asked
    (answer,) = yield (asked,)
    return judge.conclude(sample, answer)


def most_questions(scorer: Scorer) -> int:
    """How many questions ``scorer`` asks at most about one sample; 0 for a measure.

    Example:
        >>> import scorers
        >>> scorers.most_questions(scorers.pairwise(model="openai/gpt-5-mini"))
        2
    """
    own = getattr(scorer, "most_questions", None)
    if isinstance(own, int):
        return own
    return int(hasattr(scorer, "ask") and hasattr(scorer, "conclude"))


def models_of(scorer: Any) -> tuple[str, ...]:
    """The models that ``scorer`` asks, each once; none for a measure."""
    own = getattr(scorer, "models", None)
    if isinstance(own, tuple):
        return own
    model = getattr(scorer, "model", None)
    return (model,) if isinstance(model, str) and model else ()


async def run_judge(judge: Judge, sample: Sample, complete: Complete) -> Score:
    """The score of ``sample`` by any judge, asking through ``complete``.

    Questions that do not depend on each other are asked at the same time. Whatever ``complete`` raises is
    raised, once the questions under way are answered: a runner stops that way when its budget is spent.
    """
    steps = deliberate(judge, sample)
    try:
        questions = next(steps)
        while True:
            questions = steps.send(await _answers(complete, questions))
    except StopIteration as done:
        score: Score = done.value
        return score
    finally:
        steps.close()


async def _answers(complete: Complete, questions: Sequence[Question]) -> Sequence[Answer]:
    if len(questions) == 1:
        return [await complete(questions[0])]
    import asyncio  # costs as much to import as everything else here

    asked: list[Awaitable[Answer]] = [complete(question) for question in questions]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if isinstance(answer, Answer)]


def paid(score: Score, answers: Sequence[Answer | Score]) -> Score:
    """``score`` with what all ``answers`` (or scores) cost together, as far as prices are known."""
    known = [answer.cost_usd for answer in answers if answer.cost_usd is not None]
    return replace(
        score,
        cost_usd=sum(known) if known else None,
        input_tokens=sum(answer.input_tokens for answer in answers),
        output_tokens=sum(answer.output_tokens for answer in answers),
    )
