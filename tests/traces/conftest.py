"""A real SQLite MLflow store with production traces in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptmigrate import mlflow_store
from tests.harvest.conftest import tracked

mlflow_store.prepare()

ROWS = [
    # ticket, answer, expected, prompt version, model
    ("charged twice", "billing", "billing", "1", "large"),
    ("it crashes", "billing", "technical", "1", "large"),
    ("cannot log in", "account", "account", "2", "small"),
    ("refund please", "**Billing**", "billing", "2", "small"),
    ("hello", "chat", None, "2", "small"),
]


def make_store(folder: Path) -> str:
    """A new store; its tables are copied, since making them takes seconds."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow_store.client(uri, create=True)
    return uri


def log(mlflow: Any, ticket: str, answer: str, expected: str | None, version: str, model: str) -> str:
    span = mlflow.start_span_no_context("triage", span_type="CHAT_MODEL", inputs={"ticket": ticket})
    span.set_attribute("mlflow.llm.model", model)
    span.end(outputs={"choices": [{"message": {"role": "assistant", "content": answer}}]})
    trace_id = str(span.trace_id)
    links = json.dumps([{"name": "triage", "version": version}])
    mlflow.set_trace_tag(trace_id, "mlflow.linkedPrompts", links)
    if expected is not None:
        mlflow.log_expectation(trace_id=trace_id, name="queue", value=expected)
    return trace_id


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database file of a store with ROWS, a failed call, and a trace of an evaluation."""
    folder = tmp_path_factory.mktemp("filled")
    uri = make_store(folder)
    with tracked(uri, "prod") as mlflow:
        for row in ROWS:
            log(mlflow, *row)
        failed = mlflow.start_span_no_context("triage", inputs={"ticket": "x"})
        failed.end(status="ERROR")
        trace_id = log(mlflow, "from evaluate", "billing", "billing", "1", "large")
        mlflow.set_trace_tag(trace_id, "mlflow.eval.requestId", "1")
    return folder / "mlflow.db"


@pytest.fixture
def uri(filled: Path, tmp_path: Path) -> str:
    """A store of one's own with the same traces."""
    copy = tmp_path / "store" / "mlflow.db"
    copy.parent.mkdir()
    copy.write_bytes(filled.read_bytes())
    return f"sqlite:///{copy}"


@pytest.fixture(autouse=True)
def _no_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    assert "OPENAI_API_BASE" not in os.environ


def feedback(uri: str) -> dict[str, list[Any]]:
    """All feedback in the store, by ticket."""
    client = mlflow_store.client(uri)
    experiment = client.get_experiment_by_name("prod")
    traces = client.search_traces(locations=[experiment.experiment_id], max_results=500)
    return {
        trace.data.spans[0].inputs["ticket"]: [
            item for item in trace.info.assessments if type(item).__name__ == "Feedback"
        ]
        for trace in traces
    }
