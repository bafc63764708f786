"""What a harvest found, counted: for people and for verdict files. Holds no content but frequent labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from promptmigrate import template
from promptmigrate.harvest._call import TIMESTAMP, Tally
from promptmigrate.harvest.build import Built
from promptmigrate.types import Dataset, Example
from scorers import mine_contract

MAX_LABELS = 20
MAX_KEYS = 8
_LONG, _TIMES = 50_000, 20
"""A row is called long above so many characters, and so many times what half of the rows have."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The numbers of one harvest."""

    source: str
    read: int
    """Traces or rows looked at."""
    kept: int
    """Examples in the dataset."""
    dropped: Mapping[str, int]
    """Reason -> traces."""
    duplicates: int
    """Calls merged into an Example with the same inputs."""
    conflicts: int
    """Examples whose calls had different answers; the most frequent is the reference."""
    contradictions: int
    """Inputs whose calls state different right answers; what more than half of them state is taken."""
    undecided: int
    """Those of them without such a majority; they are left out."""
    shared: int
    """Examples seen in several groups; each belongs to the first."""
    redactions: Mapping[str, int]
    """Kind -> how many were taken out."""
    groups: int
    """Units that are split as a whole (an Example without group is one)."""
    expectations: int
    """Examples for which something is known to be right."""
    labels: Mapping[str, int]
    """Expected answer -> Examples, where there are few different ones."""
    input_chars: Mapping[str, int]
    """Quantiles of the characters of all variables of an Example."""
    reference_chars: Mapping[str, int]
    first: str | None
    """ISO time of the first call."""
    last: str | None
    models: Mapping[str, int]
    splits: Mapping[str, int]
    form: Mapping[str, Any]
    """What production's answers look like: the contract that :func:`scorers.mine_contract` reads off them."""
    notes: tuple[str, ...] = field(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the verdict must know about the data, one sentence each."""
        found = []
        if self.conflicts:
            found.append(
                f"production gave different answers to the same inputs on {self.conflicts} of {self.kept} "
                "rows; the most frequent one is the reference, so a candidate that gives another of them "
                "counts as wrong there"
            )
        if self.contradictions:
            found.append(
                f"the expectations contradict each other on {self.contradictions} inputs that are there more "
                f"than once; {self.contradictions - self.undecided} are taken as more than half of them say, "
                f"{self.undecided} are left out: correct them in {self.source}"
            )
        longest, typical = self.input_chars.get("max", 0), self.input_chars.get("p50", 0)
        if longest > max(_LONG, _TIMES * typical):
            found.append(
                f"the longest row has {longest:,} characters of input, half of the rows at most {typical:,}; "
                f"it is sent as it is and paid for: take it out of {self.source} if it is no real call"
            )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {**asdict(self), "warnings": list(self.warnings)}

    @property
    def left_out(self) -> str:
        """What became no Example, and why; empty: nothing."""
        undecided = {"inputs whose right answers contradict each other": self.undecided}
        return _counts({**self.dropped, **(undecided if self.undecided else {})})

    def lines(self) -> list[str]:
        """For a terminal, one fact per line."""
        lines = [f"{self.source}: {self.read} read, {self.kept} kept"]
        if self.dropped:
            lines.append(f"dropped: {_counts(self.dropped)}")
        if self.duplicates:
            merged = f"merged: {self.duplicates} with inputs already seen"
            lines.append(merged + (f" ({self.conflicts} had different answers)" if self.conflicts else ""))
        if self.redactions:
            lines.append(f"redacted: {_counts(self.redactions)}")
        lines.append(
            f"groups: {self.groups}" + (f" ({self.shared} rows were seen in several)" if self.shared else "")
        )
        if self.expectations:
            lines.append(f"known to be right: {self.expectations} of {self.kept}")
        if self.labels:
            lines.append(f"answers: {_counts(self.labels)}")
        if self.form:
            lines.append(f"form of the answers: {_told(self.form)}")
        lines.append(f"characters of inputs: {_quantiles(self.input_chars)}")
        if self.reference_chars:
            lines.append(f"characters of answers: {_quantiles(self.reference_chars)}")
        if self.first and self.last:
            lines.append(
                f"from {self.first[:16].replace('T', ' ')} to {self.last[:16].replace('T', ' ')} UTC"
            )
        if self.models:
            lines.append(f"models: {_counts(self.models)}")
        lines.append("split: " + ", ".join(f"{name} {count}" for name, count in self.splits.items()))
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [f"note: {note}" for note in self.notes]
        return lines


def profile(dataset: Dataset, built: Built, tally: Tally) -> Profile:
    """The profile of a dataset that was made of ``built``."""
    times = sorted(str(example.metadata[TIMESTAMP]) for example in dataset if example.metadata.get(TIMESTAMP))
    return Profile(
        source=tally.source,
        read=tally.read,
        kept=len(dataset),
        dropped=dict(tally.dropped.most_common()),
        duplicates=built.duplicates,
        conflicts=built.conflicts,
        contradictions=built.contradictions,
        undecided=built.undecided,
        shared=built.shared,
        redactions=built.redactions,
        groups=len({example.cluster for example in dataset}),
        expectations=sum(bool(example.expectations) for example in dataset),
        labels=_labels(dataset.examples),
        form=mine_contract(
            example.expected if example.reference is None else example.reference for example in dataset
        ),
        input_chars=_spread(
            [sum(len(template.as_text(value)) for value in example.inputs.values()) for example in dataset]
        ),
        reference_chars=_spread(
            [len(example.reference) for example in dataset if example.reference is not None]
        ),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        models=dict(
            Counter(
                str(example.metadata["model"]) for example in dataset if example.metadata.get("model")
            ).most_common()
        ),
        splits={name: len(dataset.split(name)) for name in ("train", "validation", "test")},
        notes=tuple(tally.notes),
    )


def _labels(examples: Sequence[Example]) -> dict[str, int]:
    """How often each answer occurs, if the answers are labels."""
    expected = [example.expected for example in examples if example.expected is not None]
    if mine_contract(expected).get("kind") != "label":
        return {}
    return dict(Counter(template.as_text(value).strip() for value in expected).most_common(MAX_LABELS))


def _told(form: Mapping[str, Any]) -> str:
    """A contract in one line."""
    told = [str(form["kind"])]
    for rule, value in form.items():
        if rule == "keys":
            keys = [f"{path} ({'/'.join(key['types'])})" for path, key in value.items()]
            more = f" and {len(keys) - MAX_KEYS} more" if len(keys) > MAX_KEYS else ""
            told.append(f"with {', '.join(keys[:MAX_KEYS])}{more}")
        elif rule == "labels":
            told.append(f"one of {len(value)}")
        elif rule == "markdown":
            told.append("Markdown" if value else "no Markdown")
        elif isinstance(value, list):
            told.append(f"{value[0]} to {value[1]} {rule}")
        elif isinstance(value, str) and rule != "kind":
            told.append(f"{rule.replace('_', ' ')} {value!r}")
    return ", ".join(told)


def _spread(lengths: Sequence[int]) -> dict[str, int]:
    if not lengths:
        return {}
    ordered = sorted(lengths)
    at = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: ordered[round(share * (len(ordered) - 1))] for name, share in at.items()}


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _quantiles(spread: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in spread.items())
