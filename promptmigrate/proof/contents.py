"""A bundle's entries, read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptmigrate.config import EndpointConfig
from promptmigrate.decide import Opening, PairedRow, Rules
from promptmigrate.errors import DataError, UsageError
from promptmigrate.lm.cache import load_reply
from promptmigrate.proof.findings import Finding
from promptmigrate.proof.jsonl import load, load_lines
from promptmigrate.proof.requests import endpoints_of
from promptmigrate.proof.shapes import (
    ENTRIES,
    MANIFEST,
    Call,
    Manifest,
    OpeningEntry,
    Other,
    Row,
    ScorerEntry,
    Sides,
    TestRow,
    check,
)
from promptmigrate.types import Example, Reply, Variant


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that a bundle says."""

    manifest: Manifest
    config: Mapping[str, Any]
    rows: tuple[Row, ...]
    sides: Sides
    production: Variant
    candidate: Variant
    scorers: tuple[ScorerEntry, ...]
    test_rows: tuple[TestRow, ...]
    pairs: tuple[PairedRow, ...]
    """What the gate decided on; one per test row."""
    others: tuple[tuple[str, tuple[PairedRow, ...]], ...]
    """Digest and rows of each other candidate."""
    calls: Mapping[str, Reply]
    calls_entry: bytes
    rules: Rules
    verdict: Mapping[str, Any]
    openings: tuple[Opening, ...]
    endpoints: Mapping[str, EndpointConfig]

    @cached_property
    def examples(self) -> dict[str, Example]:
        """All Examples by id."""
        return {row.id: row.example for row in self.rows}

    @cached_property
    def weights(self) -> dict[str, float]:
        """Scorer -> weight in the quality."""
        return {scorer.name: scorer.weight for scorer in self.scorers}


def read_manifest(entries: Mapping[str, bytes]) -> Manifest:
    """The manifest.

    Raises:
        DataError: there is none, or it is not one of this schema.
    """
    if MANIFEST not in entries:
        raise DataError("not there", file=MANIFEST)
    return check(Manifest, load(entries[MANIFEST], entry=MANIFEST), entry=MANIFEST)


def check_entries(manifest: Manifest, entries: Mapping[str, bytes]) -> Iterator[Finding]:
    """Whether the archive holds exactly what the manifest says, each entry with its SHA-256."""
    for name in sorted({*ENTRIES, *manifest.entries, *entries} - {MANIFEST}):
        stated = manifest.entries.get(name)
        if name not in ENTRIES:
            yield Finding(entry=name, problem="does not belong in a bundle")
        elif name not in entries:
            yield Finding(entry=name, problem="is missing")
        elif stated is None:
            yield Finding(entry=name, problem="is not in the manifest")
        else:
            found = hashlib.sha256(entries[name]).hexdigest()
            if found != stated.sha256:
                yield Finding(
                    entry=name, problem=f"has SHA-256 {found}, and the manifest says {stated.sha256}"
                )
            elif len(entries[name]) != stated.size:
                yield Finding(entry=MANIFEST, field=f"entries.{name}.size", problem="is not its size")


def read(manifest: Manifest, entries: Mapping[str, bytes]) -> Contents:
    """All entries.

    Raises:
        DataError: naming the entry, the row and the field that cannot be read.
    """
    lines = {name: load_lines(entries[name], entry=name) for name in ENTRIES if name.endswith(".jsonl")}
    values = {name: load(entries[name], entry=name) for name in ENTRIES if name.endswith(".json")}
    for name in ("config.json", "rules.json", "verdict.json", "costs.json"):
        if not isinstance(values[name], dict):
            raise DataError("not a JSON object", file=name)
    for name in ("scorers.json", "openings.json"):
        if not isinstance(values[name], list):
            raise DataError("not a JSON list", file=name)
    rows = tuple(
        check(Row, value, entry="dataset.jsonl", row=number)
        for number, value in enumerate(lines["dataset.jsonl"], 1)
    )
    test_rows = tuple(
        check(TestRow, value, entry="test_rows.jsonl", row=number)
        for number, value in enumerate(lines["test_rows.jsonl"], 1)
    )
    sides = check(Sides, values["variants.json"], entry="variants.json")
    return Contents(
        manifest=manifest,
        config=values["config.json"],
        rows=rows,
        sides=sides,
        production=sides.production.variant,
        candidate=sides.candidate.variant,
        scorers=tuple(
            check(ScorerEntry, value, entry="scorers.json", row=number)
            for number, value in enumerate(values["scorers.json"], 1)
        ),
        test_rows=test_rows,
        pairs=tuple(_pair(row.row, "test_rows.jsonl", number) for number, row in enumerate(test_rows, 1)),
        others=tuple(_other(value, number) for number, value in enumerate(lines["others.jsonl"], 1)),
        calls=dict(_call(value, number) for number, value in enumerate(lines["calls.jsonl"], 1)),
        calls_entry=entries["calls.jsonl"],
        rules=_rules(values["rules.json"]),
        verdict=values["verdict.json"],
        openings=tuple(
            Opening(**check(OpeningEntry, value, entry="openings.json", row=number).model_dump())
            for number, value in enumerate(values["openings.json"], 1)
        ),
        endpoints=endpoints_of(values["config.json"]),
    )


def _pair(value: Mapping[str, Any], entry: str, number: int) -> PairedRow:
    try:
        return PairedRow.from_json(value)
    except (UsageError, TypeError, ValueError) as error:
        raise DataError(str(error), file=entry, row=number) from error


def _other(value: Mapping[str, Any], number: int) -> tuple[str, tuple[PairedRow, ...]]:
    entry = "others.jsonl"
    other = check(Other, value, entry=entry, row=number)
    return other.candidate, tuple(_pair(row, entry, number) for row in other.rows)


def _rules(value: Mapping[str, Any]) -> Rules:
    try:
        return Rules.from_json(value)
    except (UsageError, TypeError, ValueError) as error:
        raise DataError(str(error), file="rules.json") from error


def _call(value: Mapping[str, Any], number: int) -> tuple[str, Reply]:
    call = check(Call, value, entry="calls.jsonl", row=number)
    try:
        return call.key, load_reply(json.dumps(call.reply))
    except (ValueError, TypeError) as error:
        raise DataError(f"not a reply: {error}", file="calls.jsonl", row=number) from error
