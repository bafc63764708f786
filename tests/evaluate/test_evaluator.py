from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import scorers
from promptmigrate.config import BudgetConfig, EndpointConfig
from promptmigrate.errors import BudgetExceeded
from promptmigrate.evaluate import Evaluator, Measure, OutcomeLog, Progress, calls_per_row
from promptmigrate.lm import Door
from promptmigrate.types import Example, Prompt, Variant
from scorers import Answer, Question, Sample, Score, exact_match
from tests.e2e.foreign import KEY, Foreign, note

PROMPT = Prompt.of("Name the mood, GLAD, CROSS or FLAT. Reply with only that word.\n{{note}}")


def variant(model: str) -> Variant:
    return Variant(prompt=PROMPT, model=f"f/{model}")


def examples(count: int) -> list[Example]:
    rows = []
    for index in range(count):
        text, mood = note(index)
        inputs = {"note": text}
        rows.append(Example(id=Example.content_id(inputs), inputs=inputs, reference=mood))
    return rows


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Foreign]:
    monkeypatch.setenv("FOREIGN_KEY", KEY)
    with Foreign() as running:
        yield running


def door(server: Foreign, folder: Path, **options: Any) -> Door:
    endpoint = EndpointConfig(base_url=server.base_url, api_key_env="FOREIGN_KEY")
    return Door.open(endpoints={"f": endpoint}, cache=folder / "calls.sqlite", **options)


def test_every_variant_on_every_example(server: Foreign, tmp_path: Path):
    seen: list[Progress] = []
    rows = examples(40)
    with (
        door(server, tmp_path) as opened,
        OutcomeLog(tmp_path / "outcomes.jsonl") as log,
    ):
        evaluator = Evaluator(opened, [Measure(scorer=exact_match())], log=log, on_progress=seen.append)
        evaluation = evaluator.run([variant("grand"), variant("petite")], rows, phase="both")
        assert server.calls == 80
        again = evaluator.run([variant("grand")], rows[:5], phase="again")
        assert server.calls == 80
    good = evaluation.summary(variant("grand"))
    assert good.rows == 40
    assert good.quality is not None and good.quality > 0.85
    assert good.scores["exact_match"] == good.quality
    assert good.cost_usd is None  # its price is not known, and not guessed
    assert again.quality(variant("grand"), rows[0]) == evaluation.quality(variant("grand"), rows[0])
    assert seen[-1].done == seen[-1].total == 80
    lines = [json.loads(line) for line in (tmp_path / "outcomes.jsonl").read_text().splitlines()]
    assert len(lines) == 80
    assert {line["variant"] for line in lines} == {variant("grand").id, variant("petite").id}


def test_a_log_that_goes_on_holds_every_outcome_once(server: Foreign, tmp_path: Path):
    path = tmp_path / "outcomes.jsonl"
    for goes_on, rows in ((False, examples(10)), (True, examples(15))):
        with door(server, tmp_path) as opened, OutcomeLog(path, goes_on=goes_on) as log:
            evaluator = Evaluator(opened, [Measure(scorer=exact_match())], log=log)
            evaluator.run([variant("grand")], rows, phase="search")
        whole = path.read_bytes()
        path.write_bytes(whole + whole.splitlines()[0][:-30])  # a crash came in the middle of a line
    lines = [json.loads(line) for line in path.read_text().splitlines()[:-1]]
    assert sorted(line["example"] for line in lines) == sorted(row.id for row in examples(15))
    assert path.read_bytes().count(b"\n") == 15


def test_a_second_process_pays_nothing(server: Foreign, tmp_path: Path):
    for _ in range(2):
        with door(server, tmp_path) as opened:
            evaluator = Evaluator(opened, [Measure(scorer=exact_match())])
            evaluation = evaluator.run([variant("grand")], examples(10))
    assert server.calls == 10
    assert all(o.reply.cached for o in evaluation.outcomes.values())


def test_failed_calls_are_missing_not_zero(server: Foreign, tmp_path: Path):
    rows = examples(20)
    server.fault = lambda _number: 400
    with door(server, tmp_path) as opened:
        evaluator = Evaluator(opened, [Measure(scorer=exact_match())])
        broken = evaluator.run([variant("grand")], rows)
        summary = broken.summary(variant("grand"))
        assert summary.rows == 0
        assert summary.quality is None
        assert summary.missing == 20
        assert summary.errors == {"provider_error": 20}
        server.fault = None
        mended = evaluator.run([variant("grand")], rows)  # failures are asked again
        assert mended.summary(variant("grand")).rows == 20


def test_budget_stops_before_the_call(server: Foreign, tmp_path: Path):
    with door(server, tmp_path, budget=BudgetConfig(calls=7), ledger=tmp_path / "ledger.sqlite") as opened:
        evaluator = Evaluator(opened, [Measure(scorer=exact_match())])
        with pytest.raises(BudgetExceeded):
            evaluator.run([variant("grand")], examples(30))
    assert server.calls == 7


