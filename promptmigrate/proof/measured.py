"""Whether the numbers of each test row follow from its answers, and the answers from the recorded calls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptmigrate.decide import slices_of
from promptmigrate.errors import UsageError
from promptmigrate.evaluate import outcome_quality, score_here, trace_of
from promptmigrate.proof.answers import Answer
from promptmigrate.proof.contents import Column, Contents
from promptmigrate.proof.findings import Finding, compare, compare_scores
from promptmigrate.proof.requests import key_of, slices_by, task_request
from promptmigrate.proof.tried import numbers
from promptmigrate.types import Example, Outcome
from scorers import Scorer

_ENTRY = "test_rows.jsonl"


def check_rows(bundle: Contents) -> Iterator[Finding]:
    """The gate saw all test rows, or the first of them by id: none was left out for what it showed."""
    test = sorted(row.id for row in bundle.rows if row.split == "test")
    seen = [pair.example for pair in bundle.pairs]
    for example in sorted({example for example in seen if seen.count(example) > 1}):
        yield Finding(entry=_ENTRY, where=example, problem="is there more than once")
    for example in sorted(set(seen) - set(test)):
        yield Finding(entry=_ENTRY, where=example, problem="is no test row of the dataset")
    for example in sorted(set(test[: len(seen)]) - set(seen)):
        yield Finding(entry=_ENTRY, where=example, problem="is a test row that was left out")


def check_numbers(bundle: Contents) -> Iterator[Finding]:
    """Quality, cost and latency of each row are means of its answers; weight and cluster its example's."""
    gate = [bundle.examples[pair.example] for pair in bundle.pairs if pair.example in bundle.examples]
    slices = slices_of(gate, slices_by(bundle.config))
    production, *columns = bundle.columns
    before = dict(production.rows)
    tried = {pair.example: line.tried for pair, line in zip(bundle.pairs, bundle.test_rows, strict=True)}
    decided = [bundle.pairs, *(other.pairs for other in bundle.others)]
    for column, pairs in zip(columns, decided, strict=True):
        for pair, (_, after) in zip(pairs, column.rows, strict=True):
            example = bundle.examples.get(pair.example)
            if example is None or pair.example not in before:
                continue  # told by check_rows, or by the verdict: not the same rows
            stated = pair.to_json()
            found = _numbers(example, before[pair.example], after, bundle.weights)
            found["slices"] = slices.get(pair.example, {})
            found |= numbers(tried[pair.example], before[pair.example], bundle.weights)
            yield from compare(
                column.entry,
                {name: stated[name] for name in found},
                found,
                where=pair.example,
                field=_field(column, "row"),
            )
    for column in bundle.columns:
        for place, answers in column.rows:
            yield from _complete(bundle, column, answers, place)


def _numbers(
    example: Example,
    before: Sequence[Answer],
    after: Sequence[Answer],
    weights: Mapping[str, float],
) -> dict[str, Any]:
    """What a PairedRow says of these answers, without the slices."""
    found: dict[str, Any] = {
        "cluster": example.cluster,
        "weight": example.weight,
        "baseline": _quality(before, weights),
        "candidate": _quality(after, weights),
        "baseline_first": _first(before, weights),
        "baseline_again": _quality([answer for answer in before if answer.repeat == 1], weights),
        "scores": {name: [_score(before, name), _score(after, name)] for name in weights},
    }
    for side, answers in (("baseline", before), ("candidate", after)):
        found[f"{side}_cost_usd"] = _cost(answers)
        found[f"{side}_latency_s"] = _mean(
            [answer.latency_s for answer in answers if answer.reply.answered and answer.latency_s > 0]
        )
    return found


def _complete(bundle: Contents, column: Column, answers: Sequence[Answer], example: str) -> Iterator[Finding]:
    """Each answer has one score of each scorer, a failed call has none."""
    for number, answer in enumerate(answers):
        names = [score.name for score in answer.scores]
        wanted = [scorer.name for scorer in bundle.scorers] if answer.reply.answered else []
        place = f"{column.name}[{number}].scores"
        yield from compare(column.entry, names, wanted, where=example, field=place)
        for score in answer.scores:
            field = f"{place}.{score.name}"
            if problem := score.problem:
                yield Finding(entry=column.entry, where=example, field=field, problem=problem)


