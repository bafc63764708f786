"""Where a judge finds what an output is held against: in the inputs, or with what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scorers._text import as_text
from scorers._types import Sample

CONTEXT = (
    "context",
    "contexts",
    "retrieved_context",
    "documents",
    "document",
    "passages",
    "sources",
    "source",
)
DOCUMENT = ("document", "text", "article", "source", "transcript", "content", "context")


def material(sample: Sample, key: str | None, usual: Sequence[str]) -> str | None:
    """The text under ``key`` in the inputs, else in a mapping of expectations; None if it is in neither.

    Without ``key``, the first of the ``usual`` names that is there; else an expectation that is a text.
    """
    places = [place for place in (sample.inputs, sample.expected) if isinstance(place, Mapping)]
    for name in usual if key is None else (key,):
        for place in places:
            if place.get(name) is not None:
                return shown(place[name])
    if key is None and sample.expected is not None and not isinstance(sample.expected, Mapping):
        return shown(sample.expected)
    return None


def shown(value: Any) -> str:
    """A text, or several as numbered passages."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        return "\n\n".join(f"[{number}] {item}" for number, item in enumerate(value, 1))
    return as_text(value)


def others(inputs: Mapping[str, Any] | None, text: str | None) -> dict[str, Any]:
    """The inputs without those that say ``text``, which is shown in a section of its own."""
    return {name: value for name, value in (inputs or {}).items() if shown(value) != text}
