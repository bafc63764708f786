"""Test rows as the gate sees them: both variants' numbers side by side, and which of them can be paired."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from promptmigrate.errors import DataError
from promptmigrate.files import digest

_QUALITIES = (
    "baseline",
    "candidate",
    "baseline_first",
    "baseline_again",
    "baseline_label",
    "candidate_label",
)
_AMOUNTS = ("baseline_cost_usd", "candidate_cost_usd", "baseline_latency_s", "candidate_latency_s")


@dataclass(frozen=True, kw_only=True)
class PairedRow:
    """One test row measured under production and under the candidate, repeats already averaged."""

    example: str
    """Id of the Example; unique."""
    cluster: str
    """The unit that was sampled as a whole (session or user); rows of one cluster may agree."""
    weight: float = 1.0
    baseline: float | None
    """Quality under production in [0, 1]; None is missing (infrastructure error or unscored), never 0."""
    candidate: float | None
    """Quality under the candidate, likewise."""
    baseline_first: float | None = None
    """Quality of one answer of production, where ``baseline`` is a mean over repeats."""
    baseline_again: float | None = None
    """Quality of a second, independent answer of production; None where there is none."""
    baseline_label: float | None = None
    """What a person gave production's answer, where quality is a judge's; None where nobody looked."""
    candidate_label: float | None = None
    baseline_cost_usd: float | None = None
    """USD per call; None where the price is not known."""
    candidate_cost_usd: float | None = None
    baseline_latency_s: float | None = None
    candidate_latency_s: float | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    """What the row belongs to: ``{"label": "billing", "language": "de"}``."""
    scores: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Scorer -> its value under production and under the candidate."""
    trials: Mapping[str, float | None] = field(default_factory=dict)
    """Quality of production's first answer scored ``again``, and broken on purpose: ``emptied``, ``swapped``
    for another row's, replaced by ``noise``. None is unscored; one that is not there was not tried, and where
    none is, no scorer of the quality could be run without a model."""
    trial_scores: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """Scorer -> its values in these trials; of the scorers that need no model."""

    @property
    def paired(self) -> bool:
        """Whether quality was measured on both sides."""
        return self.baseline is not None and self.candidate is not None

    @property
    def difference(self) -> float:
        """Candidate minus production, in [-1, 1]; only for a :attr:`paired` row."""
        assert self.baseline is not None and self.candidate is not None
        return round(self.candidate - self.baseline, 12)

    def to_json(self) -> dict[str, Any]:
        """The row as JSON values."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        scores = {name: list(pair) for name, pair in sorted(self.scores.items())}
        return {
            **found,
            "slices": dict(sorted(self.slices.items())),
            "scores": scores,
            "trials": dict(sorted(self.trials.items())),
            "trial_scores": {
                name: dict(sorted(values.items())) for name, values in sorted(self.trial_scores.items())
            },
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> PairedRow:
        """What :meth:`to_json` wrote.

        Raises:
            DataError: not such a record.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(map(str, found)) - known):
            raise DataError(f"a paired row holds {', '.join(unknown)}, which is not known")
        if missing := sorted({"example", "cluster", "baseline", "candidate"} - set(found)):
            raise DataError(f"a paired row lacks {', '.join(missing)}")
        for name in ("example", "cluster"):
            if not isinstance(found[name], str):
                raise DataError(f"{name} of a paired row is {found[name]!r}; it must be a text")
        slices, scores = found.get("slices", {}), found.get("scores", {})
        if not isinstance(slices, Mapping) or not all(isinstance(value, str) for value in slices.values()):
            raise DataError(f"slices of {found['example']!r} are {slices!r}; they must map names to texts")
        if not isinstance(scores, Mapping) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in scores.values()
        ):
            raise DataError(
                f"scores of {found['example']!r} are {scores!r}; they must map scorers to two values"
            )
        pairs = {name: (pair[0], pair[1]) for name, pair in scores.items()}
        trials, trial_scores = found.get("trials", {}), found.get("trial_scores", {})
        if (
            not isinstance(trials, Mapping)
            or not isinstance(trial_scores, Mapping)
            or not all(isinstance(values, Mapping) for values in trial_scores.values())
        ):
            raise DataError(
                f"trials of {found['example']!r} are not values by what was done to the answer, or "
                "trial_scores not such values by scorer"
            )
        return cls(**{**found, "slices": dict(slices), "scores": pairs})


def check_rows(rows: Sequence[PairedRow]) -> None:
    """Refuse rows that would make any statistic meaningless.

    Raises:
        DataError: an example appears twice, a quality is outside [0, 1], or a weight, cost or latency is
            negative or not finite; with the 1-based row.
    """
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if row.example in seen:
            raise DataError(f"example {row.example!r} appears twice; average its repeats first", row=number)
        seen.add(row.example)
        if not _number(row.weight) or not (math.isfinite(row.weight) and row.weight > 0):
            raise DataError(f"weight is {row.weight!r}; it must be a positive number", row=number)
        for name in _QUALITIES:
            _check_quality(f"{name} quality", getattr(row, name), number)
        for name, pair in row.scores.items():
            for value in pair:
                _check_quality(f"score {name!r}", value, number)
        for name, values in [("", row.trials), *row.trial_scores.items()]:
            for how, value in values.items():
                _check_quality(
                    f"{f'score {name!r}' if name else 'quality'} of the answer {how}", value, number
                )
        for name in _AMOUNTS:
            value = getattr(row, name)
            if value is not None and not (_number(value) and math.isfinite(value) and value >= 0):
                raise DataError(f"{name} is {value!r}; it must be a number of at least 0 or None", row=number)


def _check_quality(name: str, value: object, number: int) -> None:
    if value is not None and not (
        isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0
    ):
        raise DataError(f"{name} is {value!r}; it must be within [0, 1] or None", row=number)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def in_order(rows: Sequence[PairedRow]) -> list[PairedRow]:
    """The rows by example, so that sums and draws do not depend on the order they came in."""
    return sorted(rows, key=lambda row: row.example)


def seed_of(rows: Sequence[PairedRow]) -> int:
    """The seed of every draw on ``rows``: a digest of them, so that no one picks a lucky one.

    Of what was measured only the scores: a run that was killed and goes on has other latencies, and the same
    draws.
    """
    drawn = [[r.example, r.cluster, r.weight, r.baseline, r.candidate] for r in in_order(rows)]
    return int(digest(drawn).removeprefix("sha256:")[:16], 16)
