"""Reading traces from an MLflow store: newest first, by time, without doubling rows while traces arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promptmigrate import mlflow_store
from promptmigrate.errors import DataError
from promptmigrate.harvest import markers, reasons
from promptmigrate.harvest._call import Call, Tally
from promptmigrate.harvest.recognise import Wanted, recognise, reject
from scorers.mlflow import FilterError, milliseconds, moment, trace_infos

if TYPE_CHECKING:
    from mlflow import MlflowClient

SPAN_BATCH = 200
"""Traces whose spans are read at a time."""


def read_traces(
    wanted: Wanted,
    *,
    experiment: str,
    tally: Tally,
    tracking_uri: str | None = None,
    filter_string: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 2000,
) -> list[Call]:
    """The calls of the wanted prompt in an experiment, newest first; what is left out is counted.

    Args:
        wanted: The prompt, and what must hold of its calls.
        experiment: Name of the MLflow experiment.
        tally: Counts what was read and dropped.
        tracking_uri: The store; see :func:`promptmigrate.mlflow_store.resolve`.
        filter_string: An MLflow ``search_traces`` filter, applied by the store.
        since: Age or ISO date of the oldest trace.
        until: Age or ISO date of the newest.
        limit: Reading stops when this many calls are kept.

    Raises:
        DataError: no such experiment, or a filter that MLflow refuses.
        StorageError: the store is missing or failed.
    """
    uri = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(uri)
    experiment_id = mlflow_store.experiment_id(client, experiment, uri=uri)
    tally.source = f"experiment {experiment!r} in {mlflow_store.public_uri(uri)}"
    now = datetime.now(UTC)
    newest = _moment(until, now, "until") if until else milliseconds(now + timedelta(days=1))
    oldest = _moment(since, now, "since") if since else None
    calls: list[Call] = []
    waiting: list[Any] = []

    def flush() -> None:
        for trace in _with_spans(client, uri, waiting):
            found = reasons.LOST if trace is None else recognise(trace, wanted)
            if isinstance(found, str):
                tally.drop(found)
            else:
                calls.extend(found)
        waiting.clear()

    with mlflow_store.store_errors(uri):
        for info in _infos(client, experiment_id, filter_string, oldest, newest):
            tally.read += 1
            if reason := reject(info, wanted):
                tally.drop(reason)
                continue
            waiting.append(info)
            if len(waiting) >= min(SPAN_BATCH, max(1, limit - len(calls))):
                flush()
                if len(calls) >= limit:
                    break
        else:
            flush()
    return calls[:limit]


def _infos(
    client: MlflowClient, experiment_id: str, filter_string: str | None, oldest: int | None, newest: int
) -> Iterator[Any]:
    try:
        yield from trace_infos(
            client, experiment_id, filter_string=filter_string, oldest=oldest, newest=newest
        )
    except FilterError as error:
        raise DataError(f"data.traces.filter is refused by MLflow: {mlflow_store.one_line(error)}") from error


def _with_spans(client: MlflowClient, uri: str, infos: Sequence[Any]) -> list[Any]:
    """The traces of ``infos`` with their spans, in order; None where the spans are gone."""
    if not infos:
        return []
    ids = [info.trace_id for info in infos]
    here = [info.trace_id for info in infos if info.tags.get(markers.SPANS_LOCATION) == "TRACKING_STORE"]
    traces: dict[str, Any] = {}
    if mlflow_store.is_sql(uri):
        # Ten times fewer queries than the public call, which asks for ten traces at a time.
        for trace in mlflow_store.backend(client).batch_get_traces(here) if here else ():
            traces[trace.info.trace_id] = trace
    rest = [trace_id for trace_id in ids if trace_id not in traces]
    if rest:
        for trace in client._tracing_client.batch_get_traces(rest):
            traces[trace.info.trace_id] = trace
    return [traces.get(trace_id) for trace_id in ids]


def _moment(text: str, now: datetime, what: str) -> int:
    try:
        return milliseconds(moment(text, now=now))
    except ValueError as error:
        raise DataError(f"data.traces.{what}: {error}") from error
