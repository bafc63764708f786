"""Whether a run's ``verdict.json``, which people and tables read, says what the bundle beside it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptmigrate.decide import that_decided
from promptmigrate.errors import DataError
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, compare
from promptmigrate.proof.jsonl import load

NAME = "verdict.json"
_OWN = ("warnings", "baseline", "candidate", "rows")
"""What a run adds to; looked at part by part."""
_SIDE = ("score", "interval", "cost_per_call_usd", "p95_latency_s")
_ROW = ("verdict", "reasons", "cost_ratio", "p95_latency_ratio", "rows_needed")
_MAX_BYTES = 50_000_000


def read(bundle: Path) -> Mapping[str, Any] | None:
    """What is beside ``bundle``; None where there is no result of a run that wrote a bundle.

    Raises:
        DataError: it cannot be read.
    """
    path = bundle.parent / NAME
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _MAX_BYTES:
            raise DataError("larger than any result of a run", file=path)
        found = load(path.read_bytes(), entry=f"{NAME} beside it")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=path) from error
    sealed = isinstance(found, dict) and isinstance(found.get("bundle"), dict)
    # Several bundles may lie in one folder: the result is about the one that it names.
    named = sealed and Path(str(found["bundle"].get("path", ""))).name == bundle.name
    return found if named else None


def check_digest(shown: Mapping[str, Any], digest: str) -> Iterator[Finding]:
    """The run sealed this file."""
    yield from compare(f"{NAME} beside it", shown["bundle"].get("digest"), digest, field="bundle.digest")


def check_shown(bundle: Contents, shown: Mapping[str, Any]) -> Iterator[Finding]:
    """Every number of the verdict, of the table of targets and of the spending is that of the bundle."""
    entry = f"{NAME} beside it"
    verdict = bundle.verdict
    same = [name for name in verdict if name not in _OWN]
    yield from _compare(entry, shown, verdict, same, "")
    yield from _compare(entry, shown.get("rows"), verdict.get("rows"), list(verdict.get("rows", ())), "rows.")
    for part in ("baseline", "candidate"):
        names = [name for name in _SIDE if name in verdict.get(part, ())]
        yield from _compare(entry, shown.get(part), verdict.get(part), names, f"{part}.")
    costs = bundle.costs.model_dump()
    yield from _compare(entry, shown.get("spend"), costs, ["calls", "usd", "usd_by_purpose"], "spend.")
    if len(bundle.table) < 2:
        return
    told = shown.get("targets")
    if not isinstance(told, list) or len(told) != len(bundle.table):
        yield Finding(entry=entry, field="targets", problem="are not the candidates of the bundle")
        return
    for index, (row, decided) in enumerate(zip(told, bundle.table, strict=True)):
        field = f"targets[{index}]."
        yield from _compare(entry, row, decided, ["model", "switch_if"], field)
        yield from _compare(entry, row, decided.get("verdict"), list(_ROW), field)
        verdict = decided["verdict"]
        found = that_decided(verdict)
        found["joint_interval"] = (verdict.get("joint") or {}).get("interval")
        yield from _compare(entry, row, found, list(found), field)
        names = [name for name in _SIDE if name in verdict["candidate"]]
        side = row.get("candidate") if isinstance(row, dict) else None
        yield from _compare(entry, side, verdict["candidate"], names, f"{field}candidate.")


def _compare(entry: str, said: Any, found: Any, names: list[str], field: str) -> Iterator[Finding]:
    told = said if isinstance(said, Mapping) else {}
    real = found if isinstance(found, Mapping) else {}
    for name in names:
        yield from compare(entry, told.get(name), real.get(name), field=f"{field}{name}")
