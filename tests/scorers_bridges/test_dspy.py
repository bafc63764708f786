"""Our scorers as DSPy metrics, with real programs on an engine that asks the test's own server."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import scorers
import scorers.dspy
from promptmigrate.config import EndpointConfig
from promptmigrate.lm import Door
from promptmigrate.lm.engine import dspy_lm
from scorers import Answer, Question, Score, ScorerSpecError
from scorers.dspy import Unscored
from tests.lm.conftest import Provider, answer

dspy = pytest.importorskip("dspy")
REPLY = "[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"


def row(question: str, right: str | None) -> Any:
    example = dspy.Example(question=question, **({} if right is None else {"answer": right}))
    return example.with_inputs("question")


ROWS = [row("red", "RED"), row("green", "GREEN"), row("blue", "blue")]


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    found.default = world
    yield found
    found.close()


async def world(request: web.Request, body: Any) -> web.StreamResponse:
    """Says the question, in capitals if it is told to; the editor finds that out."""
    text = "\n".join(message["content"] for message in body["messages"])
    if body["model"] == "editor":
        return await answer('{"new_instruction": "Answer the question in CAPITALS."}')(request, body)
    word = text.split("[[ ## question ## ]]")[-1].split()[0]
    return await answer(REPLY.format(word.upper() if "CAPITALS" in text else word))(request, body)


@pytest.fixture
def lm(provider: Provider, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    acme = EndpointConfig(base_url=provider.url)
    with Door.open(endpoints={"acme": acme}, cache=tmp_path / "cache.sqlite") as door:
        yield lambda name, purpose="task": dspy_lm(door, f"acme/{name}", purpose=purpose)


def evaluate(metric: Any, lm: Any, rows: Any = ROWS, threads: int = 2) -> Any:
    with dspy.context(lm=lm("task")):
        run = dspy.Evaluate(devset=rows, metric=metric, num_threads=threads)
        return run(dspy.Predict("question -> answer"))


class Failing:
    """A judge that cannot be reached ``times`` times for ``word``."""

    name = "failing"
    version = "1"

    def __init__(self, word: str, times: int = 10**6) -> None:
        self.word, self.left, self.calls = word, times, 0

    def __call__(self, *, output: Any, expected: Any = None, inputs: Any = None, trace: Any = None) -> Score:
        self.calls += 1
        if output == self.word and self.left > 0:
            self.left -= 1
            return Score(name="failing", unscored="judge_failed", rationale="no connection")
        return Score(name="failing", value=1.0)


def test_evaluate(lm: Any) -> None:
    found = evaluate(scorers.dspy.metric(scorers.exact_match()), lm)
    assert found.score == 33.33
    assert [score for _, _, score in found.results] == [0.0, 0.0, 1.0]


def test_several_scorers_and_weights(lm: Any) -> None:
    metric = scorers.dspy.metric(
        [scorers.exact_match(name="strict"), scorers.label_match(name="loose")], weights={"loose": 3}
    )
    found = evaluate(metric, lm)
    assert [score for _, _, score in found.results] == [0.75, 0.75, 1.0]
    assert metric.__name__ == "strict_loose"


@pytest.mark.parametrize("threads", [1, 2])
def test_an_unscored_output_ends_the_evaluation_and_is_never_0(lm: Any, threads: int) -> None:
    with pytest.raises(Unscored, match="failing: judge_failed: no connection") as caught:
        evaluate(scorers.dspy.metric(Failing("green")), lm, threads=threads)
    assert caught.value.scores[0].unscored == "judge_failed"
    with pytest.raises(Unscored, match="no_expected"):
        evaluate(scorers.dspy.metric("exact_match"), lm, [row("red", None)])


def test_a_judge_that_failed_is_asked_again_first(lm: Any) -> None:
    shaky = Failing("green", times=2)
    assert evaluate(scorers.dspy.metric(shaky), lm).score == 100.0
    assert shaky.calls == 5
    with pytest.raises(Unscored):
        evaluate(scorers.dspy.metric(Failing("green", times=2), retries=1), lm)


def test_excluded_rows_are_no_part_of_the_mean(lm: Any) -> None:
    found = evaluate(scorers.dspy.metric(Failing("green"), unscored="exclude"), lm)
    assert math.isnan(found.score)
    assert scorers.dspy.mean_score(found.results) == 1.0
    assert scorers.dspy.mean_score([("", "", math.nan)]) is None


def test_what_is_scored_against_what() -> None:
    seen: list[Any] = []

    def look(output: Any, expected: Any, inputs: Any) -> float:
        seen.append((output, expected, inputs))
        return 1.0

    example = dspy.Example(q="Q", label="L", note="N").with_inputs("q")
    prediction = dspy.Prediction(reasoning="since", label="P")
    scorers.dspy.metric(look)(example, prediction)
    scorers.dspy.metric(look, output="reasoning", expected="note")(example, prediction)
    scorers.dspy.metric(look, output=lambda p: p.label * 2, expected=lambda e: e.q)(example, prediction)
    scorers.dspy.metric(look)(example, dspy.Prediction(a="1", b="2"))
    assert seen == [
        ("P", "L", {"q": "Q"}),
        ("since", "N", {"q": "Q"}),
        ("PP", "Q", {"q": "Q"}),
        ({"a": "1", "b": "2"}, {"label": "L", "note": "N"}, {"q": "Q"}),
    ]


def test_demonstrations_are_good_from_a_threshold_on() -> None:
    example, good = row("q", "a"), dspy.Prediction(answer="a")
    metric = scorers.dspy.metric("exact_match", threshold=0.5)
    assert metric(example, good) == 1.0
    assert metric(example, good, ["trace"]) is True
    assert metric(example, dspy.Prediction(answer="b"), ["trace"]) is False


def test_feedback_in_words() -> None:
    metric = scorers.dspy.metric([scorers.exact_match(), scorers.label_match()], feedback=True)
    bad = metric(row("q", "a"), dspy.Prediction(answer="b"), None, "predict", None)
    assert bad.score == 0.0
    assert bad.feedback.splitlines()[1] == "label_match is 0.00 of 1: expected 'a', got 'b'"
    good = metric(row("q", "a"), dspy.Prediction(answer="a"))
    assert "exact_match is 1.00 of 1: nothing to object to" in good.feedback


def test_the_same_output_is_judged_once() -> None:
    asked: list[Question] = []

    async def complete(question: Question, /) -> Answer:
        asked.append(question)
        return Answer(text="VERDICT: CORRECT")

    metric = scorers.dspy.metric(scorers.correctness(model="a/b", complete=complete), feedback=True)
    example, prediction = row("q", "one thing"), dspy.Prediction(answer="another")
    assert (
        metric(example, prediction).score == metric(example, prediction, None, "predict", None).score == 1.0
    )
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"unscored": "zero"}, "'stop' or 'exclude'"),
        ({"unscored": "exclude", "feedback": True}, "cannot leave out a row"),
        ({"weights": {"other": 1}}, "no scorer 'other'"),
        ({"weights": {"exact_match": 0}}, "above 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ScorerSpecError, match=told):
        scorers.dspy.metric("exact_match", **options)


@pytest.mark.slow
def test_gepa_learns_from_the_feedback(provider: Provider, lm: Any) -> None:
    optimizer = dspy.GEPA(
        metric=scorers.dspy.metric(scorers.exact_match(), feedback=True),
        reflection_lm=lm("editor", "reflection"),
        max_metric_calls=30,
        num_threads=2,
        seed=1,
    )
    rows = [row(word, word.upper()) for word in ("red", "green", "pink", "white")]
    state = random.getstate()
    with dspy.context(lm=lm("task")):
        best = optimizer.compile(dspy.Predict("question -> answer"), trainset=rows, valset=rows)
    random.setstate(state)
    assert "CAPITALS" in best.signature.instructions
    asked = [body for body in provider.requests if body["model"] == "editor"]
    assert "exact_match is 0.00 of 1" in str(asked[0]["messages"])


@pytest.mark.slow
def test_gepa_stops_where_a_judge_cannot_be_reached(lm: Any) -> None:
    optimizer = dspy.GEPA(
        metric=scorers.dspy.metric(Failing("green"), feedback=True),
        reflection_lm=lm("editor", "reflection"),
        max_metric_calls=30,
        num_threads=2,
    )
    state = random.getstate()
    with dspy.context(lm=lm("task")), pytest.raises(Unscored):
        optimizer.compile(dspy.Predict("question -> answer"), trainset=ROWS, valset=ROWS)
    random.setstate(state)
