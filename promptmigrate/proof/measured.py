"""Whether the numbers of each test row follow from its answers, and the answers from the recorded calls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptmigrate.decide import slices_of
from promptmigrate.errors import UsageError
from promptmigrate.evaluate import outcome_quality, trace_of
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, compare
from promptmigrate.proof.requests import key_of, slices_by, task_request
from promptmigrate.proof.shapes import Answer, Scored, TestRow
from promptmigrate.types import Example, Outcome, Variant
from scorers import Score, Scorer

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
    for line, pair in zip(bundle.test_rows, bundle.pairs, strict=True):
        example = bundle.examples.get(pair.example)
        if example is None:
            continue  # told by check_rows
        stated = pair.to_json()
        found: dict[str, Any] = {
            "cluster": example.cluster,
            "weight": example.weight,
            "baseline": _quality(line.production, bundle.weights),
            "candidate": _quality(line.candidate, bundle.weights),
            "baseline_first": _first(line.production, bundle.weights),
            "baseline_again": _quality([a for a in line.production if a.repeat == 1], bundle.weights),
            "slices": slices.get(pair.example, {}),
        }
        for side, answers in (("baseline", line.production), ("candidate", line.candidate)):
            found[f"{side}_cost_usd"] = _cost(answers)
            found[f"{side}_latency_s"] = _mean(
                [answer.latency_s for answer in answers if answer.reply.answered and answer.latency_s > 0]
            )
        found["scores"] = {
            name: [_score(line.production, name), _score(line.candidate, name)] for name in stated["scores"]
        }
        yield from compare(
            _ENTRY, {name: stated[name] for name in found}, found, where=pair.example, field="row"
        )
        for side, answers in _sides(line):
            yield from _complete(bundle, answers, pair.example, side)


def _complete(bundle: Contents, answers: Sequence[Answer], example: str, side: str) -> Iterator[Finding]:
    """Each answer has one score of each scorer, a failed call has none."""
    for number, answer in enumerate(answers):
        names = [score.name for score in answer.scores]
        wanted = [scorer.name for scorer in bundle.scorers] if answer.reply.answered else []
        yield from compare(_ENTRY, names, wanted, where=example, field=f"{side}[{number}].scores")
        for score in answer.scores:
            field = f"{side}[{number}].scores.{score.name}"
            if (score.value is None) == (score.unscored is None):
                problem = "needs either a value or a reason why it has none"
                yield Finding(entry=_ENTRY, where=example, field=field, problem=problem)
            elif score.value is not None and not 0.0 <= score.value <= 1.0:
                problem = f"has the value {score.value!r}, outside [0, 1]"
                yield Finding(entry=_ENTRY, where=example, field=field, problem=problem)


def check_scores(bundle: Contents, scorers: Mapping[str, Scorer]) -> Iterator[Finding]:
    """What ``scorers``, which ask nobody, say of each answer today is what they are recorded to have said."""
    for line, example, side, number, answer in _answers(bundle):
        del line
        if not answer.reply.answered:
            continue
        for stated in answer.scores:
            scorer = scorers.get(stated.name)
            if scorer is None:
                continue
            score = scorer(
                output=answer.output or "",
                expected=example.expected,
                inputs=example.inputs,
                trace=trace_of(answer),
            )
            field = f"{side}[{number}].scores.{stated.name}"
            yield from compare_scores(stated, score, where=example.id, field=field)


def compare_scores(stated: Scored, score: Score, *, where: str, field: str) -> Iterator[Finding]:
    """Findings where ``score`` is not the ``stated`` one."""
    said, found = stated.model_dump(), Scored.of(score).model_dump()
    if stated.unscored is not None:
        said["rationale"] = found["rationale"] = None  # how something broke may be worded otherwise
    yield from compare(_ENTRY, said, found, where=where, field=field)


def check_calls(bundle: Contents) -> Iterator[Finding]:
    """Each answer is the recorded reply to its prompt, rendered for its row and sent to its model."""
    for _, example, side, number, answer in _answers(bundle):
        field = f"{side}[{number}]"
        if side == "production" and not bundle.manifest.rerun:
            yield from compare(_ENTRY, answer.output, example.reference, where=example.id, field=field)
            continue
        variant = bundle.candidate if side == "candidate" else bundle.production
        if variant.components:
            continue  # its calls depend on the code of the program
        yield from _recorded(bundle, variant, example, answer, field)


def _recorded(
    bundle: Contents, variant: Variant, example: Example, answer: Answer, field: str
) -> Iterator[Finding]:
    try:
        reply = bundle.calls.get(key_of(task_request(variant, example, answer.repeat), bundle.endpoints))
    except UsageError as error:
        yield Finding(entry="variants.json", where=example.id, problem=f"cannot be asked: {error}")
        return
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
    yield from compare(_ENTRY, said, found, where=example.id, field=field)


# --- reading the lines ---------------------------------------------------------------------------------


def _sides(line: TestRow) -> tuple[tuple[str, list[Answer]], ...]:
    return ("production", line.production), ("candidate", line.candidate)


def _answers(bundle: Contents) -> Iterator[tuple[TestRow, Example, str, int, Answer]]:
    for line, pair in zip(bundle.test_rows, bundle.pairs, strict=True):
        example = bundle.examples.get(pair.example)
        for side, answers in _sides(line) if example is not None else ():
            for number, answer in enumerate(answers):
                assert example is not None
                yield line, example, side, number, answer


def _first(answers: Sequence[Answer], weights: Mapping[str, float]) -> float | None:
    """What the first of several answers scored; told only where there are several."""
    repeated = any(answer.repeat for answer in answers)
    return _quality([answer for answer in answers if answer.repeat == 0], weights) if repeated else None


def _quality(answers: Sequence[Answer], weights: Mapping[str, float]) -> float | None:
    values = []
    for answer in answers:
        try:
            scores = tuple(Score(**score.model_dump()) for score in answer.scores)
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
