"""Which slices an Example belongs to: its label, its length, its language, or what its metadata says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptmigrate.types import Example

DERIVED = ("label", "length", "language")
_MOST_LABELS = 20
_LABEL_CHARS = 60
_LEAST_OF_LANGUAGE = 5
_LENGTHS = ("short", "medium", "long")


def slices_of(examples: Sequence[Example], by: Sequence[str]) -> dict[str, dict[str, str]]:
    """Example id -> slice name -> value, for each name in ``by`` that can be told of the Example.

    - ``label``: what is expected, where that takes at most 20 different short values (one for every three
      rows at most), so that each is a class rather than a text.
    - ``length``: short, medium or long: the thirds of all ``examples`` by characters of their inputs.
    - ``language``: code of the inputs' language (:func:`scorers.language`), where at least five rows are in
      it; ``unknown`` for the others. No slice where that leaves fewer than two languages: rows that are too
      short to tell are no language of their own.
    - any other name: that key of the metadata; Examples without it are in no such slice.

    A metadata key of one of the three names wins over what would be derived. What all Examples have in common
    is no slice.
    """
    found: dict[str, dict[str, str]] = {example.id: {} for example in examples}
    for name in by:
        for example in examples:
            if example.metadata.get(name) is not None:
                found[example.id][name] = _text(example.metadata[name])
        left = [example for example in examples if name not in found[example.id]]
        for key, value in _derive(name, left).items():
            found[key][name] = value
        if len({slices.get(name) for slices in found.values()}) == 1:
            for slices in found.values():
                slices.pop(name, None)
    return found


def _derive(name: str, examples: Sequence[Example]) -> Mapping[str, str]:
    if name == "label":
        return _labels(examples)
    if name == "length":
        return _lengths(examples)
    if name == "language":
        return _languages(examples)
    return {}


def _labels(examples: Sequence[Example]) -> dict[str, str]:
    found = {e.id: _text(e.expected).strip() for e in examples if e.expected is not None}
    distinct = {value.casefold() for value in found.values()}
    if len(distinct) > min(_MOST_LABELS, len(found) // 3) or any(len(v) > _LABEL_CHARS for v in distinct):
        return {}
    return {key: value.casefold() for key, value in found.items()}


def _lengths(examples: Sequence[Example]) -> dict[str, str]:
    sizes = {e.id: sum(len(_text(value)) for value in e.inputs.values()) for e in examples}
    ranked = sorted(sizes.values())
    if not ranked or ranked[0] == ranked[-1]:
        return {}
    # Rows of one size are in one third, so that the bounds and not the order of rows decide.
    first, second = (ranked[min(len(ranked) - 1, len(ranked) * k // 3)] for k in (1, 2))
    return {key: _LENGTHS[(size >= first) + (size >= second)] for key, size in sizes.items()}


def _languages(examples: Sequence[Example]) -> dict[str, str]:
    from scorers import language

    same = language()
    told: dict[str, str] = {}
    for example in examples:
        text = "\n".join(_text(value) for value in example.inputs.values())
        # A text is in its own language; the score says which one that is.
        evidence = same(output=text, expected=text).evidence or {}
        if "language" in evidence:
            told[example.id] = str(evidence["language"])
    often = {code for code, rows in Counter(told.values()).items() if rows >= _LEAST_OF_LANGUAGE}
    if len(often) < 2:
        return {}
    return {e.id: told[e.id] if told.get(e.id) in often else "unknown" for e in examples}


def _text(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    )
