"""json_valid: the output is JSON that a strict parser reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal

from scorers._base import Measure, only
from scorers._json import PROBLEMS, quick_type, quick_types, read
from scorers._text import as_text, clip
from scorers._types import Sample, Score, late, late_all


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonValid(Measure):
    """1.0 where the output is JSON as RFC 8259 defines it, else 0.0.

    NaN, comments, trailing commas, single quotes, a code block or words around it are not JSON, nor is
    nesting of more than 100 levels. An output that is no text (a dict from a client that has parsed it) is
    valid if it could be written as JSON. msgspec checks short texts where it is installed
    (``promptmigrate[json]``); what it refuses, the standard library decides, so the values are the same.

    Kinds of evidence: ``match``, ``empty``, ``invalid_json`` (``at`` is the place of the first error),
    ``fenced_json``, ``text_around_json``, ``wrong_type``, ``repeated_key``.

    Example:
        >>> from scorers import json_valid
        >>> json_valid()(output='{"a": [1, 2]}').value
        1.0
        >>> score = json_valid(type="object")(output='{"a": 1,}')
        >>> score.value, score.evidence["kind"], score.evidence["at"]
        (0.0, 'invalid_json', 'line 1 column 9')
    """

    name: str = "json_valid"
    type: Literal["any", "object", "list"] = "any"
    """What the whole must be."""
    unique_keys: bool = False
    """A key that occurs twice in one object is an error (most parsers silently keep the last)."""
    allow_fences: bool = False
    """JSON inside a Markdown code block is read: only if production's consumer does so too."""

    _rightly: Mapping[str | None, Score] = field(init=False, repr=False, compare=False)
    """The Score of what it should be."""

    def __post_init__(self) -> None:
        Measure.__post_init__(self)
        by_type = {kind: self._shared("match", type=kind) for kind in ("object", "list")}
        rightly = {kind: score for kind, score in by_type.items() if self.type in ("any", kind)}
        object.__setattr__(self, "_rightly", rightly)

    def _needs_expected(self) -> bool:
        return False

    def _quick(self, output: Any, expected: Any) -> Score | None:  # noqa: ARG002 - nothing is expected
        if output.__class__ is not str or self.unique_keys or self.allow_fences:
            return None
        found = quick_type(output)
        if found is None:
            return None
        return self._rightly.get(found) or late(self, 0.0, output, None)

    def _all_quick(self, outputs: list[Any], expected: list[Any]) -> list[Score | None]:
        if self.unique_keys or self.allow_fences or not only(str, outputs):
            return Measure._all_quick(self, outputs, expected)
        found, others = quick_types(outputs)
        scores: list[Score | None] = list(map(self._rightly.get, found))
        if self.type != "any":
            others = [index for index, kind in enumerate(found) if kind != self.type]
        missed = [index for index in others if found[index] is not None]
        told = late_all(self, repeat(0.0), [outputs[index] for index in missed], repeat(None))
        for index, score in zip(missed, told, strict=True):
            scores[index] = score
        return scores

    def _score(self, sample: Sample) -> Score:
        output = sample.output
        if output is None:
            output = ""
        elif not isinstance(output, str | bytes | bytearray):
            try:
                json.dumps(output, allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                return self._found(0.0, "invalid_json", f"it cannot be written as JSON: {clip(str(error))}")
        found = read(output, allow_fences=self.allow_fences)
        if found.problem:
            kind, why = PROBLEMS[found.problem]
            text = as_text(output)
            at = _place(text) if kind == "invalid_json" else {}
            told = f" ({at['why']} at {at['at']})" if at else ""
            return self._found(0.0, kind, f"{why}{told}: {clip(text.strip())!r}", **at)
        wanted = {"object": Mapping, "list": list | tuple}.get(self.type)
        if wanted is not None and not isinstance(found.value, wanted):
            return self._found(
                0.0,
                "wrong_type",
                f"expected {self.type}, got {clip(found.value)!r}",
                type=_called(found.value),
            )
        if self.unique_keys and isinstance(output, str | bytes | bytearray):
            repeated = _repeated(as_text(output))
            if repeated is not None:
                return self._found(
                    0.0, "repeated_key", f"the key {clip(repeated)!r} occurs twice in one object"
                )
        return self._found(1.0, "match", "", type=_called(found.value))


def _called(value: Any) -> str:
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, list | tuple) else "value"


def _place(text: str) -> dict[str, Any]:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return {"at": f"line {error.lineno} column {error.colno}", "why": error.msg}
    except (ValueError, RecursionError):
        pass  # too deep, or a number that is too long: there is no one place
    return {}


class _RepeatedKeyError(Exception):
    pass


def _repeated(text: str) -> str | None:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise _RepeatedKeyError(key)
                seen.add(key)
        return found

    start, end = min((i for i in map(text.find, "{[") if i >= 0), default=0), max(map(text.rfind, "}]")) + 1
    try:
        json.loads(text[start:end] if end else text, object_pairs_hook=check)
    except _RepeatedKeyError as error:
        return str(error.args[0])
    except ValueError:
        return None
    return None


json_valid = JsonValid
