"""Reading traces from an MLflow store: newest first, by time, without doubling rows while traces arrive."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promptmigrate import mlflow_store
from promptmigrate.errors import DataError
from promptmigrate.harvest import markers
from promptmigrate.harvest._call import Call, Tally
from promptmigrate.harvest.recognise import LOST, Wanted, recognise, reject

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 500
"""Traces asked for at a time, without their spans."""
SPAN_BATCH = 200
"""Traces whose spans are read at a time."""
_AGE = re.compile(r"(\d+)([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def moment(text: str, *, now: datetime | None = None, what: str = "since") -> datetime:
    """The time that an age (``30d``, ``12h``) or an ISO date means; without a zone it is UTC.

    Raises:
        DataError: neither an age nor a date.
    """
    if age := _AGE.fullmatch(text.strip()):
        return (now or datetime.now(UTC)) - timedelta(seconds=int(age[1]) * _UNIT_S[age[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise DataError(
            f"data.traces.{what}: {text!r} is neither an age such as 30d or 12h nor an ISO date"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
    newest = _ms(moment(until, now=now, what="until") if until else now + timedelta(days=1))
    oldest = _ms(moment(since, now=now)) if since else None
    calls: list[Call] = []
    waiting: list[Any] = []

    def flush() -> None:
        for trace in _with_spans(client, uri, waiting):
            found = LOST if trace is None else recognise(trace, wanted)
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
    """Trace infos from ``newest`` down to ``oldest`` (milliseconds), each once.

    MLflow pages by OFFSET, which doubles or skips rows while traces arrive. So each page starts at the time
    of the last one seen; OFFSET is used only inside one millisecond that fills a whole page.
    """
    seen: set[str] = set()
    token: str | None = None
    while True:
        clauses = [filter_string] if filter_string else []
        clauses.append(f"trace.timestamp_ms <= {newest}")
        if oldest is not None:
            clauses.append(f"trace.timestamp_ms >= {oldest}")
        page = _search(client, experiment_id, " AND ".join(clauses), token, bool(filter_string))
        for trace in page:
            if trace.info.trace_id not in seen:
                seen.add(trace.info.trace_id)
                yield trace.info
        if not page.token:
            return
        last = page[-1].info.timestamp_ms
        token = page.token if last >= newest else None
        newest = min(newest, last)


def _search(
    client: MlflowClient, experiment_id: str, clause: str, token: str | None, has_filter: bool
) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.search_traces(
            locations=[experiment_id],
            filter_string=clause,
            max_results=PAGE,
            order_by=["timestamp_ms DESC"],
            page_token=token,
            include_spans=False,
        )
    except MlflowException as error:
        if has_filter and error.error_code == "INVALID_PARAMETER_VALUE":
            raise DataError(
                f"data.traces.filter is refused by MLflow: {mlflow_store.one_line(error)}"
            ) from error
        raise


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


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
