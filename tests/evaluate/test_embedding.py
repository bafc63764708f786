"""Scorers that compare embeddings, served by the evaluator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from promptmigrate.errors import BudgetExceeded
from promptmigrate.evaluate import Evaluator, Measure, calls_per_row, embedding_model, score_embedded
from promptmigrate.lm import Door
from promptmigrate.types import Example, Prompt, Reply, Request, Variant
from scorers import Sample, exact_match, semantic_similarity

SCORER = semantic_similarity(model="acme/embed-small")
SAMPLE = Sample(output="aab", expected=["ba", "c"], inputs={})


class Vectors:
    """Stands at the door: counts of letters as vectors."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.fail = ""
        self.stop = ""
        self.text: str | None = None

    async def acomplete(self, request: Request) -> Reply:
        self.asked.append(request)
        text = request.messages[0]["content"]
        if text == self.stop:
            raise BudgetExceeded("no more")
        if text == self.fail:
            return Reply(kind="timeout", error="sent nothing")
        vector = json.dumps([text.count("a"), text.count("b")]) if self.text is None else self.text
        return Reply(kind="ok", text=vector, input_tokens=2, cost_usd=0.25)


@pytest.fixture
def vectors() -> Vectors:
    return Vectors()


async def score(vectors: Any, sample: Sample = SAMPLE, **params: Any):
    return await score_embedded(vectors, SCORER, sample, params)


async def test_each_text_is_a_call_of_its_own_and_what_they_cost_is_on_the_score(vectors: Vectors):
    found = await score(vectors, dimensions=2)
    assert found.value == pytest.approx(0.948683298051)
    assert (found.cost_usd, found.input_tokens) == (0.75, 6)
    told = [(r.model, r.messages, dict(r.params), r.purpose) for r in vectors.asked]
    assert told == [
        ("acme/embed-small", ({"role": "embed", "content": text},), {"dimensions": 2}, "judge")
        for text in ("aab", "ba", "c")
    ]


async def test_what_needs_no_vector_asks_for_none(vectors: Vectors):
    assert (await score(vectors, Sample(output="x", expected="x"))).value == 1.0
    assert (await score(vectors, Sample(output="x"))).unscored == "no_expected"
    assert (await score(vectors, Sample(output=" ", expected="x"))).evidence["kind"] == "empty"
    assert vectors.asked == []


async def test_a_failed_call_is_missing_data(vectors: Vectors):
    vectors.fail = "ba"
    found = await score(vectors)
    assert (found.unscored, found.evidence["kind"]) == ("judge_failed", "no_vectors")
    assert found.rationale == "timeout: sent nothing"
    assert found.cost_usd == 0.5


@pytest.mark.parametrize("text", ["", "{}", "[]", "[null]", "[1e999]", "hello"])
async def test_what_is_no_vector_is_missing_data(vectors: Vectors, text: str):
    vectors.text = text
    assert (await score(vectors)).unscored == "judge_failed"


async def test_what_must_stop_a_run_is_raised_after_the_calls_under_way(vectors: Vectors):
    vectors.stop = "aab"
    with pytest.raises(BudgetExceeded):
        await score(vectors)
    assert len(vectors.asked) == 3


def test_the_evaluator_serves_it_and_plans_for_it():
    measure = Measure(scorer=SCORER)
    assert embedding_model(SCORER) == "acme/embed-small"
    assert embedding_model(exact_match()) is None
    assert embedding_model(semantic_similarity(embed=lambda texts: [[1.0] for _ in texts])) is None
    assert calls_per_row([measure]) == 3
    production = Variant(prompt=Prompt.of("{{x}}"), model="sim/echo")
    same = Example(id="1", inputs={"x": "y"}, reference="An answer.")
    with Door.open() as door:
        found = Evaluator(door, [measure]).recorded(production, [same])
    assert found.score(production, same, "semantic_similarity") == 1.0
