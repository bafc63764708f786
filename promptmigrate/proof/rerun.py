"""The gate once more, from the recorded calls: prompts are rendered, requests answered, answers scored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import scorers
from promptmigrate.errors import PromptMigrateError
from promptmigrate.evaluate import Evaluation, Evaluator, Measure
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, compare
from promptmigrate.proof.measured import compare_scores
from promptmigrate.proof.rebuilt import Rebuilt
from promptmigrate.proof.shapes import Answer
from promptmigrate.types import Example, Reply, Variant

_ENTRY = "test_rows.jsonl"


@dataclass(frozen=True, kw_only=True)
class _Side:
    name: str
    variant: Variant
    answers: list[Answer]
    asked: bool


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
            for line, pair in zip(bundle.test_rows, bundle.pairs, strict=True):
                example = bundle.examples.get(pair.example)
                if example is None:
                    continue
                for side in (
                    _Side(
                        name="production",
                        variant=bundle.production,
                        answers=line.production,
                        asked=bundle.manifest.rerun,
                    ),
                    _Side(name="candidate", variant=bundle.candidate, answers=line.candidate, asked=True),
                ):
                    yield from _once_more(evaluator, side, example)


def _recorded(bundle: Contents) -> Callable[[Variant, Example, int], Awaitable[Reply]]:
    """Programs answer as recorded: their code is not here."""
    known = {
        (variant.digest, pair.example, answer.repeat): answer.reply
        for line, pair in zip(bundle.test_rows, bundle.pairs, strict=True)
        for variant, answers in ((bundle.production, line.production), (bundle.candidate, line.candidate))
        for answer in answers
    }

    async def answer(variant: Variant, example: Example, repeat: int) -> Reply:
        missing = Reply(kind="provider_error", model=variant.model, error="no answer was recorded")
        return known.get((variant.digest, example.id, repeat), missing)

    return answer


def _once_more(evaluator: Evaluator, side: _Side, example: Example) -> Iterator[Finding]:
    if not side.answers:
        return
    try:
        evaluation = _evaluate(evaluator, side, example)
    except PromptMigrateError as error:
        yield Finding(entry="calls.jsonl", where=example.id, field=side.name, problem=str(error))
        return
    for number, answer in enumerate(side.answers):
        field = f"{side.name}[{number}]"
        outcome = evaluation.outcome(side.variant, example, answer.repeat)
        if outcome is None:
            yield Finding(entry=_ENTRY, where=example.id, field=field, problem="cannot be made again")
            continue
        yield from compare(
            _ENTRY, answer.output, outcome.reply.text, where=example.id, field=f"{field}.output"
        )
        for stated, score in zip(answer.scores, outcome.scores, strict=False):
            yield from compare_scores(stated, score, where=example.id, field=f"{field}.scores.{stated.name}")


def _evaluate(evaluator: Evaluator, side: _Side, example: Example) -> Evaluation:
    if not side.asked:
        return evaluator.recorded(side.variant, [example])
    # One at a time: a reply that is missing is told for its row, and the others are still looked at.
    most = 1 + max(answer.repeat for answer in side.answers)
    return evaluator.run([side.variant], [example], repeats=most)