def check_scores(bundle: Contents, scorers: Mapping[str, Scorer]) -> Iterator[Finding]:
    """What ``scorers``, which ask nobody, say of each answer today is what they are recorded to have said."""
    for column, example, number, answer in _answers(bundle):
        if not answer.reply.answered:
            continue
        for stated in answer.scores:
            scorer = scorers.get(stated.name)
            if scorer is None:
                continue
            score = score_here(
                scorer,
                answer.output or "",
                expected=example.expected,
                inputs=example.inputs,
                trace=trace_of(answer),
            )
            field = f"{column.name}[{number}].scores.{stated.name}"
            yield from compare_scores(stated, score, entry=column.entry, where=example.id, field=field)


def check_calls(bundle: Contents) -> Iterator[Finding]:
    """Each answer is the recorded reply to its prompt, rendered for its row and sent to its model."""
    for column, example, number, answer in _answers(bundle):
        field = f"{column.name}[{number}]"
        if not column.asked:
            yield from compare(column.entry, answer.output, example.reference, where=example.id, field=field)
            continue
        if column.variant.components:
            continue  # its calls depend on the code of the program
        yield from _recorded(bundle, column, example, answer, field)


def _recorded(
    bundle: Contents, column: Column, example: Example, answer: Answer, field: str
) -> Iterator[Finding]:
    try:
        key = key_of(task_request(column.variant, example, answer.repeat), bundle.endpoints)
    except UsageError as error:
        yield Finding(entry="variants.json", where=example.id, problem=f"cannot be asked: {error}")
        return
    reply = bundle.calls.get(key)
    if reply is None:
        yield Finding(
            entry="calls.jsonl",
            where=example.id,
            problem=f"holds no reply to the prompt of {field} for this row, so the answer is not one to it",
        )
        return
    names = ("kind", "error", "input_tokens", "output_tokens", "cost_usd", "latency_s")
    said = {"output": answer.output, **{name: getattr(answer, name) for name in names}}
    found = {"output": reply.text, **{name: getattr(reply, name) for name in names}}
    yield from compare(column.entry, said, found, where=example.id, field=field)


# --- reading the lines ---------------------------------------------------------------------------------


def _field(column: Column, name: str) -> str:
    return name if column.name == "candidate" else f"{column.name} {name}"


def _answers(bundle: Contents) -> Iterator[tuple[Column, Example, int, Answer]]:
    for column in bundle.columns:
        for place, answers in column.rows:
            example = bundle.examples.get(place)
            for number, answer in enumerate(answers) if example is not None else ():
                assert example is not None
                yield column, example, number, answer


def _first(answers: Sequence[Answer], weights: Mapping[str, float]) -> float | None:
    """What the first of several answers scored; told only where there are several."""
    repeated = any(answer.repeat for answer in answers)
    return _quality([answer for answer in answers if answer.repeat == 0], weights) if repeated else None


def _quality(answers: Sequence[Answer], weights: Mapping[str, float]) -> float | None:
    values = []
    for answer in answers:
        try:
            scores = tuple(score.score for score in answer.scores)
            outcome = Outcome(variant="", example="", repeat=answer.repeat, reply=answer.reply, scores=scores)
            value = outcome_quality(outcome, weights)
        except (ValueError, KeyError):
            value = None  # told by _complete
        if value is not None:
            values.append(value)
    return _mean(values)


def _cost(answers: Sequence[Answer]) -> float | None:
    costs = [answer.cost_usd for answer in answers if answer.reply.answered]
    known = [cost for cost in costs if cost is not None]
    return _mean(known) if len(known) == len(costs) else None


def _score(answers: Sequence[Answer], name: str) -> float | None:
    found = [score.value for answer in answers for score in answer.scores if score.name == name]
    return _mean([value for value in found if value is not None])


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
