"""Labels that people gave in MLflow, as rows to calibrate judges on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorers._bridge import expected_of
from scorers._mlflow_traces import milliseconds, moment, trace_infos
from scorers._mlflow_values import Mapped, value_of
from scorers._mlflow_wrap import prepare
from scorers._trace_reading import read_trace

_GROUPS = ("mlflow.trace.session", "mlflow.trace.user")
_SPANS = 100


def labelled(
    experiment: str,
    *,
    name: str,
    tracking_uri: str | None = None,
    since: str | None = None,
    filter_string: str | None = None,
    limit: int = 10_000,
    source: str | None = "HUMAN",
    mapping: Mapped = None,
) -> list[dict[str, Any]]:
    """Rows with what people said about recorded outputs, for :func:`scorers.calibrate`.

    Args:
        experiment: Name of the MLflow experiment with the traces.
        name: Name of the assessment (feedback) that is the label.
        tracking_uri: The store; by default that of the process.
        since: Age (``30d``, ``12h``) or ISO date of the oldest trace.
        filter_string: An MLflow ``search_traces`` filter.
        limit: At most so many labelled traces, newest first.
        source: Who gave the label: HUMAN, LLM_JUDGE or CODE; None takes any.
        mapping: Labels as values in [0, 1], by text or by a function; by default they are given as they are.

    Returns:
        Mappings with ``output``, ``expected``, ``inputs``, ``label``, ``group`` (session or user: such rows
        hang together), ``trace_id`` and ``rater``. Of several labels of a trace the newest valid one counts.

    Raises:
        ValueError: no such store or experiment, or a label that ``mapping`` does not know.
    """
    prepare()
    from mlflow import MlflowClient

    _check_store(tracking_uri)
    client = MlflowClient(tracking_uri=tracking_uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise ValueError(f"there is no experiment {experiment!r} in the MLflow store")
    try:
        oldest = None if since is None else milliseconds(moment(since))
    except ValueError as error:
        raise ValueError(f"since: {error}") from error
    labels: dict[str, Any] = {}
    for info in trace_infos(client, found.experiment_id, filter_string=filter_string, oldest=oldest):
        label = _label(info.assessments or (), name, source)
        if label is not None and getattr(info.state, "value", info.state) == "OK":
            labels[info.trace_id] = label
            if len(labels) >= limit:
                break
    rows = []
    for trace in _with_spans(client, list(labels)):
        call = read_trace(trace)
        label = labels[call.trace_id]
        value = label.value if mapping is None else value_of(label.value, mapping)
        if value is None:
            raise ValueError(
                f"the label {name!r} of trace {call.trace_id} is {label.value!r:.60}, which the mapping does "
                "not know"
            )
        if call.skip:
            continue
        rows.append(
            {
                "output": call.output,
                "expected": expected_of(call.expectations),
                "inputs": call.inputs,
                "label": value,
                "group": next((v for key in _GROUPS if (v := trace.info.trace_metadata.get(key))), None),
                "trace_id": call.trace_id,
                "rater": label.source.source_id,
            }
        )
    return rows


def _label(assessments: Any, name: str, source: str | None) -> Any:
    fitting = [
        item
        for item in assessments
        if item.name == name
        and type(item).__name__ == "Feedback"
        and item.valid is not False
        and item.error is None
        and item.value is not None
        and (source is None or item.source.source_type == source)
    ]
    return max(fitting, key=lambda item: item.last_update_time_ms or 0, default=None)


def _with_spans(client: Any, trace_ids: list[str]) -> Iterator[Any]:
    for start in range(0, len(trace_ids), _SPANS):
        part = trace_ids[start : start + _SPANS]
        traces = {t.info.trace_id: t for t in client._tracing_client.batch_get_traces(part)}
        yield from (traces[trace_id] for trace_id in part if trace_id in traces)


def _check_store(uri: str | None) -> None:
    """MLflow would make an empty store where there is none, and find no traces in it."""
    if uri is not None and uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///").split("?", 1)[0])
        if not path.exists():
            raise ValueError(f"there is no MLflow store at {path}")
