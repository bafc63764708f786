"""json_match: the fields of a JSON answer, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._json import Comparison, read
from scorers._text import as_text, clip
from scorers._types import Sample, Score

_Path: TypeAlias = tuple[str, ...]
_SHOWN = 20
"""Fields that are listed in the evidence, the failed ones first."""
_PROBLEMS = {
    "empty": ("empty", "the answer is empty"),
    "fenced": ("fenced_json", "the JSON stands in a Markdown code block, which a JSON parser refuses"),
    "surrounded": ("text_around_json", "there is text around the JSON, which a JSON parser refuses"),
    "invalid": ("invalid_json", "the answer is not JSON"),
    "too_deep": ("invalid_json", "the JSON is nested too deeply to be read"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonMatch(Measure):
    """How many fields of the expected JSON the output has right: F1, precision, recall, or all of them.

    A field is a leaf: ``customer.name``, ``items[0].price``; with ``ignore_order`` each item of a list counts
    as one, wherever it stands. A wrong value is both an extra and a missing one. The output is parsed as
    production would: strictly. JSON in a code block or with words around it scores 0.0.

    Kinds of evidence: ``match``, ``empty``, ``invalid_json``, ``fenced_json``, ``text_around_json``,
    ``wrong_type`` (say, a list instead of an object), ``missing_fields``, ``wrong_values``, ``extra_fields``.
    ``fields`` tells each field's fate (``match``, ``wrong``, ``missing``, ``extra``), ``wrong`` the expected
    and the given value.

    Example:
        >>> from scorers import json_match
        >>> score = json_match()(output='{"urgency": "low", "tags": ["a"]}',
        ...                      expected={"urgency": "high", "tags": ["a"]})
        >>> score.value, score.evidence["fields"]
        (0.5, {'urgency': 'wrong', 'tags[0]': 'match'})
    """

    name: str = "json_match"
    metric: Literal["f1", "precision", "recall", "exact"] = "f1"
    """``exact``: 1.0 only where every field matches and none is extra."""
    fields: tuple[str, ...] | None = None
    """Only these fields and what is below them, as dotted paths. By default all."""
    ignore: tuple[str, ...] = ()
    """Fields that do not count, with all that is below them."""
    tolerance: float = 0.0
    """Largest absolute difference of two numbers that are still equal."""
    ignore_case: bool = False
    ignore_order: bool = False
    """Lists are equal in any order."""
    allow_fences: bool = False
    """JSON inside a Markdown code block is read: only if production's consumer does so too."""

    def _check(self) -> None:
        if self.tolerance < 0:
            raise ScorerSpecError(f"{self.name}: option 'tolerance' must not be negative", key="tolerance")
        if self.fields == ():
            raise ScorerSpecError(f"{self.name}: option 'fields' is empty", key="fields")

    def _expected(self, expected: Any) -> Any:
        # The whole mapping is the expected object, unless an entry is named.
        if self.expected_key is not None and isinstance(expected, Mapping):
            return expected.get(self.expected_key)
        return expected

    def _score(self, sample: Sample) -> Score:
        wanted = read(sample.expected, allow_fences=True)
        if wanted.problem:
            return self._unscored(
                "bad_expected", f"the expected value is not JSON: {clip(sample.expected)!r}"
            )
        got = read("" if sample.output is None else sample.output, allow_fences=self.allow_fences)
        if got.problem:
            kind, why = _PROBLEMS[got.problem]
            return self._found(0.0, kind, f"{why}: {clip(as_text(sample.output).strip())!r}")
        if _shape(got.value) != _shape(wanted.value):
            why = f"expected {_shape(wanted.value)}, got {_shape(got.value)}"
            return self._found(0.0, "wrong_type", f"{why}: {clip(got.value)!r}")
        return self._compared(wanted.value, got.value)

    def _compared(self, wanted: Any, got: Any) -> Score:
        how = Comparison(
            tolerance=self.tolerance, ignore_case=self.ignore_case, ignore_order=self.ignore_order
        )
        tally = _Tally(how)
        expected = {path: leaf for path, leaf in self._leaves(wanted, ()) if self._counts(path)}
        given = {path: leaf for path, leaf in self._leaves(got, ()) if self._counts(path)}
        if not expected and self.fields is not None and not given:
            return self._unscored("bad_expected", "the expected value has none of the fields that count")
        for path, leaf in expected.items():
            tally.add(path, leaf, given, missing=path not in given)
        for path, leaf in given.items():
            if path not in expected:
                tally.add_extra(path, leaf)
        return self._concluded(tally)

    def _concluded(self, tally: _Tally) -> Score:
        right, expected, given = tally.right, tally.expected, tally.given
        precision = right / given if given else float(not expected)
        recall = right / expected if expected else float(not given)
        f1 = 2 * right / (expected + given) if expected + given else 1.0
        whole = right == expected == given
        values = {"f1": f1, "precision": precision, "recall": recall, "exact": float(whole)}
        fates = sorted(tally.fates.items(), key=lambda fate: fate[1] == "match")
        shown = dict(fates[:_SHOWN])
        kind = "match" if whole else _worst({fate for _, fate in fates})
        return self._found(
            values[self.metric],
            kind,
            "" if whole else _told(fates, tally.wrong),
            precision=round(precision, 6),
            recall=round(recall, 6),
            f1=round(f1, 6),
            fields=shown,
            wrong=dict(list(tally.wrong.items())[:_SHOWN]),
        )

    def _leaves(self, value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
        """The leaves of ``value``; a list whose order does not count is one leaf."""
        if isinstance(value, Mapping) and value:
            for key, child in value.items():
                yield from self._leaves(child, (*path, str(key)))
        elif isinstance(value, list | tuple) and value and not self.ignore_order:
            for index, child in enumerate(value):
                yield from self._leaves(child, (*path, f"[{index}]"))
        else:
            yield path, value

    def _counts(self, path: _Path) -> bool:
        if self.fields is None and not self.ignore:
            return True
        shown = _shown(path)
        return (self.fields is None or any(_below(shown, field) for field in self.fields)) and not any(
            _below(shown, field) for field in self.ignore
        )


class _Tally:
    """The fate of every field, and the counts that precision and recall are made of."""

    def __init__(self, how: Comparison) -> None:
        self._how = how
        self.right = self.expected = self.given = 0
        self.fates: dict[str, str] = {}
        self.wrong: dict[str, list[str]] = {}

    def add(self, path: _Path, leaf: Any, given: Mapping[_Path, Any], *, missing: bool) -> None:
        """Count an expected field."""
        other = given.get(path)
        weight, other_weight = _weight(leaf), 0 if missing else _weight(other)
        self.expected += weight
        self.given += other_weight
        if missing:
            self.fates[_shown(path)] = "missing"
            return
        if isinstance(leaf, list | tuple) and isinstance(other, list | tuple) and leaf:
            right = self._how.shared(leaf, other)
        else:
            right = int(self._how.same(leaf, other))
        self.right += right
        if right == weight == other_weight:
            self.fates[_shown(path)] = "match"
        else:
            self.fates[_shown(path)] = "wrong"
            self.wrong[_shown(path)] = [clip(leaf), clip(other)]

    def add_extra(self, path: _Path, leaf: Any) -> None:
        """Count a field that was not expected."""
        self.given += _weight(leaf)
        self.fates[_shown(path)] = "extra"


def _weight(leaf: Any) -> int:
    """A list whose order does not count weighs as much as it has items."""
    return max(1, len(leaf)) if isinstance(leaf, list | tuple) else 1


def _shape(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else "a single value"


def _shown(path: _Path) -> str:
    text = "".join(part if part.startswith("[") else f".{part}" for part in path)
    return clip(text.removeprefix(".") or "(value)", 200)


def _below(path: str, field: str) -> bool:
    return path == field or path.startswith((f"{field}.", f"{field}["))


def _worst(fates: set[str]) -> str:
    if "missing" in fates:
        return "missing_fields"
    return "wrong_values" if "wrong" in fates else "extra_fields"


def _told(fates: list[tuple[str, str]], wrong: Mapping[str, list[str]]) -> str:
    told = []
    for path, fate in fates[:5]:
        if fate == "wrong":
            told.append(f"{path}: expected {wrong[path][0]!r}, got {wrong[path][1]!r}")
        elif fate != "match":
            told.append(f"{path} is {fate}")
    failed = sum(fate != "match" for _, fate in fates)
    return "; ".join(told) + (f"; and {failed - len(told)} more" if failed > len(told) else "")


json_match = JsonMatch
