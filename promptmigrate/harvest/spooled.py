"""Calls that our gateway wrote to a file: one record a line, failed calls and all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptmigrate.harvest import reasons
from promptmigrate.harvest._call import TIMESTAMP
from promptmigrate.harvest._spans import iso
from promptmigrate.harvest.recognise import is_cut
from promptmigrate.harvest.tables import Row
from promptmigrate.types import Prompt

_KEPT = ("model", "variant", "route", "latency_s", "input_tokens", "output_tokens")


def is_record(values: Mapping[str, Any]) -> bool:
    """Whether a row is one of the gateway's records."""
    metadata = values.get("metadata")
    return isinstance(metadata, Mapping) and {"route", "prompt_digest", "trace_id", "kind"} <= set(metadata)


def reject(values: Mapping[str, Any], prompt: Prompt) -> str | None:
    """Why a record is of no use: like traces, and unlike hand-made rows, records are not all good."""
    metadata = values["metadata"]
    if metadata.get("error") is not None:
        return reasons.FAILED
    if metadata["prompt_digest"] != prompt.digest:
        return reasons.OTHER_PROMPT
    if not values.get("inputs"):
        return reasons.NO_INPUTS
    if is_cut([values["inputs"], values.get("reference")]):
        return reasons.CUT
    if metadata["kind"] == "truncated":
        return reasons.CUT_SHORT
    if metadata["kind"] == "filtered":
        return reasons.FILTERED
    if not str(values.get("reference") or "").strip():
        return reasons.NO_ANSWER
    return None


def as_row(row: Row) -> Row:
    """A record as a data row: with the metadata that Examples have."""
    metadata = row.values["metadata"]
    kept = {name: metadata[name] for name in _KEPT if metadata.get(name) is not None}
    if isinstance(metadata.get("start_ns"), int):
        kept[TIMESTAMP] = iso(metadata["start_ns"] / 1e9)
    usd = [metadata.get("input_usd"), metadata.get("output_usd")]
    if all(isinstance(part, int | float) for part in usd):
        kept["cost_usd"] = float(sum(usd))
    values = {name: row.values.get(name) for name in ("inputs", "reference", "group")}
    return replace(row, values={**values, "metadata": kept, "trace_ids": [str(metadata["trace_id"])]})
