"""Finding traces in an MLflow store: newest first, each once, also while new ones arrive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

PAGE = 500
"""Traces asked for at a time, without their spans."""
_AGE = re.compile(r"(\d+)([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class FilterError(ValueError):
    """MLflow refuses the filter; the message says why."""


def moment(text: str, *, now: datetime | None = None) -> datetime:
    """The time that an age (``30d``, ``12h``) or an ISO date means; without a zone it is UTC.

    Raises:
        ValueError: neither an age nor a date.
    """
    if age := _AGE.fullmatch(text.strip()):
        return (now or datetime.now(UTC)) - timedelta(seconds=int(age[1]) * _UNIT_S[age[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is neither an age such as 30d or 12h nor an ISO date") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def milliseconds(when: datetime) -> int:
    """Milliseconds since 1970, as MLflow counts time."""
    return int(when.timestamp() * 1000)


def trace_infos(
    client: Any,
    experiment_id: str,
    *,
    filter_string: str | None = None,
    oldest: int | None = None,
    newest: int | None = None,
) -> Iterator[Any]:
    """The infos of the traces of an experiment from ``newest`` down to ``oldest`` (milliseconds), each once.

    MLflow pages by OFFSET, which doubles or skips rows while traces arrive. So each page starts at the time
    of the last one seen; OFFSET is used only inside one millisecond that fills a whole page.

    Raises:
        FilterError: MLflow refuses the filter.
        mlflow.exceptions.MlflowException: the store failed.
    """
    seen: set[str] = set()
    token: str | None = None
    while True:
        clauses = [filter_string] if filter_string else []
        clauses += [f"trace.timestamp_ms <= {newest}"] if newest is not None else []
        clauses += [f"trace.timestamp_ms >= {oldest}"] if oldest is not None else []
        page = _page(client, experiment_id, " AND ".join(clauses) or None, token, bool(filter_string))
        for trace in page:
            if trace.info.trace_id not in seen:
                seen.add(trace.info.trace_id)
                yield trace.info
        if not page.token:
            return
        last = page[-1].info.timestamp_ms
        token = page.token if newest is not None and last >= newest else None
        newest = last if newest is None else min(newest, last)


def _page(client: Any, experiment_id: str, clause: str | None, token: str | None, has_filter: bool) -> Any:
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
            raise FilterError(str(error)) from error
        raise
