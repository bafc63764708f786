"""The gate once more, from the recorded calls: prompts are rendered, requests answered, answers scored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import scorers
from promptmigrate.errors import PromptMigrateError
from promptmigrate.evaluate import Evaluation, Evaluator, Measure
from promptmigrate.proof.answers import Answer
from promptmigrate.proof.contents import Column, Contents
from promptmigrate.proof.findings import Finding, compare, compare_scores
from promptmigrate.proof.rebuilt import Rebuilt
from promptmigrate.types import Example, Reply, Variant


def why_not(bundle: Contents, rebuilt: Rebuilt) -> str | None:
    """Why the gate cannot be run again, or None."""
    if rebuilt.missing:
        name, reason = next(iter(sorted(rebuilt.missing.items())))
        return f"scorer {name!r}: {reason}"
    models = [bundle.production.model, bundle.candidate.model]
    models += [model for scorer in rebuilt.found.values() for model in scorers.models_of(scorer)]
    if any(model.startswith("replay/") for model in models):
        # A file name in the bundle would be opened.
        return "one of its models was itself answered from a recording"
    return None


def check_rerun(bundle: Contents, rebuilt: Rebuilt) -> Iterator[Finding]:
    """Answers and scores, judges' included, come out again from the recorded replies; nothing is sent."""
    from promptmigrate.lm import Door

    measures = [
        Measure(scorer=rebuilt.found[entry.name], weight=entry.weight, params=entry.params)
        for entry in bundle.scorers
    ]
    with TemporaryDirectory() as folder:
        # The one entry that the Door reads, under a name of ours.
        replay = Path(folder) / "calls.jsonl"
        replay.write_bytes(bundle.calls_entry)
        with Door.open(endpoints=bundle.endpoints, replay=replay) as door:
            evaluator = Evaluator(door, measures, program=_recorded(bundle))
            for column in bundle.columns:
                for place, answers in column.rows:
                    example = bundle.examples.get(place)
                    if example is not None and answers:
                        yield from _once_more(evaluator, column, answers, example)


def _recorded(bundle: Contents) -> Callable[[Variant, Example, int], Awaitable[Reply]]:
    """Programs answer as recorded: their code is not here."""
    known = {
        (column.variant.digest, place, answer.repeat): answer.reply
        for column in bundle.columns
        for place, answers in column.rows
        for answer in answers
    }

    async def answer(variant: Variant, example: Example, repeat: int) -> Reply:
        missing = Reply(kind="provider_error", model=variant.model, error="no answer was recorded")
        return known.get((variant.digest, example.id, repeat), missing)

    return answer


def _once_more(
    evaluator: Evaluator, column: Column, answers: Sequence[Answer], example: Example
) -> Iterator[Finding]:
    try:
        evaluation = _evaluate(evaluator, column, answers, example)
    except PromptMigrateError as error:
        yield Finding(entry="calls.jsonl", where=example.id, field=column.name, problem=str(error))
        return
    for number, answer in enumerate(answers):
        field = f"{column.name}[{number}]"
        outcome = evaluation.outcome(column.variant, example, answer.repeat)
        if outcome is None:
            yield Finding(entry=column.entry, where=example.id, field=field, problem="cannot be made again")
            continue
        yield from compare(
            column.entry, answer.output, outcome.reply.text, where=example.id, field=f"{field}.output"
        )
        for stated, score in zip(answer.scores, outcome.scores, strict=False):
            place = f"{field}.scores.{stated.name}"
            yield from compare_scores(stated, score, entry=column.entry, where=example.id, field=place)


def _evaluate(
    evaluator: Evaluator, column: Column, answers: Sequence[Answer], example: Example
) -> Evaluation:
    if not column.asked:
        return evaluator.recorded(column.variant, [example])
    # One at a time: a reply that is missing is told for its row, and the others are still looked at.
    most = 1 + max(answer.repeat for answer in answers)
    return evaluator.run([column.variant], [example], repeats=most)
