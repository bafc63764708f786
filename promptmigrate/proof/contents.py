"""A bundle's entries, read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptmigrate.config import EndpointConfig
from promptmigrate.decide import Opening, PairedRow, Rules
from promptmigrate.errors import DataError, UsageError
from promptmigrate.lm.cache import load_reply
from promptmigrate.proof.answers import Answer
from promptmigrate.proof.findings import Finding
from promptmigrate.proof.jsonl import load, load_lines
from promptmigrate.proof.requests import endpoints_of
from promptmigrate.proof.shapes import (
    ENTRIES,
    MANIFEST,
    Call,
    Costs,
    Manifest,
    OpeningEntry,
    OtherRow,
    Row,
    ScorerEntry,
    Sides,
    TestRow,
)
from promptmigrate.shape import shaped
from promptmigrate.types import Example, Reply, Variant


@dataclass(frozen=True, kw_only=True)
class Column:
    """One variant on the test rows."""

    entry: str
    """Where its answers are."""
    name: str
    """How a finding calls it."""
    variant: Variant
    asked: bool
    """Whether its answers are replies to requests; else they are what production had recorded."""
    rows: tuple[tuple[str, tuple[Answer, ...]], ...]
    """Each test row's example and its answers, one per repeat."""


@dataclass(frozen=True, kw_only=True)
class Other:
    """Another candidate that was decided together with this one."""

    variant: Variant
    stated_digest: str
    pairs: tuple[PairedRow, ...]
    answers: tuple[tuple[Answer, ...], ...]
    """Of each of ``pairs``."""


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
    others: tuple[Other, ...]
    """In the order in which they were decided."""
    calls: Mapping[str, Reply]
    calls_entry: bytes
    rules: Rules
    verdict: Mapping[str, Any]
    table: list[Any]
    costs: Costs
    openings: tuple[Opening, ...]
    endpoints: Mapping[str, EndpointConfig]

    @cached_property
    def examples(self) -> dict[str, Example]:
        """All Examples by id."""
        return {row.id: row.example for row in self.rows}

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Production, the candidate and the others."""
        places = [pair.example for pair in self.pairs]
        production = [tuple(line.production) for line in self.test_rows]
        candidate = [tuple(line.candidate) for line in self.test_rows]
        entry = "test_rows.jsonl"
        return (
            Column(
                entry=entry,
                name="production",
                variant=self.production,
                asked=self.manifest.rerun,
                rows=tuple(zip(places, production, strict=True)),
            ),
            Column(
                entry=entry,
                name="candidate",
                variant=self.candidate,
                asked=True,
                rows=tuple(zip(places, candidate, strict=True)),
            ),
            *(
                Column(
                    entry="others.jsonl",
                    name=f"{other.variant.model} {other.variant.id}",
                    variant=other.variant,
                    asked=True,
                    rows=tuple(
                        (pair.example, answers)
                        for pair, answers in zip(other.pairs, other.answers, strict=True)
                    ),
                )
                for other in self.others
            ),
        )

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
    return shaped(Manifest, load(entries[MANIFEST], entry=MANIFEST), file=MANIFEST)


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
    for name in ("scorers.json", "openings.json", "table.json"):
        if not isinstance(values[name], list):
            raise DataError("not a JSON list", file=name)
    rows = tuple(
        shaped(Row, value, file="dataset.jsonl", row=number)
        for number, value in enumerate(lines["dataset.jsonl"], 1)
    )
    test_rows = tuple(
        shaped(TestRow, value, file="test_rows.jsonl", row=number)
        for number, value in enumerate(lines["test_rows.jsonl"], 1)
    )
    sides = shaped(Sides, values["variants.json"], file="variants.json")
    other_rows = [
        shaped(OtherRow, value, file="others.jsonl", row=number)
        for number, value in enumerate(lines["others.jsonl"], 1)
    ]
    return Contents(
        manifest=manifest,
        config=values["config.json"],
        rows=rows,
        sides=sides,
        production=sides.production.variant,
        candidate=sides.candidate.variant,
        scorers=tuple(
            shaped(ScorerEntry, value, file="scorers.json", row=number)
            for number, value in enumerate(values["scorers.json"], 1)
        ),
        test_rows=test_rows,
        pairs=tuple(_pair(row.row, "test_rows.jsonl", number) for number, row in enumerate(test_rows, 1)),
        others=_others(sides, other_rows),
        calls=dict(_call(value, number) for number, value in enumerate(lines["calls.jsonl"], 1)),
        calls_entry=entries["calls.jsonl"],
        rules=_rules(values["rules.json"]),
        verdict=values["verdict.json"],
        table=values["table.json"],
        costs=shaped(Costs, values["costs.json"], file="costs.json"),
        openings=tuple(
            shaped(OpeningEntry, value, file="openings.json", row=number).opening()
            for number, value in enumerate(values["openings.json"], 1)
        ),
        endpoints=endpoints_of(values["config.json"]),
    )


def _pair(value: Mapping[str, Any], entry: str, number: int) -> PairedRow:
    try:
        return PairedRow.from_json(value)
    except (UsageError, TypeError, ValueError) as error:
        raise DataError(str(error), file=entry, row=number) from error


def _others(sides: Sides, rows: Sequence[OtherRow]) -> tuple[Other, ...]:
    entry = "others.jsonl"
    known = {side.digest for side in sides.others}
    if len(known) < len(sides.others):
        raise DataError("two of the others are one candidate", file="variants.json")
    for number, row in enumerate(rows, 1):
        if row.candidate not in known:
            raise DataError("is of a candidate that variants.json does not have", file=entry, row=number)
    return tuple(
        Other(
            variant=side.variant,
            stated_digest=side.digest,
            pairs=tuple(_pair(r.row, entry, n) for n, r in enumerate(rows, 1) if r.candidate == side.digest),
            answers=tuple(tuple(r.answers) for r in rows if r.candidate == side.digest),
        )
        for side in sides.others
    )


def _rules(value: Mapping[str, Any]) -> Rules:
    try:
        return Rules.from_json(value)
    except (UsageError, TypeError, ValueError) as error:
        raise DataError(str(error), file="rules.json") from error


def _call(value: Mapping[str, Any], number: int) -> tuple[str, Reply]:
    call = shaped(Call, value, file="calls.jsonl", row=number)
    return call.key, load_reply(json.dumps(value["reply"]))
