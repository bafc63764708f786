from __future__ import annotations

from collections.abc import Sequence

import pytest

from promptmigrate.evaluate import Evaluation
from promptmigrate.pipeline.yardstick import Lost, lost
from promptmigrate.types import Example, Outcome, OutcomeKind, Prompt, Reply, Variant

PRODUCTION = Variant(prompt=Prompt.of("Say {{x}}"), model="sim/triage-large")


def seen(answers: Sequence[tuple[OutcomeKind, str | None]], recorded: str | None = "billing") -> Lost:
    rows = tuple(
        Example(id=f"e{n}", inputs={"x": str(n)}, reference=recorded, expectations={"expected_response": "x"})
        for n in range(len(answers))
    )
    outcomes = {
        (PRODUCTION.digest, row.id, 0): Outcome(
            variant=PRODUCTION.digest,
            example=row.id,
            repeat=0,
            reply=Reply(kind=kind, text=text, model="m"),
            scores=(),
        )
        for row, (kind, text) in zip(rows, answers, strict=True)
    }
    evaluation = Evaluation(variants=(PRODUCTION,), examples=rows, weights={}, outcomes=outcomes)
    return lost(rows, evaluation, PRODUCTION)


GOOD: tuple[OutcomeKind, str] = ("ok", "billing")


@pytest.mark.parametrize("kind", ["ok", "filtered", "truncated"])
def test_lost_answers_are_noticed_from_five_in_a_hundred_on(kind: OutcomeKind) -> None:
    assert seen([(kind, "")] * 5 + [GOOD] * 95).noticeable
    few = seen([(kind, "")] * 4 + [GOOD] * 96)
    assert not few.noticeable
    assert few.sentence.startswith("4 of 100 answers of production came back 4 ")
    assert not seen([(kind, "")] * 2 + [GOOD] * 8).noticeable  # two may be chance


def test_what_was_never_answered_better_or_failed_is_not_lost() -> None:
    assert seen([("ok", "")] * 9, recorded="").count == 0
    assert seen([("ok", "")] * 9, recorded=None).count == 0
    assert seen([("truncated", "billin")] * 9, recorded="billing").count == 9
    assert seen([("truncated", "an answer that ends he")] * 9, recorded="an answer that ends h").count == 0
    assert seen([("timeout", None)] * 9).count == 0  # missing, and counted as such
    assert seen([GOOD] * 9).sentence == ""
