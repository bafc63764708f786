"""From calls to Examples: redaction, grouping, exact de-duplication."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.harvest._call import TIMESTAMP, Call
from promptmigrate.redact import KINDS, redact, redact_value
from promptmigrate.types import Example

ANSWER = "expected_response"
"""The expectation that is compared with alone where it is stated."""
COUNT = "count"
"""Metadata key: how many calls an Example stands for, if more than one."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """The Examples, and what was done to get them."""

    examples: tuple[Example, ...]
    duplicates: int
    """Calls that were merged into another one with the same inputs."""
    conflicts: int
    """Examples whose calls had different answers."""
    contradictions: int
    """Inputs whose calls were said to have different right answers, by the expectations that are read."""
    undecided: int
    """Those of them for which more than half did not agree; they are left out."""
    shared: int
    """Examples whose calls came from more than one group."""
    redactions: Mapping[str, int]


def build(
    calls: Sequence[Call],
    *,
    name: str,
    kinds: Collection[str] = KINDS,
    read: Collection[str] | None = None,
) -> Built:
    """Redact the calls, hide who made them, and merge those with the same inputs but for white space.

    Copies that differ in white space would otherwise stand on both sides of the split, as independent rows.

    Everything that was recorded is redacted before it is hashed, kept or shown. A group is replaced by a
    salted hash of itself, so no user name survives and two datasets cannot be joined by it.

    Of the calls with the same inputs, the answer given most often is the reference (of equally frequent ones
    the latest), and the group is that of the earliest call: it stays when calls are added later, so the
    Example stays in its split. Where the calls state different expectations, the one that more than half of
    those with any state is taken; where none is, nobody knows what is right, and the row is left out. Only
    what scorers compare with can leave a row out: ``expected_response`` where it is stated (then
    :attr:`Example.expected` is that alone), else those of ``read``. Of others, such as a free note, the one
    stated most often is kept. The weight stays 1; ``count`` in the metadata says how many calls there were.

    Args:
        calls: In any order; the ``timestamp`` of their metadata tells which came first, else their order.
        name: Of the dataset; salts the groups.
        kinds: What to redact; see :mod:`promptmigrate.redact`.
        read: Names of the expectations that the scorers read (their ``expected_key``). None: all.
    """
    found: Counter[str] = Counter()
    merged: dict[str, list[Call]] = {}
    # Calls without a time keep their place: sorting is stable.
    for call in sorted(calls, key=lambda item: str(item.metadata.get(TIMESTAMP, ""))):
        clean = _redacted(call, name, kinds, found)
        merged.setdefault(_spaced(clean.inputs), []).append(clean)
    labels = {key: _labels(group, read) for key, group in merged.items()}
    kept = {key: group for key, group in merged.items() if not labels[key].undecided}
    # By id: the same order whatever order the calls came in.
    examples = tuple(
        sorted((_merge(group, labels[key].chosen) for key, group in kept.items()), key=lambda e: e.id)
    )
    return Built(
        examples=examples,
        duplicates=len(calls) - len(merged),
        conflicts=sum(len({call.reference for call in group} - {None}) > 1 for group in kept.values()),
        contradictions=sum(found.contradict for found in labels.values()),
        undecided=len(merged) - len(kept),
        shared=sum(len({call.group for call in group} - {""}) > 1 for group in kept.values()),
        redactions=dict(sorted(found.items())),
    )


def _spaced(inputs: Mapping[str, Any]) -> str:
    """What calls with the same inputs have in common, however they are spaced."""
    return Example.content_id(
        {name: " ".join(value.split()) if isinstance(value, str) else value for name, value in inputs.items()}
    )


def hide_group(group: str, *, name: str) -> str:
    """What stands for ``group`` in the dataset called ``name``; empty stays empty."""
    if not group:
        return ""
    return (
        "g"
        + hashlib.sha256(f"promptmigrate group\0{name}\0{group}".encode("utf-8", "replace")).hexdigest()[:16]
    )


def _redacted(call: Call, name: str, kinds: Collection[str], found: Counter[str]) -> Call:
    # Variables one by one: a variable called "password" holds what the prompt is about, not a credential.
    inputs = {key: _value(value, kinds, found) for key, value in call.inputs.items()}
    reference = call.reference
    if reference is not None:
        reference, counts = redact(reference, kinds)
        found.update(counts)
    metadata = {key: value for key, value in call.metadata.items() if key != TIMESTAMP}
    kept = {key: call.metadata[key] for key in (TIMESTAMP,) if key in call.metadata}
    return Call(
        inputs=inputs,
        reference=reference,
        expectations={key: _value(value, kinds, found) for key, value in call.expectations.items()},
        group=hide_group(call.group, name=name),
        trace_ids=call.trace_ids,
        metadata={**_value(metadata, kinds, found), **kept},
        weight=call.weight,
    )


def _value(value: Any, kinds: Collection[str], found: Counter[str]) -> Any:
    clean, counts = redact_value(value, kinds)
    found.update(counts)
    return clean


@dataclass(frozen=True, kw_only=True)
class _Labels:
    """The expectations of calls with the same inputs."""

    chosen: dict[str, Any]
    contradict: bool
    """Whether one that is read has several values."""
    undecided: bool
    """Whether for such a one no value has more than half."""


def _labels(calls: Sequence[Call], read: Collection[str] | None) -> _Labels:
    stated: dict[str, Counter[str]] = {}
    for call in calls:
        for name, value in call.expectations.items():
            stated.setdefault(name, Counter())[json.dumps(value, sort_keys=True)] += 1
    if ANSWER in stated:
        read = (ANSWER,)
    counted = [counts for name, counts in stated.items() if read is None or name in read]
    return _Labels(
        # Of equally frequent values the same one, whatever order the calls came in.
        chosen={
            name: json.loads(min(counts, key=lambda text: (-counts[text], text)))
            for name, counts in stated.items()
        },
        contradict=any(len(counts) > 1 for counts in counted),
        undecided=any(2 * max(counts.values()) <= counts.total() for counts in counted),
    )


def _merge(calls: Sequence[Call], expectations: dict[str, Any]) -> Example:
    """One Example of the calls with the same inputs, given earliest first."""
    first = calls[0]
    # Of several spacings one is kept, the same whatever order the calls came in.
    key, inputs = min(((Example.content_id(call.inputs), call.inputs) for call in calls), key=lambda x: x[0])
    answered = [call for call in calls if call.reference is not None]
    counts = Counter(call.reference for call in answered)
    chosen = first
    if answered:
        most = max(counts.values())
        chosen = next(call for call in reversed(answered) if counts[call.reference] == most)
    metadata = dict(chosen.metadata)
    if len(calls) > 1:
        metadata[COUNT] = len(calls)
    if len(counts) > 1:
        metadata["answers"] = len(counts)
    return Example(
        id=key,
        inputs=inputs,
        reference=chosen.reference,
        expectations=expectations,
        group=first.group,
        weight=first.weight,
        trace_ids=tuple(dict.fromkeys(trace_id for call in calls for trace_id in call.trace_ids)),
        metadata=metadata,
    )
