"""The record of who has looked at which test rows.

Test rows judge honestly once. Every further candidate shown to the same rows makes a lucky pass likelier, and
so does every change of what is asked of one that was shown to them already. So each opening is written down
*before* the rows are looked at, with the settings of its gate, and shown with the verdict. Rows are known by
what they ask and expect: a split that gained a row, or lost one, is still the split that was looked at.

The registry is a JSONL file that only grows: one line per opening, flushed to disk before the call returns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promptmigrate.decide.changes import differences
from promptmigrate.decide.rogan_gladen import JudgeErrors
from promptmigrate.errors import StorageError
from promptmigrate.files import digest, locked
from promptmigrate.types import Example

SHARED = 0.1
"""Share of its rows that an opening has in common with an earlier one, from which that one counts."""
_KEY = 16
"""Hex digits of a row's key."""
_SETTINGS = ("source", "scorers", "gate")
"""Sections of an experiment that say what production is and what is asked of a candidate."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One candidate of one run shown to one test split."""

    split_digest: str
    run: str
    candidate_digest: str
    at: str
    """When, ISO 8601 in UTC."""
    settings: Mapping[str, Any] | None = None
    """What its gate asked for, see :func:`settings_of`; None where that was not recorded."""
    rows: tuple[str, ...] | None = None
    """The rows that were looked at, see :func:`row_keys`; None where that was not recorded."""

    def seen(self, split_digest: str, rows: Collection[str]) -> frozenset[str]:
        """Those of ``rows``, which are from the split of that digest, that this opening looked at."""
        if self.split_digest == split_digest:
            return frozenset(rows)
        return frozenset(rows).intersection(self.rows or ())


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What was decided on the same test rows up to an opening, itself included."""

    decisions: int
    """Candidates, each as often as it was decided on under other settings: each could pass by luck."""
    candidates: int
    """Different ones; several that were decided together are one."""
    seen: float
    """Share of the rows that some earlier one was decided on."""
    changed: tuple[str, ...]
    """Settings that are others than in an earlier opening: ``gate.margin (0.05 -> 0.1)``."""


def settings_of(config: Mapping[str, Any], judge_errors: JudgeErrors | None = None) -> dict[str, Any]:
    """What an experiment (as JSON data) asks of a candidate, to be recorded with an opening.

    ``judge_errors``: what a calibration card says; the experiment names only its file.
    """
    known = {"calibration": judge_errors.to_json()} if judge_errors else {}
    # Elsewhere the model of the same name is another one, and a price decides on what a candidate costs.
    places = {name: endpoint.get("base_url") for name, endpoint in (config.get("endpoints") or {}).items()}
    known |= {
        name: given for name, given in (("endpoints", places), ("prices", config.get("prices"))) if given
    }
    return {name: config.get(name) for name in _SETTINGS} | known


def row_keys(rows: Iterable[Example]) -> tuple[str, ...]:
    """A key for each of ``rows``, by what it asks and expects; sorted."""
    found = (digest([row.id, row.expected]).removeprefix("sha256:")[:_KEY] for row in rows)
    return tuple(sorted(found))


def related(openings: Iterable[Opening], *, split_digest: str, rows: Collection[str]) -> tuple[Opening, ...]:
    """Those of ``openings`` that looked at this split, or at :data:`SHARED` or more of its ``rows``."""
    enough = max(1.0, SHARED * len(rows))
    return tuple(one for one in openings if len(one.seen(split_digest, rows)) >= enough)


def looks(openings: Sequence[Opening], *, run: str, candidate_digest: str) -> Looks:
    """What ``openings``, all :func:`related`, say of this one; what was opened later changes nothing of it.

    Raises:
        ValueError: it is not among them.
    """
    place = next(
        (n for n, one in enumerate(openings) if (one.run, one.candidate_digest) == (run, candidate_digest)),
        None,
    )
    if place is None:
        raise ValueError("this opening is not on record")
    *earlier, own = openings[: place + 1]
    told = [one.settings for one in earlier if one.settings is not None and own.settings is not None]
    rows = own.rows or ("",)  # where they were not recorded, all or none
    seen = frozenset[str]().union(*(one.seen(own.split_digest, rows) for one in earlier))
    return Looks(
        decisions=len({(one.candidate_digest, _asked(one)) for one in (*earlier, own)}),
        candidates=len({one.candidate_digest for one in (*earlier, own)}),
        seen=len(seen) / len(frozenset(rows)),
        changed=tuple(
            dict.fromkeys(line for settings in told for line in differences(settings, own.settings))
        ),
    )


def _asked(opening: Opening) -> str:
    """What tells settings apart; those of another run that were not recorded may have been others."""
    return opening.run if opening.settings is None else digest(opening.settings)


def open_test(
    registry_file: Path,
    *,
    split_digest: str,
    rows: Sequence[str],
    run: str,
    candidate_digest: str,
    settings: Mapping[str, Any],
) -> Looks:
    """Record that a candidate of a run is about to see ``rows`` of the split, and say who has before.

    The same run and candidate again is a resume, not a new opening: it is not written twice, and is told
    what it was told first.

    Raises:
        StorageError: the registry cannot be read or written. Then the rows must stay closed.
    """
    try:
        registry_file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(registry_file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise StorageError(f"{registry_file} cannot be written: {error.strerror or error}") from error
    try:
        with locked(handle):
            raw = registry_file.read_bytes()
            seen = list(related(_parse(raw, registry_file), split_digest=split_digest, rows=rows))
            if (run, candidate_digest) not in {(one.run, one.candidate_digest) for one in seen}:
                opening = Opening(
                    split_digest=split_digest,
                    run=run,
                    candidate_digest=candidate_digest,
                    at=datetime.now(UTC).isoformat(timespec="seconds"),
                    settings=settings,
                    rows=tuple(rows),
                )
                line = json.dumps(asdict(opening), ensure_ascii=False) + "\n"
                # A crash may have left half a line: it is closed off, so that it harms only itself.
                torn = bool(raw) and not raw.endswith(b"\n")
                _write_all(handle, (("\n" if torn else "") + line).encode("utf-8", "replace"))
                os.fsync(handle)
                seen.append(opening)
            return looks(seen, run=run, candidate_digest=candidate_digest)
    except OSError as error:
        raise StorageError(f"{registry_file} cannot be written: {error.strerror or error}") from error
    finally:
        os.close(handle)


def read_openings(registry_file: Path) -> tuple[Opening, ...]:
    """All recorded openings, oldest first. Empty if there is no registry yet.

    Raises:
        StorageError: the registry cannot be read.
    """
    try:
        return tuple(_parse(registry_file.read_bytes(), registry_file))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StorageError(f"{registry_file} cannot be read: {error.strerror or error}") from error


def _parse(raw: bytes, path: Path) -> list[Opening]:
    openings = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            # Half a line of a crashed writer: its opening was never confirmed, so nobody looked.
            continue
        texts = ("split_digest", "run", "candidate_digest", "at")
        settings = record.get("settings") if isinstance(record, dict) else None
        rows = record.get("rows") if isinstance(record, dict) else None
        if (
            not isinstance(record, dict)
            or not all(isinstance(record.get(name), str) for name in texts)
            or not isinstance(settings, dict | None)
            or not isinstance(rows, list | None)
            or not all(isinstance(row, str) for row in rows or ())
        ):
            raise StorageError(
                f"{path}:{number}: not a record of a test opening; restore the file from a backup"
            )
        kept = None if rows is None else tuple(rows)
        openings.append(Opening(**{name: record[name] for name in texts}, settings=settings, rows=kept))
    return openings


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
