"""The MLflow run of a migration: its numbers and files, for whoever looks in MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptmigrate import mlflow_store

MAX_PARAM_CHARS = 500
"""Longer parameters are cut; MLflow refuses them from 6000 on, and nobody reads them."""


def start_run(
    *,
    tracking_uri: str | None = None,
    experiment: str,
    name: str,
    tags: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> str:
    """Start an MLflow run, or go on with ``run_id`` if it is still there; return its id.

    Args:
        tracking_uri: The store; a missing SQLite file is made.
        experiment: Created if missing.
        name: What MLflow shows.
        tags: Written to the run, also to one that is gone on with.
        run_id: Run of an earlier, interrupted call.

    Raises:
        StorageError: the store is unreachable or failed.
    """
    uri = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(uri, create=True)
    from mlflow.exceptions import MlflowException

    texts = {key: str(value) for key, value in (tags or {}).items() if value is not None}
    with mlflow_store.store_errors(uri):
        if run_id is not None:
            try:
                known = client.get_run(run_id).info.lifecycle_stage == "active"
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                known = False
            if known:
                for key, value in texts.items():
                    client.set_tag(run_id, key, value)
                return run_id
        experiment_id = mlflow_store.experiment_id(client, experiment, uri=uri, create=True)
        return str(client.create_run(experiment_id, run_name=name, tags=texts).info.run_id)


def finish_run(
    *,
    tracking_uri: str | None = None,
    run_id: str,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    artifacts: Sequence[Path] = (),
) -> None:
    """Log numbers and files to a run and end it. Repeating it with the same values changes nothing.

    Metrics that are None and files that do not exist are left out.

    Raises:
        StorageError: the store is unreachable or failed.
    """
    uri = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(uri)
    with mlflow_store.store_errors(uri):
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        client.log_batch(
            run_id,
            metrics=[
                Metric(key, float(value), now, 0)
                for key, value in (metrics or {}).items()
                if value is not None
            ],
            params=[Param(key, str(value)[:MAX_PARAM_CHARS]) for key, value in (params or {}).items()],
        )
        for path in artifacts:
            if path.exists():
                client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, status="FINISHED")
