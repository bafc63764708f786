"""What a verification says: findings, what was checked, and what could not be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from promptmigrate.errors import DataError
from promptmigrate.proof.answers import Scored
from promptmigrate.terminal import visible
from scorers import Score

_CHARS = 90
_CLOSE = 1e-9
"""Relative: another processor or numpy may round the last digits otherwise."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing in a bundle that does not hold."""

    entry: str
    """The file inside the bundle."""
    where: str = ""
    """Which row (an example's id) or call, where the entry has several."""
    field: str = ""
    """Dotted path of the value."""
    problem: str
    """One sentence; what the bundle says and what was found instead."""

    def __str__(self) -> str:
        # One line, whatever the bundle holds.
        place = " ".join(part for part in (self.entry, self.where, self.field) if part)
        return visible(f"{place}: {self.problem}", keep="")

    def to_json(self) -> dict[str, str]:
        """For programs."""
        return {"entry": self.entry, "where": self.where, "field": self.field, "problem": self.problem}

    @classmethod
    def of(cls, error: DataError) -> Finding:
        """An entry that is not what it should be."""
        entry = str(error.file or "")
        text = str(error)
        row = f"line {error.row}" if error.row is not None else ""
        prefix = f"{entry}, row {error.row}: " if row else f"{entry}: "
        return cls(entry=entry, where=row, problem=text.removeprefix(prefix))


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found out about a bundle."""

    path: str
    digest: str
    """SHA-256 of the file, ``sha256:...``."""
    name: str
    run: str
    verdict: str | None
    """What the bundle says; it holds where there is no finding."""
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    """What was recomputed, one sentence each."""
    notes: tuple[str, ...]
    """What could not be."""

    @property
    def ok(self) -> bool:
        """Whether everything that was checked holds."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": self.ok,
            "bundle": self.path,
            "digest": self.digest,
            "name": self.name,
            "run": self.run,
            "verdict": self.verdict,
            "findings": [finding.to_json() for finding in self.findings],
            "checked": list(self.checked),
            "notes": list(self.notes),
        }


def shown(value: Any) -> str:
    """``value`` in a sentence: JSON, escaped, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _CHARS else text[:_CHARS] + "…"


def compare(entry: str, said: Any, found: Any, *, where: str = "", field: str = "") -> Iterator[Finding]:
    """One finding for each value in which ``said`` differs from ``found``."""
    if isinstance(said, dict) and isinstance(found, dict):
        for key in sorted({*said, *found}):
            inner = f"{field}.{key}" if field else str(key)
            if key not in said or key not in found:
                verb = (
                    "lacks a value that follows from the rest" if key not in said else "has a value too many"
                )
                value = found.get(key, said.get(key))
                yield Finding(entry=entry, where=where, field=inner, problem=f"{verb}: {shown(value)}")
            else:
                yield from compare(entry, said[key], found[key], where=where, field=inner)
    elif isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        for index, (one, other) in enumerate(zip(said, found, strict=True)):
            yield from compare(entry, one, other, where=where, field=f"{field}[{index}]")
    elif not _same(said, found):
        yield Finding(
            entry=entry,
            where=where,
            field=field,
            problem=f"says {shown(said)}, recomputed it is {shown(found)}",
        )


def compare_scores(stated: Scored, score: Score, *, entry: str, where: str, field: str) -> Iterator[Finding]:
    """Findings where ``score`` is not the ``stated`` one."""
    said, found = stated.model_dump(), Scored.of(score).model_dump()
    if stated.unscored is not None:
        said["rationale"] = found["rationale"] = None  # how something broke may be worded otherwise
    yield from compare(entry, said, found, where=where, field=field)


def close(said: float | None, found: float) -> bool:
    """Whether two numbers are one, but for the last digits."""
    try:
        return said is not None and math.isclose(said, found, rel_tol=_CLOSE, abs_tol=1e-12)
    except OverflowError:  # a whole number beyond all floats is near none but itself
        return said == found


def _same(said: Any, found: Any) -> bool:
    if isinstance(said, bool) or isinstance(found, bool):
        return said is found
    if isinstance(said, int | float) and isinstance(found, int | float):
        return close(said, found)
    return type(said) is type(found) and bool(said == found)
