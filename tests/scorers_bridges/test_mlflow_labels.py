"""Labels from MLflow assessments, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import scorers
import scorers.mlflow
from tests.harvest.conftest import tracked
from tests.scorers_bridges.conftest import Judge


@pytest.fixture(scope="module")
def labels(store: str) -> Iterator[str]:
    from mlflow.entities import AssessmentSource

    with tracked(store, "labels") as mlflow:
        human = AssessmentSource(source_type="HUMAN", source_id="ann")
        for number, (output, label) in enumerate([("a", True), ("b", False), ("c", None), ("d", True)]):
            span = mlflow.start_span_no_context(
                "f", inputs={"q": number}, metadata={"mlflow.trace.session": f"s{number // 2}"}
            )
            span.end(outputs=output)
            trace_id = span.trace_id
            mlflow.log_expectation(trace_id=trace_id, name="expected_response", value=output.upper())
            mlflow.log_feedback(trace_id=trace_id, name="other", value=True, source=human)
            code = AssessmentSource(source_type="CODE", source_id="x")
            mlflow.log_feedback(trace_id=trace_id, name="correct", value=False, source=code)
            if label is not None:
                mlflow.log_feedback(trace_id=trace_id, name="correct", value=label, source=human)
                mlflow.log_feedback(
                    trace_id=trace_id, name="grade", value="good" if label else "poor", source=human
                )
            if output == "d":  # she changed her mind
                found = mlflow.get_trace(trace_id).search_assessments("correct", type="feedback")
                mine = next(item for item in found if item.source.source_id == "ann")
                mlflow.override_feedback(
                    trace_id=trace_id, assessment_id=mine.assessment_id, value=False, source=human
                )
        failed = mlflow.start_span_no_context("f", inputs={"q": 9})
        failed.end(status="ERROR")
        mlflow.log_feedback(trace_id=failed.trace_id, name="correct", value=True, source=human)
    yield store


def test_labels_of_people(labels: str) -> None:
    rows = scorers.mlflow.labelled("labels", name="correct", tracking_uri=labels)
    told = {row["output"]: (row["label"], row["expected"], row["inputs"], row["group"]) for row in rows}
    assert told == {
        "a": (True, "A", {"q": 0}, "s0"),
        "b": (False, "B", {"q": 1}, "s0"),
        "d": (False, "D", {"q": 3}, "s1"),
    }
    assert {row["rater"] for row in rows} == {"ann"}
    assert [row["output"] for row in rows] == ["d", "b", "a"]


def test_other_sources_limits_and_mappings(labels: str) -> None:
    def read(**options: Any) -> list[Any]:
        found = scorers.mlflow.labelled("labels", tracking_uri=labels, **{"name": "correct", **options})
        return [row["label"] for row in found]

    assert read(source="CODE") == [False] * 4
    assert len(read(source=None)) == 4
    assert read(limit=1) == [False]
    assert read(since="2000-01-01") == read(since="3650d") == read()
    assert read(since="2099-01-01") == []
    assert read(name="grade") == ["good", "poor", "good"]
    assert read(name="grade", mapping={"good": 1, "poor": 0}) == [1.0, 0.0, 1.0]
    with pytest.raises(ValueError, match=r"'poor', which the mapping does not know"):
        read(name="grade", mapping={"good": 1})
    with pytest.raises(ValueError, match="neither an age"):
        read(since="soon")


def test_what_is_not_there_is_told(labels: str) -> None:
    with pytest.raises(ValueError, match="no experiment 'nothing'"):
        scorers.mlflow.labelled("nothing", name="correct", tracking_uri=labels)
    with pytest.raises(ValueError, match="no MLflow store at"):
        scorers.mlflow.labelled("labels", name="correct", tracking_uri="sqlite:///does-not-exist.db")


def test_they_are_what_calibrate_takes(labels: str, judge: Judge) -> None:
    rows = scorers.mlflow.labelled("labels", name="correct", tracking_uri=labels)
    asked = scorers.correctness(model="a/b", complete=judge, cascade=False)
    card = scorers.calibrate(asked, rows)
    assert card.rows == 3
    assert len(judge.questions) == 3


def test_pages(labels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorers._mlflow_traces.PAGE", 2)
    monkeypatch.setattr("scorers._mlflow_labels._SPANS", 2)
    assert len(scorers.mlflow.labelled("labels", name="correct", tracking_uri=labels)) == 3
