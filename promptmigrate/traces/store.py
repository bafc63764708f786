"""Traces in an MLflow store: which there are, what they hold, and writing assessments to them."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from promptmigrate import mlflow_store
from promptmigrate.errors import DataError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from scorers import Score, Scorer

_MADE_BY_EVALUATION = ("mlflow.trace.sourceScorer", "mlflow.eval.requestId")


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

    @property
    def place(self) -> tuple[str, str]:
        """What tells this experiment from those of other stores."""
        folder = mlflow_store.sqlite_folder(self.uri)
        uri = self.uri if folder is None else f"{folder.resolve()}/{self.uri.rpartition('/')[2]}"
        return uri, self._experiment_id

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
        from scorers.mlflow import FilterError, trace_infos

        try:
            yield from trace_infos(
                self._client, self._experiment_id, filter_string=filter_string, oldest=since, newest=until
            )
        except FilterError as error:
            raise DataError(f"the filter is refused by MLflow: {mlflow_store.one_line(error)}") from error

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
    from scorers.running import SPEC_HASH

    for item in info.assessments or ():
        mine = (item.metadata or {}).get(SPEC_HASH) == spec_hash
        if mine and item.valid is not False and type(item).__name__ == "Feedback" and item.error is None:
            return item
    return None
