"""Thresholds for recorded scores, and the files in which they stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorers._errors import nearest

MAX_UNSCORED = 0.1
"""Share of rows that may be without a score where a threshold does not say."""
_LIMITS = ("mean", "min", "max_unscored", "min_rows")


class ThresholdsError(ValueError):
    """Thresholds or an artifact that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the rows of one scorer must meet."""

    mean: float | None = None
    """Lowest mean of the scored rows."""
    min: float | None = None
    """Lowest value of any row."""
    max_unscored: float = MAX_UNSCORED
    """Largest share of rows without a score."""
    min_rows: int = 1
    """Fewest rows with a score."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Limits of one scorer in the tests that a pattern matches."""

    scorer: str
    limits: Limits
    test: str = "*"


def declared(records: Iterable[Mapping[str, Any]]) -> list[Threshold]:
    """The thresholds that the markers of the tests state themselves."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in records:
        if entry.get("limits"):
            found[entry["test"], entry["scorer"]] = entry["limits"]
    return [
        Threshold(scorer=scorer, test=test, limits=_limits(limits, f"{test} {scorer}"))
        for (test, scorer), limits in sorted(found.items())
    ]


def read_thresholds(path: Path) -> list[Threshold]:
    """The thresholds of a file.

    ``scorers:`` holds limits by scorer name, ``tests:`` the same by test (a pattern such as
    ``tests/test_triage.py::*``). Limits are ``mean``, ``min``, ``max_unscored``, ``min_rows``; a number alone
    is the mean.

    Raises:
        ThresholdsError: it cannot be read, or has a key that means nothing.
    """
    data = read_mapping(path)
    for key in data:
        if key not in ("scorers", "tests"):
            raise ThresholdsError(
                f"{path}: there is no key {key!r}{nearest(str(key), ('scorers', 'tests'))}; thresholds stand "
                "under 'scorers' and 'tests'"
            )
    found = _by_scorer(data.get("scorers") or {}, "*", str(path))
    tests = data.get("tests") or {}
    if not isinstance(tests, Mapping):
        raise ThresholdsError(f"{path}: 'tests' must be a mapping of tests to thresholds by scorer")
    for test, given in tests.items():
        found += _by_scorer(given, str(test), f"{path}, {test}")
    if not found:
        raise ThresholdsError(f"{path} has no thresholds")
    return found


def _by_scorer(given: Any, test: str, where: str) -> list[Threshold]:
    if not isinstance(given, Mapping):
        raise ThresholdsError(f"{where}: thresholds are a mapping of scorers to limits, not {given!r:.60}")
    return [
        Threshold(scorer=str(name), test=test, limits=_limits(limits, f"{where}, {name}"))
        for name, limits in given.items()
    ]


def _limits(given: Any, where: str) -> Limits:
    if isinstance(given, int | float) and not isinstance(given, bool):
        given = {"mean": given}
    if not isinstance(given, Mapping):
        raise ThresholdsError(f"{where}: limits are a number or a mapping, not {given!r:.60}")
    for key, value in given.items():
        if key not in _LIMITS:
            raise ThresholdsError(f"{where}: there is no limit {key!r}{nearest(str(key), _LIMITS)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key == "min_rows":
            if not (number and isinstance(value, int) and value >= 1):
                raise ThresholdsError(f"{where}: min_rows must be a whole number above 0, not {value!r:.40}")
        elif not (number and 0 <= value <= 1):
            raise ThresholdsError(f"{where}: {key} must be within [0, 1], not {value!r:.40}")
    return Limits(**given)


def read_mapping(path: Path) -> Mapping[str, Any]:
    """The mapping in a YAML or JSON file.

    Raises:
        ThresholdsError: it cannot be read or is no mapping.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ThresholdsError(f"{path} cannot be read: {error}") from error
    try:
        data = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text, path)
    except ValueError as error:
        raise ThresholdsError(f"{path} is not valid: {error}") from error
    if not isinstance(data, Mapping):
        raise ThresholdsError(f"{path} must hold a mapping")
    return data


def _yaml(text: str, path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ThresholdsError(
            f"{path}: YAML needs PyYAML (pip install pyyaml), or write it as .json"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ThresholdsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
