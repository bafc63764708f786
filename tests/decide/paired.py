"""Paired rows for tests."""

from __future__ import annotations

from typing import Any

from promptmigrate.decide import PairedRow


def paired(number: int, baseline: float | None, candidate: float | None, **fields: Any) -> PairedRow:
    values = {"cluster": str(number), **fields}
    return PairedRow(example=f"e{number}", baseline=baseline, candidate=candidate, **values)


def counts(both: int, fixed: int = 0, broken: int = 0, neither: int = 0, **fields: Any) -> list[PairedRow]:
    kinds = [(1.0, 1.0)] * both + [(0.0, 1.0)] * fixed + [(1.0, 0.0)] * broken + [(0.0, 0.0)] * neither
    return [paired(n, b, c, **fields) for n, (b, c) in enumerate(kinds)]
