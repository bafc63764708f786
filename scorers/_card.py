"""The card that a calibration leaves: numbers, the judge they belong to, JSON and a readable text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scorers._atomic import write_whole
from scorers._position import PositionalBias
from scorers._stats import Estimate
from scorers._types import Scorer

_FORMAT = "scorers.calibration/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is known about a judge from rows that people labelled. Made by :func:`scorers.calibrate`.

    "Good" is a value of ``threshold`` or more; the people's label is taken as the truth.
    """

    judge: str
    """The judge's name."""
    version: str
    models: tuple[str, ...]
    fingerprint: str
    """Hash of models, rubric, options and wording; see :func:`scorers.fingerprint`."""
    spec: Mapping[str, Any] | None
    threshold: float
    confidence: float
    rows: int
    """Rows with a label."""
    scored: int
    """Those of them that the judge gave a value; all numbers below are over these."""
    unlabelled: int
    unscored: Mapping[str, int]
    """Rows without a value, by reason."""
    groups: int
    """Groups of rows that hang together; as many as scored rows if none do."""
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    accuracy: Estimate
    """Share of rows on which judge and people decide alike."""
    kappa: Estimate
    """Cohen's kappa of the decisions."""
    sensitivity: Estimate
    """Share of the good rows that the judge calls good."""
    specificity: Estimate
    """Share of the bad rows that the judge calls bad."""
    labelled_good: Estimate
    judged_good: Estimate
    exact: Estimate | None
    """Share of rows with the very same value; None where all values are 0 or 1, as for the next two."""
    weighted_kappa: Estimate | None
    """Kappa of the values with quadratic weights."""
    rank_correlation: float | None
    """Spearman's correlation of values and labels."""
    mean_absolute_error: float | None
    length_slope: Estimate
    """Change of the judge's value per 1,000 characters of output."""
    length_bias: Estimate
    """Change of the judge's error (value - label) per 1,000 characters: what no merit of length explains."""
    position: PositionalBias | None
    """Pairwise judges: how often the verdict follows the order."""
    decided_by: Mapping[str, int]
    """How many rows the judge decided, and how many each cheap check."""
    half_width: float
    labels_needed: Mapping[str, int | None]
    """Labels with which each interval would be +- ``half_width``, if the rates stay as they are."""
    cost_usd: float | None
    input_tokens: int
    output_tokens: int

    def valid_for(self, judge: Scorer) -> bool:
        """Whether the card is about this very judge: same models, rubric, options, version and wording."""
        from scorers._fingerprint import fingerprint

        return fingerprint(judge) == self.fingerprint

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON values."""
        found: dict[str, Any] = {"format": _FORMAT}
        for field in fields(self):
            found[field.name] = _plain(getattr(self, field.name))
        return found

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Calibration:
        """The card that :meth:`to_dict` wrote.

        Raises:
            ValueError: it is no such card.
        """
        if given.get("format") != _FORMAT:
            raise ValueError(f"this is no calibration card of format {_FORMAT}")
        known = {field.name: field for field in fields(cls)}
        values = {name: value for name, value in given.items() if name in known}
        missing = known.keys() - values.keys()
        if missing:
            raise ValueError(f"the calibration card lacks {', '.join(sorted(missing))}")
        for name, field in known.items():
            if "Estimate" in str(field.type) and values[name] is not None:
                values[name] = Estimate.from_dict(values[name])
        if values["position"] is not None:
            told = values["position"]
            made: dict[str, Any] = {
                name: Estimate.from_dict(told[name])
                for name in ("consistency", "toward_first", "toward_second")
            }
            values["position"] = PositionalBias(**{**told, **made})
        return cls(**{**values, "models": tuple(values["models"])})

    def save(self, path: str | Path) -> Path:
        """Write the card as JSON to ``path``, and as a readable text beside it (``.md``); gives ``path``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        write_whole(path.with_suffix(".md"), self.text())
        return path

    def text(self) -> str:
        """The card in words and numbers."""
        missing = sum(self.unscored.values())
        lines = [
            f"# Calibration of {self.judge} ({', '.join(self.models) or 'no model'})",
            "",
            f"{self.rows} labelled rows, {self.scored} scored, {missing} unscored"
            + (f" ({', '.join(f'{k} {v}' for k, v in self.unscored.items())})" if missing else "")
            + (f"; {self.groups} groups" if self.groups < self.scored else "")
            + f". Good means a value of {self.threshold:g} or more. Intervals: {self.confidence:.0%}.",
            "",
            f"- accuracy: {self.accuracy}",
            f"- Cohen's kappa: {self.kappa}",
            f"- sensitivity (good rows called good): {self.sensitivity}",
            f"- specificity (bad rows called bad): {self.specificity}",
            f"- good by the labels: {self.labelled_good}; by the judge: {self.judged_good}",
            f"- both good {self.true_positive}, both bad {self.true_negative}, "
            f"only the judge says good {self.false_positive}, only the label {self.false_negative}",
        ]
        if self.exact is not None:
            lines.append(f"- same value: {self.exact}")
            lines.append(f"- weighted kappa: {self.weighted_kappa}")
        if self.rank_correlation is not None:
            lines.append(f"- rank correlation: {self.rank_correlation:.3f}")
        if self.mean_absolute_error is not None:
            lines.append(f"- mean absolute error: {self.mean_absolute_error:.3f}")
        lines.append(f"- change per 1,000 characters: value {self.length_slope}, error {self.length_bias}")
        if self.position is not None:
            lines.append(
                f"- order: consistent {self.position.consistency}, toward the first "
                f"{self.position.toward_first}, toward the second {self.position.toward_second}"
            )
        lines.append("- decided by: " + ", ".join(f"{who} {n}" for who, n in self.decided_by.items()))
        wanted = [f"{what} {n}" for what, n in self.labels_needed.items() if n is not None]
        if wanted:
            lines.append(f"- labels needed for +-{self.half_width:g}: {', '.join(wanted)}")
        cost = "unknown" if self.cost_usd is None else f"{self.cost_usd:.4f} USD"
        lines += [
            f"- cost: {cost}, {self.input_tokens} tokens in, {self.output_tokens} out",
            "",
            f"Holds for the judge with fingerprint {self.fingerprint}.",
            "",
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def load_card(path: str | Path) -> Calibration:
    """The card that :meth:`Calibration.save` wrote.

    Raises:
        ValueError: the file holds no card.
    """
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(given, dict):
            raise ValueError("it is no JSON object")
        return Calibration.from_dict(given)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{Path(path).name} cannot be read as a calibration card: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return value.to_dict()
    if isinstance(value, PositionalBias):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value
