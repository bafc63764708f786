"""Our scorers inside MLflow, for real: genai.evaluate on a SQLite store."""

from __future__ import annotations

import json
from typing import Any

import pytest

import scorers
import scorers.mlflow
from scorers import Score, ScorerSpecError
from tests.scorers_bridges.conftest import Judge

ROWS = [
    {"inputs": {"ticket": "a"}, "outputs": "Billing.", "expectations": {"expected_response": "billing"}},
    {"inputs": {"ticket": "b"}, "outputs": "bug", "expectations": {"expected_response": "billing"}},
    {"inputs": {"ticket": "c"}, "outputs": "bug", "expectations": {"queue": "bug"}},
    {"inputs": {"ticket": "d"}, "outputs": "bug", "expectations": {}},
]


def by_ticket(result: Any, name: str) -> dict[str, Any]:
    found = {}
    for _, row in result.result_df.iterrows():
        for item in row["assessments"]:
            if item["assessment_name"] == name:
                found[row["request"]["ticket"]] = item
    return found


def test_evaluate_with_our_scorers(mlflow: Any, judge: Judge) -> None:
    measure = scorers.mlflow.wrap("label_match")
    asked = scorers.mlflow.wrap(scorers.correctness(model="acme/judge", complete=judge), name="right")
    result = mlflow.genai.evaluate(data=ROWS, scorers=[measure, asked])
    # the row without an expectation is left out of the mean, not counted as 0
    assert result.metrics["label_match/mean"] == pytest.approx(2 / 3)
    found = by_ticket(result, "label_match")
    assert found["a"]["feedback"]["value"] == 1.0
    assert found["b"]["feedback"]["value"] == 0.0
    assert found["b"]["rationale"] == "expected 'billing', got 'bug'"
    assert found["b"]["source"] == {"source_type": "CODE", "source_id": "scorers/label_match@1"}
    assert json.loads(found["b"]["metadata"]["scorers.evidence"])["kind"] == "other_answer"
    assert found["c"]["feedback"]["value"] == 1.0  # a single expectation of another name stands for itself
    missing = found["d"]["feedback"]
    assert missing.get("value") is None
    assert missing["error"]["error_code"] == "no_expected"
    right = by_ticket(result, "right")
    assert right["a"]["feedback"]["value"] == 1.0
    assert right["b"]["source"]["source_type"] == "LLM_JUDGE"
    assert right["b"]["metadata"]["scorers.judge"] == "acme/judge"
    assert right["b"]["metadata"]["mlflow.assessment.judgeCost"] == "0.5"
    assert right["b"]["metadata"]["mlflow.assessment.judgeInputTokens"] == "7"
    assert all(question.model == "acme/judge" for question in judge.questions)


def test_passing_in_evaluate(mlflow: Any) -> None:
    # without expectations: MLflow takes those for values of scorers when it looks what passed
    rows = [{"inputs": {"ticket": "a"}, "outputs": "x"}]
    assert mlflow.genai.evaluate(data=rows, scorers=[scorers.mlflow.wrap(Half(), pass_at=0.5)]).passed
    strict = mlflow.genai.evaluate(data=rows, scorers=[scorers.mlflow.wrap(Half())])
    assert not strict.passed
    assert strict.reason == "half: value=0.5"


class Half:
    name = "half"
    version = "7"

    def __call__(self, *, output: Any, expected: Any = None, inputs: Any = None, trace: Any = None) -> Score:
        return Score(name="half", version="7", value=0.5, evidence={"kind": "half", "seen": str(inputs)})


def test_traces_as_data(mlflow: Any) -> None:
    """What an autologged model call leaves: messages in, a completion out."""
    span = mlflow.start_span_no_context(
        "chat", inputs={"messages": [{"role": "user", "content": "which queue?"}], "model": "m"}
    )
    span.end(outputs={"choices": [{"message": {"role": "assistant", "content": "billing"}}]})
    mlflow.log_expectation(trace_id=span.trace_id, name="expected_response", value="billing")
    result = mlflow.genai.evaluate(
        data=[mlflow.get_trace(span.trace_id)], scorers=[scorers.mlflow.wrap("label_match")]
    )
    assert result.metrics == {"label_match/mean": 1.0}


def test_alone_it_gives_a_feedback() -> None:
    given = scorers.mlflow.wrap("label_match")(outputs="x", expectations={"expected_response": "y"})
    assert (given.name, given.value, given.error) == ("label_match", 0.0, None)


def test_a_judge_that_fails_is_an_error_without_a_value(judge: Judge) -> None:
    judge.fail = True
    wrapped = scorers.mlflow.wrap(scorers.correctness(model="acme/judge", complete=judge))
    given = wrapped.run(inputs={}, outputs="other", expectations={"expected_response": "thing"})
    assert given.value is None
    assert (given.error.error_code, given.error.error_message) == ("judge_failed", "timeout: too slow")


def test_a_scorer_that_breaks_is_an_error_without_a_value() -> None:
    def odd(output: Any) -> float:
        raise KeyError("nothing")

    given = scorers.mlflow.wrap(odd)(outputs="x")
    assert (given.name, given.value, given.error.error_code) == ("odd", None, "error")


def test_options(judge: Judge) -> None:
    assert scorers.mlflow.wrap("label_match", aggregations=["min", "max"]).aggregations == ["min", "max"]
    assert scorers.mlflow.wrap("label_match").timeout == 0
    assert scorers.mlflow.wrap(scorers.correctness(model="a/b", complete=judge)).timeout is None
    with pytest.raises(ScorerSpecError, match="is no scorer"):
        scorers.mlflow.wrap(3)


def test_what_mlflow_cannot_keep_is_refused_with_what_to_do_instead(mlflow: Any) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.genai.scorers import Scorer, ScorerSamplingConfig

    wrapped = scorers.mlflow.wrap("label_match")
    with pytest.raises(MlflowException, match="promptmigrate traces score --scorers label_match"):
        wrapped.register(name="mine")
    with pytest.raises(MlflowException, match="promptmigrate traces score"):
        wrapped.start(sampling_config=ScorerSamplingConfig(sample_rate=1.0))
    # MLflow itself; if this changes, so must the text above.
    with pytest.raises(MlflowException, match="must be a builtin or decorator scorer"):
        Scorer.register(wrapped)


def test_mlflow_schedules_only_scorers_that_ask_its_gateway(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decorated function can be registered where the server runs such code, but not started."""
    from mlflow.exceptions import MlflowException
    from mlflow.genai.scorers import ScorerSamplingConfig, scorer

    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS", "true")

    @scorer
    def decorated(outputs: str) -> bool:
        return bool(outputs)

    kept = decorated.register()
    with pytest.raises(MlflowException, match="only supported for scorers that use gateway models"):
        kept.start(sampling_config=ScorerSamplingConfig(sample_rate=1.0))
