"""A digest of every row, call and value of a bundle: what was changed has a place, and not an entry only.

The manifest has a digest of each entry, which says that an entry differs. Here each line of a JSONL entry
and each value of a JSON entry has one, so that a changed row is named although nothing follows from it: a
reply of a judge, a latency, what the run spent. Who forges these digests too has to be found by what is
recomputed, or by the digest of the file that is kept elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from promptmigrate.errors import DataError
from promptmigrate.proof.findings import Finding
from promptmigrate.proof.jsonl import dump, load, load_lines
from promptmigrate.proof.shapes import MANIFEST, SEALS


def seals_of(entries: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Entry -> place -> SHA-256 of what is there, of all entries but the seals themselves.

    Of the manifest all but its digests of entries, which hold the seals' own.

    Raises:
        DataError: an entry cannot be read.
    """
    return {name: dict(_places(name, data)) for name, data in sorted(entries.items()) if name != SEALS}


def check_seals(entries: Mapping[str, bytes]) -> Iterator[Finding]:
    """One finding for each row, call or value that is not the sealed one.

    Raises:
        DataError: an entry cannot be read.
    """
    sealed = load(entries[SEALS], entry=SEALS)
    found = seals_of(entries)
    if not isinstance(sealed, dict) or not all(isinstance(value, dict) for value in sealed.values()):
        raise DataError("not digests by entry and place", file=SEALS)
    for name in sorted({*sealed, *found}):
        said, real = sealed.get(name, {}), found.get(name, {})
        for place in sorted({*said, *real}):
            if said.get(place) == real.get(place):
                continue
            problem = (
                "is not sealed" if place not in said
                else "was sealed and is not there" if place not in real
                else "is not what was sealed"
            )  # fmt: skip
            yield Finding(entry=name, where=place, problem=problem)


def _places(name: str, data: bytes) -> Iterator[tuple[str, str]]:
    if name.endswith(".jsonl"):
        seen: dict[str, int] = {}
        order = []
        for number, line in enumerate(load_lines(data, entry=name), 1):
            place = _place(line) or f"line {number}"
            seen[place] = seen.get(place, 0) + 1
            order.append(place)
            yield place if seen[place] == 1 else f"{place} ({seen[place]})", _digest(line)
        yield "(order)", _digest(order)
        return
    value = load(data, entry=name)
    if isinstance(value, dict):
        for key, inner in value.items():
            if (name, key) != (MANIFEST, "entries"):
                yield key, _digest(inner)
    else:
        for number, inner in enumerate(value if isinstance(value, list) else [value], 1):
            yield f"item {number}", _digest(inner)


def _place(line: Mapping[str, Any]) -> str:
    """What a line is about: an example, of one of several candidates, or a call."""
    row = line.get("row")
    example = row.get("example") if isinstance(row, dict) else line.get("id") or line.get("key")
    parts = (example, line.get("candidate") if "answers" in line else None)
    return " of ".join(part for part in parts if isinstance(part, str))


def _digest(value: Any) -> str:
    return hashlib.sha256(dump(value)).hexdigest()
