"""Splitting by content: a row's split follows from its group alone, so new traces never move old rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

from promptmigrate.errors import DataError
from promptmigrate.types import Dataset, Example, Split

MINIMUM_TEST = 10


def bucket(cluster: str, *, seed: int) -> float:
    """A number in [0, 1) that depends on ``seed`` and ``cluster`` only."""
    raw = hashlib.sha256(f"{seed}\0{cluster}".encode("utf-8", "replace")).digest()
    return int.from_bytes(raw[:8], "big") / 2**64


def assign(examples: Iterable[Example], *, train: float, validation: float, seed: int) -> dict[str, Split]:
    """Example id -> split; the rows of one group are together.

    The shares are those of groups in the long run; hashing hits them approximately, which is the price for a
    row staying where it is.
    """
    splits: dict[str, Split] = {}
    for example in examples:
        place = bucket(example.cluster, seed=seed)
        splits[example.id] = (
            "train" if place < train else "validation" if place < train + validation else "test"
        )
    return splits


def check_size(dataset: Dataset, *, minimum_test: int = MINIMUM_TEST) -> None:
    """Raise unless the test split is large enough to decide anything.

    Raises:
        DataError: says how many test rows there are and roughly how many rows are needed in all.
    """
    total, test = len(dataset), len(dataset.split("test"))
    if test >= minimum_test:
        return
    if not total:
        raise DataError("the dataset is empty")
    # With no test row at all its share is unknown; a third is what splits usually have.
    share = test / total if test else 1 / 3
    needed = max(total + 1, math.ceil(minimum_test / share))
    raise DataError(
        f"only {test} of {total} rows are test rows, and a verdict needs at least {minimum_test}: "
        f"gather roughly {needed} rows in all, or give data.split.test a larger share"
    )
