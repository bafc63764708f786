"""Traces in an MLflow store: which there are, what they hold, and writing assessments to them."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promptmigrate import mlflow_store
from promptmigrate.errors import DataError, UsageError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from scorers import Score, Scorer

PAGE = 500
"""Traces asked for at a time, without their spans."""
_AGE = re.compile(r"(\d+)([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MADE_BY_EVALUATION = ("mlflow.trace.sourceScorer", "mlflow.eval.requestId")


def moment(text: str, *, what: str) -> int:
    """Milliseconds since 1970 of an age (``24h``, ``7d``) or an ISO date; without a zone it is UTC.

    Raises:
        UsageError: neither an age nor a date.
    """
    if age := _AGE.fullmatch(text.strip()):
        when = datetime.now(UTC) - timedelta(seconds=int(age[1]) * _UNIT_S[age[2]])
    else:
        try:
            when = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise UsageError(
                f"{what} {text!r} is neither an age such as 24h or 7d nor an ISO date"
            ) from error
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return int(when.timestamp() * 1000)


def rank(trace_id: str) -> float:
    """A number in [0, 1) that is always the same for a trace, and uniform over traces."""
    return int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8], "big") / 2**64


class TraceStore:
    """The traces of one experiment.

    Raises:
        DataError: there is no such experiment.
        StorageError: the store is missing or failed.
    """

    def __init__(self, experiment: str, tracking_uri: str | None) -> None:
        self.uri = mlflow_store.resolve(tracking_uri)
        self._client: MlflowClient = mlflow_store.client(self.uri)
        self._experiment_id = mlflow_store.experiment_id(self._client, experiment, uri=self.uri)

    def infos(
        self,
        *,
        since: int | None,
        until: int | None,
        filter_string: str | None,
        sample: float | None,
        limit: int | None,
    ) -> list[Any]:
        """Infos of the production traces in a time window, newest first.

        ``sample`` and ``limit`` choose by :func:`rank`, so the same traces are chosen each time, and a larger
        sample holds a smaller one.
        """
        with mlflow_store.store_errors(self.uri):
            found = (
                info
                for info in self._all(since, until, filter_string)
                if not any(tag in info.tags for tag in _MADE_BY_EVALUATION)
                and (sample is None or rank(info.trace_id) < sample)
            )
            if limit is None:
                return list(found)
            chosen = heapq.nsmallest(limit, found, key=lambda info: rank(info.trace_id))
        return sorted(chosen, key=lambda info: -info.timestamp_ms)

    def _all(self, since: int | None, until: int | None, filter_string: str | None) -> Iterator[Any]:
        # MLflow pages by OFFSET, which doubles or skips rows while traces arrive: each page starts at the
        # time of the last trace seen; OFFSET is used only inside one millisecond that fills a whole page.
        seen: set[str] = set()
        newest, token = until, None
        while True:
            clauses = [filter_string] if filter_string else []
            clauses += [f"trace.timestamp_ms <= {newest}"] if newest is not None else []
            clauses += [f"trace.timestamp_ms >= {since}"] if since is not None else []
            page = self._page(" AND ".join(clauses) or None, token, refusable=bool(filter_string))
            for trace in page:
                if trace.info.trace_id not in seen:
                    seen.add(trace.info.trace_id)
                    yield trace.info
            if not page.token:
                return
            last = page[-1].info.timestamp_ms
            token = page.token if last == newest else None
            newest = last

    def _page(self, clause: str | None, token: str | None, *, refusable: bool) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.search_traces(
                locations=[self._experiment_id],
                filter_string=clause,
                max_results=PAGE,
                order_by=["timestamp_ms DESC"],
                page_token=token,
                include_spans=False,
            )
        except MlflowException as error:
            if refusable and error.error_code == "INVALID_PARAMETER_VALUE":
                raise DataError(f"the filter is refused by MLflow: {mlflow_store.one_line(error)}") from error
            raise

    def traces(self, trace_ids: Sequence[str]) -> list[Any]:
        """The traces with their spans; those that are gone are left out."""
        with mlflow_store.store_errors(self.uri):
            found = {
                t.info.trace_id: t for t in self._client._tracing_client.batch_get_traces(list(trace_ids))
            }
        return [found[trace_id] for trace_id in trace_ids if trace_id in found]

    def write(self, trace_id: str, score: Score, scorer: Scorer) -> None:
        """Put a score on its trace, as a feedback with the scorer's name, version and spec hash."""
        from scorers.mlflow import feedback

        with mlflow_store.store_errors(self.uri):
            assessment = feedback(score, scorer)
            assessment.trace_id = trace_id
            self._client._tracing_client.log_assessment(trace_id, assessment)


def scored_by(info: Any, spec_hash: str) -> Any:
    """The feedback that a scorer with this spec hash left on a trace earlier, or None."""
    from scorers._mlflow_wrap import SPEC_HASH

    for item in info.assessments or ():
        mine = (item.metadata or {}).get(SPEC_HASH) == spec_hash
        if mine and item.valid is not False and type(item).__name__ == "Feedback" and item.error is None:
            return item
    return None
