"""promptmigrate calibrate with labels that people gave in MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.errors import DataError
from tests.cli.test_calibrate import OTHER, SAME, experiment, run


def test_labels_from_mlflow(mlflow: Any, store: str, tmp_path: Path, request: pytest.FixtureRequest):
    from mlflow.entities import AssessmentSource

    person = AssessmentSource(source_type="HUMAN", source_id="ann")
    for number in range(4):
        with mlflow.start_span(name="call") as span:
            span.set_inputs({"text": f"question {number}"})
            span.set_outputs((SAME if number % 2 else OTHER)[1])
        mlflow.flush_trace_async_logging()
        told = {"trace_id": span.trace_id, "source": person}
        mlflow.log_feedback(name="good", value=bool(number % 2), **told)
        mlflow.log_expectation(name="expected_response", value=SAME[0], **told)
    config = experiment(tmp_path, mlflow={"tracking_uri": store})
    more = ("--labels", "mlflow", "--experiment", request.node.name, "--json")
    told = json.loads(run(tmp_path, config, *more, "--label", "good", "--since", "1d").stdout)
    assert (told["rows"], told["labelled_good"]["value"]) == (4, 0.5)
    with pytest.raises(DataError, match="has an assessment 'other' by a person"):
        run(tmp_path, config, *more, "--label", "other")
    with pytest.raises(DataError, match="since: 'soon' is neither an age"):
        run(tmp_path, config, *more, "--label", "good", "--since", "soon")