@dataclass(frozen=True, kw_only=True)
class MoodJudge:
    """Asks the provider's judge-like model and scores whether the words agree."""

    model: str = "f/grand"
    name: str = "mood_judge"
    version: str = "1"

    def __call__(self, **_: Any) -> Score:
        raise AssertionError("the evaluator asks judges through ask and conclude")

    def ask(self, sample: Sample) -> Score | Question:
        if sample.output == sample.expected:
            return Score(name=self.name, value=1.0, evidence={"kind": "identical"})
        text = f"Only the word. {sample.inputs['note'] if sample.inputs else ''}"
        return Question(messages=({"role": "user", "content": text},), model=self.model)

    def conclude(self, sample: Sample, answer: Answer) -> Score:
        if answer.text is None:
            return Score(name=self.name, unscored="judge_failed", rationale=answer.error or "")
        return Score(name=self.name, value=float(answer.text == sample.expected))


def test_judges_are_asked_only_where_needed_and_their_failure_is_unscored(server: Foreign, tmp_path: Path):
    plain = Variant(prompt=Prompt.of("Mood?\n{{note}}"), model="f/petite")
    rows = examples(10)
    with door(server, tmp_path) as opened:
        measures = [Measure(scorer=MoodJudge())]
        assert calls_per_row(measures) == 2
        evaluator = Evaluator(opened, measures)
        evaluation = evaluator.run([plain], rows)
        assert server.calls == 20
        assert opened.spend.calls["judge"] == 10
        assert evaluation.summary(plain).rows == 10
        right = variant("grand")
        evaluator.run([right], rows)
        assert opened.spend.calls["judge"] < 20
    server.fault = lambda number: 400 if server.log[number - 1][0] == "grand" else None
    with door(server, tmp_path / "other") as opened:
        failed = Evaluator(opened, [Measure(scorer=MoodJudge())]).run([plain], rows)
    assert failed.summary(plain).errors == {"unscored: judge_failed": 10}
    assert failed.quality(plain, rows[0]) is None


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A plug-in that raises."""

    error: Exception
    name: str = "broken"
    version: str = "1"

    def __call__(self, **_: Any) -> Score:
        raise self.error


@pytest.mark.parametrize("kind", [ZeroDivisionError, RuntimeError, OSError, re.error])
def test_a_scorer_that_breaks_leaves_the_row_unscored(server: Foreign, tmp_path: Path, kind: type[Exception]):
    rows = examples(3)
    own = Broken(
        error=kind("oops, key sk-SECRET1234567890abcdef" + ", or" * 40 + " sk-SECRET1234567890abcdef")
    )
    with door(server, tmp_path) as opened:
        evaluation = Evaluator(opened, [Measure(scorer=exact_match()), Measure(scorer=own, weight=0.5)]).run(
            [variant("grand")], rows
        )
    outcome = evaluation.outcome(variant("grand"), rows[0])
    assert outcome is not None
    assert outcome.scores[1].unscored == "error"
    assert f"{kind.__name__}: oops, key [SECRET]" in outcome.scores[1].rationale
    assert "sk-S" not in outcome.scores[1].rationale, "not even half of a key that is cut off"
    assert evaluation.quality(variant("grand"), rows[0]) is None


def test_recorded_answers_are_scored_without_a_task_call(server: Foreign, tmp_path: Path):
    rows = [
        Example(id="a", inputs={"note": "n"}, reference="GLAD", expectations={"expected_response": "GLAD"}),
        Example(
            id="b",
            inputs={"note": "m"},
            reference="FLAT",
            expectations={"expected_response": "GLAD"},
            metadata={"cost_usd": 0.5, "latency_s": 2.0},
        ),
        Example(id="c", inputs={"note": "o"}, expectations={"expected_response": "GLAD"}),
    ]
    production = variant("grand")
    with door(server, tmp_path) as opened:
        evaluation = Evaluator(opened, [Measure(scorer=exact_match())]).recorded(production, rows)
    assert server.calls == 0
    assert [evaluation.quality(production, row) for row in rows] == [1.0, 0.0, None]
    assert evaluation.cost(production, rows[1]) == 0.5
    assert evaluation.latency(production, rows[0]) is None


def test_repeats_are_averaged_inside_an_example(server: Foreign, tmp_path: Path):
    rows = examples(4)
    with door(server, tmp_path) as opened:
        evaluation = Evaluator(opened, [Measure(scorer=exact_match())]).run(
            [variant("grand")], rows, repeats=3
        )
    assert server.calls == 12
    values = [evaluation.outcome(variant("grand"), rows[0], r) for r in range(3)]
    assert all(values)
    assert evaluation.summary(variant("grand")).rows == 4


def test_two_scorers_of_one_name_are_refused(server: Foreign, tmp_path: Path):
    with door(server, tmp_path) as opened, pytest.raises(ValueError, match="same name"):
        Evaluator(opened, [Measure(scorer=exact_match()), Measure(scorer=exact_match())])


def test_judges_with_several_questions_and_scorers_of_cost(server: Foreign, tmp_path: Path):
    rows = examples(5)
    measures = [
        Measure(scorer=scorers.panel(judges=[MoodJudge(), MoodJudge(name="second")])),
        Measure(scorer=scorers.tokens(limit=10_000)),
    ]
    assert calls_per_row(measures) == 3
    plain = Variant(prompt=Prompt.of("Mood?\n{{note}}"), model="f/petite")
    with door(server, tmp_path) as opened:
        evaluation = Evaluator(opened, measures).run([plain], rows)
        assert opened.spend.calls["judge"] == 5  # both judges ask the same question: one answer serves
    summary = evaluation.summary(plain)
    assert summary.rows == 5
    assert summary.scores["tokens"] == 1.0
