"""Whether production's answers were broken as they are to be, and what the scorers said of them follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptmigrate.evaluate import alter, by_scorer, qualities, score_here, trace_of
from promptmigrate.proof.answers import Answer, TriedAnswer
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, compare, compare_scores
from promptmigrate.types import Outcome
from scorers import Scorer

_ENTRY = "test_rows.jsonl"


def first(answers: Sequence[Answer]) -> Answer | None:
    """The answer that is broken: production's first, where it came back."""
    return next((answer for answer in answers if answer.repeat == 0 and answer.reply.answered), None)


def numbers(
    tried: Sequence[TriedAnswer], answers: Sequence[Answer], weights: Mapping[str, float]
) -> dict[str, Any]:
    """What a PairedRow says of them; empty where that cannot be told (see :func:`check_tried`)."""
    answer = first(answers)
    try:
        outcome = (
            None
            if answer is None
            else Outcome(
                variant="",
                example="",
                repeat=0,
                reply=answer.reply,
                scores=tuple(score.score for score in answer.scores),
            )
        )
        found = [one.tried for one in tried]
        return {"trials": qualities(found, outcome, weights), "trial_scores": by_scorer(found)}
    except (ValueError, KeyError):
        return {}


def check_tried(bundle: Contents) -> Iterator[Finding]:
    """Each of production's answers was broken in every way, and each scorer that needs no model was asked."""
    altered = alter(_answers(bundle))
    wanted = [scorer.name for scorer in bundle.scorers if scorer.alone]
    for line, pair in zip(bundle.test_rows, bundle.pairs, strict=True):
        said = [{"how": one.how, "of": one.of} for one in line.tried]
        found = [{"how": one.how, "of": one.of} for one in altered.get(pair.example, ())]
        yield from compare(_ENTRY, said, found, where=pair.example, field="tried")
        for one in line.tried:
            place = f"tried.{one.how}.scores"
            names = [score.name for score in one.scores]
            yield from compare(_ENTRY, names, wanted, where=pair.example, field=place)
            for score in one.scores:
                if problem := score.problem:
                    yield Finding(
                        entry=_ENTRY, where=pair.example, field=f"{place}.{score.name}", problem=problem
                    )


def check_tried_scores(bundle: Contents, scorers: Mapping[str, Scorer]) -> Iterator[Finding]:
    """What ``scorers`` say today of production's answers, broken again, is what is recorded."""
    altered = alter(_answers(bundle))
    for line, pair in zip(bundle.test_rows, bundle.pairs, strict=True):
        example, answer = bundle.examples.get(pair.example), first(line.production)
        texts = {one.how: one.text for one in altered.get(pair.example, ())}
        for one in line.tried if example is not None and answer is not None else ():
            assert example is not None and answer is not None
            for stated in one.scores:
                scorer = scorers.get(stated.name)
                if scorer is None or one.how not in texts:
                    continue
                score = score_here(
                    scorer,
                    texts[one.how],
                    expected=example.expected,
                    inputs=example.inputs,
                    trace=trace_of(answer),
                )
                field = f"tried.{one.how}.scores.{stated.name}"
                yield from compare_scores(stated, score, entry=_ENTRY, where=example.id, field=field)


def _answers(bundle: Contents) -> dict[str, str]:
    found = {}
    for line, pair in zip(bundle.test_rows, bundle.pairs, strict=True):
        if (answer := first(line.production)) is not None:
            found[pair.example] = answer.output or ""
    return found
