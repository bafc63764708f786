"""dataset.parquet: a Dataset as a file, whole and verified, or not at all."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from promptmigrate.errors import DataError
from promptmigrate.files import atomic_write
from promptmigrate.types import Dataset, Example, Split

SCHEMA = "promptmigrate.dataset/1"
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_KEY = b"promptmigrate"


def write_dataset(dataset: Dataset, path: Path) -> Path:
    """Write ``dataset`` to ``path`` (Parquet, nested values as JSON texts), with its digest in the file.

    Raises:
        StorageError: the folder cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    schema = pa.schema(
        [
            ("id", text),
            ("split", text),
            ("inputs", text),
            ("reference", text),
            ("expectations", text),
            ("group", text),
            ("weight", pa.float64()),
            ("trace_ids", pa.list_(text)),
            ("metadata", text),
        ],
        metadata={_KEY: _json({"schema": SCHEMA, "name": dataset.name, "digest": dataset.digest})},
    )
    rows = [
        {
            "id": example.id,
            "split": dataset.splits[example.id],
            "inputs": _json(dict(example.inputs)),
            "reference": example.reference,
            "expectations": _json(dict(example.expectations)),
            "group": example.group,
            "weight": example.weight,
            "trace_ids": list(example.trace_ids),
            "metadata": _json(dict(example.metadata)),
        }
        for example in dataset
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    atomic_write(path, buffer.getvalue())
    return path


def read_dataset(path: Path) -> Dataset:
    """The Dataset that :func:`write_dataset` wrote.

    Raises:
        DataError: the file is missing, of another kind, or its rows do not have the digest it states.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise DataError(f"the dataset cannot be read: {error.strerror or error}", file=path) from error
    except pa.ArrowException as error:
        raise DataError("this is not a readable Parquet file", file=path) from error
    try:
        head = json.loads((table.schema.metadata or {})[_KEY])
        if head["schema"] != SCHEMA:
            raise DataError(f"the file has schema {head['schema']!r}, not {SCHEMA!r}", file=path)
        examples, splits = [], {}
        for row in table.to_pylist():
            if row["split"] not in _SPLITS:
                raise DataError(f"the split {row['split']!r} does not exist", file=path)
            splits[row["id"]] = row["split"]
            examples.append(
                Example(
                    id=row["id"],
                    inputs=json.loads(row["inputs"]),
                    reference=row["reference"],
                    expectations=json.loads(row["expectations"]),
                    group=row["group"],
                    weight=row["weight"],
                    trace_ids=tuple(row["trace_ids"]),
                    metadata=json.loads(row["metadata"]),
                )
            )
        dataset = Dataset(examples=tuple(examples), splits=splits, name=head["name"])
        stated = head["digest"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "this Parquet file is not a dataset that 'promptmigrate harvest' wrote", file=path
        ) from error
    if dataset.digest != stated:
        raise DataError(
            f"the rows do not have the digest that the file states ({stated[:19]}...): it was changed; "
            "harvest again",
            file=path,
        )
    return dataset


def _json(value: Any) -> str:
    # ASCII only: Parquet texts cannot hold lone surrogates, JSON escapes can.
    return json.dumps(value, allow_nan=False)
