"""scorers.score_traces: MLflow traces, their dicts, and plain rows, without MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scorers
from scorers import Answer, NoCompleteError, Question, ScorerSpecError
from scorers._bridge import answer_of, expected_of, inputs_of, plain_json, spec_hash
from scorers._trace_reading import read_trace
from scorers.testing import hostile_values
from tests.scorers_bridges.conftest import Judge

COMPLETION = {"choices": [{"message": {"role": "assistant", "content": "billing"}, "finish_reason": "stop"}]}


def trace_dict(
    inputs: Any, outputs: Any, *, expected: Any = None, state: str = "OK", tags: Any = None, **attributes: Any
) -> dict[str, Any]:
    """As Trace.to_dict() gives it: attributes are JSON texts."""
    given = {"mlflow.spanInputs": inputs, "mlflow.spanOutputs": outputs, **attributes}
    assessments = [
        {"assessment_name": "note", "feedback": {"value": True}, "last_update_time": "2026-01-01T00:00:00Z"},
    ]
    if expected is not None:
        assessments.append(
            {
                "assessment_name": "expected_response", "expectation": {"value": expected}, "valid": True,
                "last_update_time": "2026-01-02T00:00:00Z",
            }
        )  # fmt: skip
    return {
        "info": {"trace_id": "tr-1", "state": state, "tags": tags or {}, "assessments": assessments},
        "data": {
            "spans": [
                {"parent_span_id": "x", "attributes": {"mlflow.llm.model": '"inner"'}},
                {"parent_span_id": None, "attributes": {k: json.dumps(v) for k, v in given.items()}},
            ]
        },
    }


def test_rows() -> None:
    rows = [
        {"inputs": {"t": 1}, "outputs": "billing", "expectations": {"queue": "billing"}, "id": "r1"},
        {"input": "hi", "output": "bug", "expected": "billing", "model": "m", "prompt": "p/1"},
        {"outputs": None},
    ]
    found = scorers.score_traces(rows, scorers=["label_match", scorers.contains()])
    assert [row.call.trace_id for row in found] == ["r1", "2", "3"]
    assert found[0].scores["label_match"].value == 1.0
    assert found[1].call.inputs == {"input": "hi"}
    assert (found.mean("label_match"), found.mean("nothing")) == (0.5, None)
    assert found.skipped == {"no output was recorded": 1}
    assert [(row["prompt"], row["model"], row["traces"]) for row in found.summary()] == [
        ("", "", 1),
        ("p/1", "m", 1),
    ]
    assert len(found[:2]) == 2


def test_dicts_of_traces() -> None:
    chat = {
        "messages": [{"role": "system", "content": "Sort."}, {"role": "user", "content": "hi"}],
        "model": "m",
    }
    tags = {"mlflow.linkedPrompts": json.dumps([{"name": "triage", "version": "3"}])}
    call = read_trace(trace_dict(chat, COMPLETION, expected="billing", tags=tags))
    assert (call.output, call.expectations) == ("billing", {"expected_response": "billing"})
    assert call.inputs == {"input": "[system]\nSort.\n\n[user]\nhi"}
    assert (call.prompt, call.model) == ("triage/3", "m")
    assert (
        scorers.score_traces([trace_dict("q", "A", expected="a")], scorers="label_match").mean("label_match")
        == 1
    )


def test_texts_that_look_like_json_stay_texts() -> None:
    call = read_trace(trace_dict({"q": 1}, '{"a": 1}', expected={"a": 1}))
    assert call.output == '{"a": 1}'
    assert read_trace(trace_dict({"q": 1}, "123")).output == "123"


def test_gateway_traces() -> None:
    call = read_trace(
        trace_dict(
            {"variables": {"ticket": "x"}, "messages": [{"role": "user", "content": "Sort x"}]}, "billing",
            tags={"promptmigrate.model": "acme/large"}, **{"mlflow.llm.model": "large"},
        )
    )  # fmt: skip
    assert (call.inputs, call.output, call.model) == ({"ticket": "x"}, "billing", "acme/large")


def test_dspy_traces() -> None:
    call = read_trace(trace_dict({"q": "x"}, {"reasoning": "since", "answer": "A"}, signature="q -> answer"))
    assert (call.inputs, call.output) == ({"q": "x"}, "A")


def test_gen_ai_traces() -> None:
    spans = [
        {
            "parent_span_id": None,
            "attributes": {
                "gen_ai.input.messages": json.dumps(
                    json.dumps([{"role": "user", "parts": [{"text": "hi"}]}])
                ),
                "gen_ai.output.messages": json.dumps(json.dumps([{"role": "assistant", "content": "yo"}])),
                "gen_ai.request.model": '"m"',
            },
        }
    ]
    call = read_trace({"info": {"trace_id": "t"}, "data": {"spans": spans}})
    assert (call.inputs, call.output, call.model) == ({"input": "hi"}, "yo", "m")


def test_models_of_inner_spans() -> None:
    assert read_trace(trace_dict({"q": 1}, "x")).model == "inner"


@pytest.mark.parametrize(
    ("state", "why"), [("ERROR", "the call failed"), ("IN_PROGRESS", "the call was not finished")]
)
def test_failed_calls_have_no_score(state: str, why: str) -> None:
    found = scorers.score_traces([trace_dict("q", "A", expected="a", state=state)], scorers="label_match")
    assert (found[0].call.skip, found[0].scores, found.skipped) == (why, {}, {why: 1})
    assert found.summary() == []


def test_real_traces(mlflow: Any) -> None:
    """The same call as an object, as a dict, and as a row of search_traces()."""
    span = mlflow.start_span_no_context("chat", inputs={"ticket": "x"})
    span.set_attribute("mlflow.llm.model", "m")
    span.end(outputs="```json\n{}\n```")
    mlflow.set_trace_tag(span.trace_id, "mlflow.linkedPrompts", '[{"name": "p", "version": "2"}]')
    mlflow.log_expectation(trace_id=span.trace_id, name="queue", value="old")
    mlflow.log_expectation(trace_id=span.trace_id, name="queue", value={"queue": "billing"})
    trace = mlflow.get_trace(span.trace_id)
    row = mlflow.search_traces(locations=[trace.info.experiment_id]).iloc[0].to_dict()
    for given_trace in (trace, trace.to_dict(), row):
        call = read_trace(given_trace)
        assert (call.trace_id, call.inputs, call.output) == (
            span.trace_id,
            {"ticket": "x"},
            "```json\n{}\n```",
        )
        assert (call.expectations, call.prompt, call.model) == ({"queue": {"queue": "billing"}}, "p/2", "m")
        found = scorers.score_traces([given_trace], scorers=["json_match"])
        assert found[0].scores["json_match"].value is not None


def test_what_a_call_took_is_scored_from_any_form(mlflow: Any) -> None:
    span = mlflow.start_span_no_context("chat", span_type="CHAT_MODEL", inputs={"q": 1})
    span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7})
    span.set_attribute("mlflow.llm.cost", {"input_cost": 0.001, "output_cost": 0.001, "total_cost": 0.002})
    span.end(outputs="x")
    trace = mlflow.get_trace(span.trace_id)
    row = mlflow.search_traces(locations=[trace.info.experiment_id]).iloc[0].to_dict()
    limits = [scorers.tokens(limit=7), scorers.cost(limit_usd=0.001), scorers.latency(limit_s=1000)]
    for form in (trace, trace.to_dict(), row):
        (found,) = scorers.score_traces([form], scorers=limits)
        assert {name: score.value for name, score in found.scores.items()} == {
            "tokens": 1,
            "cost": 0,
            "latency": 1,
        }
    (plain,) = scorers.score_traces([{"outputs": "x", "cost_usd": 0.5}], scorers=limits)
    assert plain.scores["cost"].value == 0.0


def test_mlflow_itself_unpacks_json_texts(mlflow: Any) -> None:
    """If this changes, outputs that are JSON texts are no longer objects here."""
    span = mlflow.start_span_no_context("chat", inputs={"ticket": "x"})
    span.end(outputs='{"queue": "billing"}')
    trace = mlflow.get_trace(span.trace_id)
    assert read_trace(trace).output == read_trace(trace.to_dict()).output == {"queue": "billing"}


def test_judges(judge: Judge) -> None:
    rows = [{"outputs": text, "expected": "the right thing"} for text in ("wrong", "other")]
    asked = scorers.correctness(model="a/b")
    found = scorers.score_traces(rows, scorers=[asked], complete=judge, concurrency=1)
    assert [row.scores["correctness"].value for row in found] == [0.0, 1.0]
    own = scorers.correctness(model="a/b", complete=judge)
    assert scorers.score_traces(rows, scorers=own).mean("correctness") == 0.5
    assert len(judge.questions) == 4


def test_a_judge_without_a_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorers._complete._chosen", None)
    monkeypatch.setattr("scorers._complete._found", None)
    monkeypatch.setattr("scorers._complete.module", {}.get)
    rows = [{"outputs": "x", "expected": "the right thing"}]
    with pytest.raises(NoCompleteError):
        scorers.score_traces(rows, scorers=[scorers.correctness(model="a/b")])


async def test_in_a_running_loop() -> None:
    assert (
        scorers.score_traces([{"outputs": "a", "expected": "a"}], scorers="exact_match").mean("exact_match")
        == 1.0
    )


class PlugInJudge:
    """A judge that knows only the protocol."""

    name, version, model = "plug-in", "1", "a/b"

    def ask(self, sample: Any) -> Question:
        return Question(messages=({"role": "user", "content": str(sample.output)},), model=self.model)

    def conclude(self, sample: Any, answer: Answer) -> scorers.Score:
        if answer.error:
            return scorers.Score(name=self.name, unscored="judge_failed", rationale=answer.error)
        return scorers.Score(name=self.name, value=1.0)

    def __call__(self, **_: Any) -> scorers.Score:
        raise AssertionError("judges are asked")


def test_judges_of_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(question: Question) -> Answer:
        raise ConnectionError("no network")

    monkeypatch.setattr("scorers._complete._chosen", broken)
    found = scorers.score_traces([{"outputs": "x"}], scorers=[PlugInJudge()])
    assert found[0].scores["plug-in"].rationale == "ConnectionError: no network"


@pytest.mark.parametrize(
    ("traces", "measures", "told"),
    [
        (["text"], "exact_match", "trace 1 is a str that is no trace"),
        ([{}], "exact_match", "trace 1 is a dict"),
    ],
)
def test_what_is_no_trace_is_told(traces: Any, measures: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        scorers.score_traces(traces, scorers=measures)


def test_what_is_no_scorer_is_told() -> None:
    for given_scorers, told in (
        ([], "no scorer"),
        (["exact_match", "exact_match"], "two scorers are called"),
        ([scorers.ExactMatch], "is no scorer"),
        ([3], "is no scorer"),
    ):
        with pytest.raises(ScorerSpecError, match=told):
            scorers.score_traces([], scorers=given_scorers)


def test_mlflow_is_not_loaded() -> None:
    code = (
        "import scorers, sys\n"
        "scorers.score_traces([{'outputs': 'a', 'expected': 'a'}], scorers=['exact_match'])\n"
        "import scorers.mlflow, scorers.dspy\n"
        "print({m.partition('.')[0] for m in sys.modules} & {'mlflow', 'dspy', 'pytest', 'yaml', 'pydantic'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- recorded values


@pytest.mark.parametrize(
    ("outputs", "answer"),
    [
        ("text", "text"),
        (json.dumps(COMPLETION), "billing"),
        (COMPLETION, "billing"),
        ({"choices": [{"text": "old style"}]}, "old style"),
        (
            {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            "ab",
        ),
        ([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "a"),
        ({"output": [{"type": "message", "content": [{"type": "output_text", "text": "r"}]}]}, "r"),
        (["one"], "one"),
        (["one", "two"], ["one", "two"]),
        ({"sku": "A7"}, {"sku": "A7"}),
        ('{"sku": "A7"}', '{"sku": "A7"}'),
        ({"output": "plain field"}, {"output": "plain field"}),
        (
            {"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]},
            {"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]},
        ),
        (7, 7),
        (None, None),
    ],
)
def test_answers(outputs: Any, answer: Any) -> None:
    assert answer_of(outputs) == answer


def test_expectations() -> None:
    assert expected_of({"expected_response": "a", "other": 1}) == "a"
    assert expected_of({"queue": "a", "none": None}) == "a"
    assert expected_of({"a": 1, "b": 2}) == {"a": 1, "b": 2}
    assert expected_of({}) is None
    assert expected_of("text") == "text"
    keyed = scorers.exact_match(expected_key="queue")
    assert expected_of({"queue": "a"}, keyed) == {"queue": "a"}


def test_a_spec_hash_tells_options_and_versions_apart() -> None:
    base = spec_hash(scorers.label_match())
    assert base == spec_hash(scorers.from_spec("label_match"))
    assert len({base, spec_hash(scorers.label_match(strict=True)), spec_hash(scorers.exact_match())}) == 3

    class Local(PlugInJudge):
        pass

    first = spec_hash(Local())  # type: ignore[arg-type]
    Local.version = "2"
    assert spec_hash(Local()) != first  # type: ignore[arg-type]


def test_hostile_values_are_read_and_written() -> None:
    for value in hostile_values():
        json.dumps(plain_json(value), allow_nan=False).encode()
        scorers.score_traces(
            [{"inputs": value, "outputs": value, "expected": value}], scorers=["exact_match"]
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "choices", "output"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_recorded_value_can_be_read(value: Any) -> None:
    answer_of(value)
    assert inputs_of(value) is None or isinstance(inputs_of(value), dict)
    json.dumps(plain_json(value), allow_nan=False)
