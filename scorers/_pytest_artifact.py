"""The file that holds all scores of a test session, to be judged again later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scorers._atomic import write_whole
from scorers._pytest_summary import summary
from scorers._pytest_thresholds import ThresholdsError

SCHEMA = "scorers.artifact/1"


def write_artifact(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write all records, so that a reader sees the old file or the new one, never half.

    Raises:
        ThresholdsError: it cannot be written.
    """
    ordered = sorted(records, key=lambda e: (e["test"], e["row"], e["repeat"], e["scorer"]))
    data = {"schema": SCHEMA, "summary": summary(ordered), "records": ordered}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(data, ensure_ascii=False, indent=1) + "\n")
    except OSError as error:
        raise ThresholdsError(f"{path} cannot be written: {error.strerror}") from error


def read_artifact(path: Path) -> list[dict[str, Any]]:
    """The records of an artifact.

    Raises:
        ThresholdsError: it is none.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ThresholdsError(f"the artifact {path} cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ThresholdsError(f"{path} is no artifact of --score-artifact")
    records: list[dict[str, Any]] = data["records"]
    return records
