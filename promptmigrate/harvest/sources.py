"""Rows from an MLflow evaluation dataset or a Hugging Face dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptmigrate import mlflow_store
from promptmigrate.errors import DataError
from promptmigrate.harvest.tables import Row


def mlflow_rows(name: str, *, tracking_uri: str | None = None) -> Iterator[Row]:
    """The records of the MLflow evaluation dataset called ``name``, oldest first.

    Raises:
        DataError: there is none, it is empty, or several have the name (MLflow allows that).
        StorageError: the store is missing or failed.
    """
    uri = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(uri)
    with mlflow_store.store_errors(uri):
        quoted = name.replace("'", "''")
        same = client.search_datasets(filter_string=f"name = '{quoted}'")
        found = [item for item in same if item.name == name]
        if len(found) != 1:
            if found:
                ids = ", ".join(item.dataset_id for item in found)
                raise DataError(
                    f"MLflow has {len(found)} datasets called {name!r} ({ids}); delete or rename all but one"
                )
            known = [item.name for item in client.search_datasets(max_results=500)]
            raise DataError(
                f"MLflow store {mlflow_store.public_uri(uri)} has no dataset {name!r}; "
                f"{mlflow_store.nearest(name, known)}"
            )
        records, _ = mlflow_store.backend(client)._load_dataset_records(found[0].dataset_id, max_results=None)
    where = f"MLflow dataset {name!r}"
    if not records:
        raise DataError(f"{where} has no records")
    for number, record in enumerate(records, 1):
        values: dict[str, Any] = {
            "inputs": record.inputs,
            "outputs": record.outputs,
            "expectations": record.expectations,
        }
        source = getattr(record.source, "source_data", None) or {}
        if source.get("trace_id"):
            values["trace_ids"] = [source["trace_id"]]
        if source.get("session_id"):
            values["session"] = source["session_id"]
        yield Row(file=where, number=number, line=None, values=values)


def hf_rows(path: str, *, folder: Path = Path()) -> Iterator[Row]:
    """The rows of a Hugging Face dataset: a local folder (relative to ``folder``) or a name on the hub.

    ``path:split`` chooses a split; without it, ``train`` if there is one, else the first. Datasets that need
    code of their own are refused by the library.

    Raises:
        DataError: it cannot be loaded, has no such split, or is empty.
    """
    import datasets

    name, _, split = path.partition(":")
    local = folder / name
    where = f"Hugging Face dataset {path!r}"
    try:
        if local.is_dir() and (
            (local / "dataset_dict.json").exists() or (local / "dataset_info.json").exists()
        ):
            loaded = datasets.load_from_disk(str(local))
        else:
            loaded = datasets.load_dataset(str(local) if local.exists() else name)
    except Exception as error:
        raise DataError(f"{where} cannot be loaded: {mlflow_store.one_line(error)}") from error
    if isinstance(loaded, dict):
        known = list(loaded)
        wanted = split or ("train" if "train" in known else known[0])
        if wanted not in known:
            raise DataError(f"{where} has no split {wanted!r}; {mlflow_store.nearest(wanted, known)}")
        loaded = loaded[wanted]
    if len(loaded) == 0:
        raise DataError(f"{where} has no rows")
    for number, values in enumerate(loaded, 1):
        yield Row(file=where, number=number, line=None, values=dict(values))
