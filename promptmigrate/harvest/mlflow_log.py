"""A Dataset in MLflow: its rows as an evaluation dataset, and named as the input of a run."""

from __future__ import annotations

import json
from typing import Any

from promptmigrate import mlflow_store
from promptmigrate.types import Dataset, Example

MAX_DIGEST_CHARS = 36
"""MLflow's limit for the digest of a run input."""
_RESERVED = frozenset({"goal", "persona", "context"})
"""Input names by which MLflow tells a simulated conversation from a plain row."""
_BATCH = 500


def log_dataset(
    dataset: Dataset,
    *,
    tracking_uri: str | None = None,
    experiment: str,
    run_id: str | None = None,
) -> str:
    """Show ``dataset`` in MLflow; return the name it has there.

    MLflow's evaluation datasets are mutable and their digest is not one of the content, so each content gets
    a dataset of its own, ``<name>.<12 hex digits of the digest>``, with the split of each row as a tag.
    Logging the same content again adds nothing.

    Args:
        dataset: Already redacted, as harvested.
        tracking_uri: See :func:`promptmigrate.mlflow_store.resolve`.
        experiment: Where it is shown; created if missing.
        run_id: A run that used it; the dataset becomes an input of that run.

    Raises:
        StorageError: the store is missing or failed.
    """
    uri = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(uri, create=True)
    name = f"{dataset.name or 'dataset'}.{dataset.digest[7:19]}"
    experiment_id = mlflow_store.experiment_id(client, experiment, uri=uri, create=True)
    with mlflow_store.store_errors(uri):
        found = [
            item for item in client.search_datasets(filter_string=f"name = '{name}'") if item.name == name
        ]
        if found:
            dataset_id = found[0].dataset_id
        else:
            tags = {"promptmigrate.digest": dataset.digest, "promptmigrate.rows": str(len(dataset))}
            dataset_id = client.create_dataset(name, experiment_id=[experiment_id], tags=tags).dataset_id
        store = mlflow_store.backend(client)
        # Rows have keys of their own in MLflow, so a run that died halfway is completed by the next.
        rows = [_row(example, dataset.splits[example.id]) for example in dataset]
        for start in range(0, len(rows), _BATCH):
            store.upsert_dataset_records(dataset_id, rows[start : start + _BATCH])
        if run_id is not None:
            _log_input(client, dataset, name, dataset_id, run_id)
    return name


def _row(example: Example, split: str) -> dict[str, Any]:
    # A lone "goal" would turn the dataset into one of simulated conversations, which refuses plain rows.
    inputs = {f"{key}_" if key in _RESERVED else key: value for key, value in example.inputs.items()}
    row: dict[str, Any] = {
        "inputs": inputs,
        "expectations": dict(example.expectations),
        "tags": {"split": split, "promptmigrate.id": example.id},
    }
    if example.reference is not None:
        row["outputs"] = example.reference
    if example.trace_ids:
        row["source"] = {"source_type": "TRACE", "source_data": {"trace_id": example.trace_ids[0]}}
    return row


def _log_input(client: Any, dataset: Dataset, name: str, dataset_id: str, run_id: str) -> None:
    from mlflow.entities import Dataset as InputDataset
    from mlflow.entities import DatasetInput, InputTag

    counts = {split: len(dataset.split(split)) for split in ("train", "validation", "test")}
    entity = InputDataset(
        name=name,
        digest=dataset.digest.removeprefix("sha256:")[:MAX_DIGEST_CHARS],
        source_type="promptmigrate",
        source=json.dumps({"dataset_id": dataset_id, "digest": dataset.digest}),
        profile=json.dumps({"num_rows": len(dataset), **counts}),
    )
    client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", "migration")])])
