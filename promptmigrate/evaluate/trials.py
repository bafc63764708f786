"""Production's answers broken on purpose and scored again: whether the scores can tell an answer from none.

Each answer of production is scored as four texts:

- *again*: as it is. A scorer that says something else now follows chance, or the order of its calls.
- *emptied*: nothing at all. A check of form sees it (:class:`scorers.Regex`, ``json_valid``).
- *swapped*: what production answered to another row. Its form is right, so only a scorer that looks at what
  an answer says sees it.
- *noise*: signs without meaning, many times as long as the answer. Whoever likes that looks at nothing but
  whether there is an answer, or how long it is.

Only the answer is changed: expectation, inputs, tokens, cost and latency stay those of the row. Which answer
goes where follows from the rows' ids alone, so that anybody who has the answers breaks them alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from promptmigrate.evaluate.embedding import embedding_model
from promptmigrate.evaluate.results import Evaluation
from promptmigrate.evaluate.scoring import Measure, sample_of
from promptmigrate.files import digest
from promptmigrate.types import Outcome, Variant
from scorers import Judge, Sample, Score, Scorer, SemanticSimilarity
from scorers.running import broken

How: TypeAlias = Literal["again", "emptied", "swapped", "noise"]
_NOISE = "~#%^ "
_TIMES = 10
_LONG = 2000
"""Characters from which on an answer is long as it is: its noise is twice as long, to be scored quickly."""


@dataclass(frozen=True, kw_only=True)
class Altered:
    """A text in the place of production's answer to one row."""

    how: How
    of: str | None
    """The row whose answer it is; None: it is nobody's."""
    text: str


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What the scorers that need no model said of an :class:`Altered` text."""

    how: How
    of: str | None
    scores: tuple[Score, ...]


def scores_alone(scorer: Scorer) -> bool:
    """Whether ``scorer`` needs no model, so that trying it costs nothing."""
    return not (
        isinstance(scorer, Judge | SemanticSimilarity)
        or embedding_model(scorer) is not None
        # A plug-in may ask one by itself; one that waits does, unless it says otherwise.
        or getattr(scorer, "asks_model", hasattr(scorer, "score_async"))
    )


async def try_out(
    measures: Sequence[Measure],
    measured: Evaluation,
    variant: Variant,
    score: Callable[[Measure, Sample], Awaitable[Score]],
) -> dict[str, tuple[Tried, ...]]:
    """The first answers of ``variant``, altered and scored by those of ``measures`` that need no model."""
    alone = [measure for measure in measures if scores_alone(measure.scorer)]
    replies = {
        example.id: outcome.reply
        for example in measured.examples
        if (outcome := measured.outcome(variant, example)) is not None and outcome.reply.answered
    }
    altered = alter({row: reply.text or "" for row, reply in replies.items()})

    async def one(measure: Measure, sample: Sample) -> Score:
        try:
            return await score(measure, sample)
        except Exception as error:  # noqa: BLE001
            # The gate is paid: a scorer's own assertion on a text that nobody answered must not end the run.
            return broken(measure.scorer, error)

    found: dict[str, tuple[Tried, ...]] = {}
    for example in measured.examples:
        tried = []
        for text in altered.get(example.id, ()):
            sample = sample_of(example, replies[example.id], text.text)
            scores = tuple([await one(measure, sample) for measure in alone])
            tried.append(Tried(how=text.how, of=text.of, scores=scores))
        if tried:
            found[example.id] = tuple(tried)
    return found


def alter(answers: Mapping[str, str]) -> dict[str, tuple[Altered, ...]]:
    """What each of production's ``answers`` (by row) is replaced by.

    An answer that is empty cannot be emptied; where all answers are one, none can be swapped.
    """
    order = sorted(answers, key=lambda row: digest(["broken", row]))
    found = {}
    for row, donor in zip(order, _donors([answers[row] for row in order]), strict=True):
        own = answers[row]
        texts = [Altered(how="again", of=row, text=own)]
        if own.strip():
            texts.append(Altered(how="emptied", of=None, text=""))
        if donor is not None:
            other = answers[order[donor]]
            texts.append(Altered(how="swapped", of=order[donor], text=other))
        texts.append(Altered(how="noise", of=None, text=_noise(len(own))))
        found[row] = tuple(texts)
    return found


def _noise(length: int) -> str:
    """Signs without meaning for an answer of ``length`` characters."""
    length = max(length, len(_NOISE))
    length *= max(2, min(_TIMES, _LONG // length))
    return (_NOISE * (1 + length // len(_NOISE)))[:length]


def _donors(answers: Sequence[str]) -> list[int | None]:
    """For each place the next one, round and round, whose answer is another and not empty."""
    said = [" ".join(answer.casefold().split()) for answer in answers]
    count = len(said)
    found: list[int | None] = [None] * count
    # Twice around from the end: the first round finds what lies beyond the last place.
    near: int | None = None  # the next place with an answer
    beyond: int | None = None  # the next one after it that says something else
    for place in reversed(range(2 * count)):
        here = place % count
        found[here] = near if near is not None and said[near] != said[here] else beyond
        if said[here]:
            if near is not None and said[near] != said[here]:
                beyond = near
            near = here
    return found


def qualities(
    tried: Sequence[Tried], first: Outcome | None, weights: Mapping[str, float]
) -> dict[str, float | None]:
    """How -> the quality of the answer, so altered; None where a scorer could not score it.

    Scorers that were not run (judges) count as they ``first`` did where the answer is the same, and with
    their worst value, 0, where it is broken. Empty where no scorer of the quality was run.
    """
    known = {} if first is None else {score.name: score.value for score in first.scores}
    return {
        one.how: _quality(one, known if one.how == "again" else {}, weights)
        for one in tried
        if any(weights[score.name] for score in one.scores)
    }


def _quality(one: Tried, others: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    found = {score.name: score.value for score in one.scores}
    value = 0.0
    for name, weight in weights.items():
        said = found[name] if name in found else others.get(name, 0.0)
        if weight and said is None:
            return None
        value += weight * (said or 0.0)
    return value / sum(weights.values())


def by_scorer(tried: Sequence[Tried]) -> dict[str, dict[str, float | None]]:
    """Scorer -> how -> its value; of the scorers that were run."""
    found: dict[str, dict[str, float | None]] = {}
    for one in tried:
        for score in one.scores:
            found.setdefault(score.name, {})[one.how] = score.value
    return found
