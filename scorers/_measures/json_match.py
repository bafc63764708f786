"""json_match: the fields of a JSON answer, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._field_counts import NotPlainError, alike, counts
from scorers._fields import Comparers, Paths, TooManyPairsError, below, generic, leaves, shown_path
from scorers._frozen import Frozen
from scorers._json import PROBLEMS, SCALARS, believable, loads, read, read_reference
from scorers._json_compare import Comparison
from scorers._similarity import f_measure
from scorers._text import as_text, clip
from scorers._types import Sample, Score, late

_SHOWN = 20
"""Fields that are listed in the evidence, the failed ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonMatch(Measure):
    """How many fields of the expected JSON the output has right: F1, precision, recall, or all of them.

    A field is a leaf: ``customer.name``, ``items[0].price``; with ``ignore_order`` each item of a list counts
    as one, wherever it stands. A wrong value is both an extra and a missing one. The output is parsed as
    production would: strictly. JSON in a code block or with words around it scores 0.0.

    Paths in options are those of the evidence. ``items[0].price`` is one item's field, ``items[].price``
    that of every item, and ``items`` everything below it.

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
        >>> cents = json_match(compare={"amount": {"use": "numeric_match", "tolerance": 0.01}})
        >>> cents(output='{"amount": "$12.50"}', expected={"amount": 12.504}).value
        1.0
        >>> by_sku = json_match(list_keys={"items": "sku"})
        >>> by_sku(output='{"items": [{"sku": "b", "n": 2}, {"sku": "a", "n": 1}]}',
        ...        expected={"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 3}]}).value
        0.75
    """

    name: str = "json_match"
    metric: Literal["f1", "precision", "recall", "exact"] = "f1"
    """``exact``: 1.0 only where every field matches and none is extra."""
    fields: tuple[str, ...] | None = None
    """Only these fields and what is below them, as dotted paths. By default all."""
    ignore: tuple[str, ...] = ()
    """Fields that do not count, with all that is below them."""
    compare: Mapping[str, Any] = Frozen()
    """Path -> the scorer that compares that field (a spec, a name, or in Python the scorer itself). Its
    value is the field's share of a match. Equal values match without it; where it cannot score, the field
    is wrong."""
    tolerance: float = 0.0
    """Largest absolute difference of two numbers that are still equal."""
    ignore_case: bool = False
    ignore_order: bool = False
    """Lists are equal in any order."""
    unordered: tuple[str, ...] = ()
    """Paths of lists whose order does not count, where that of others does."""
    list_keys: Mapping[str, str] = Frozen()
    """Path of a list of objects -> the key by which its items are matched, wherever they stand. Then each
    field of an item counts for itself: ``items[a-7].price``."""
    allow_fences: bool = False
    """JSON inside a Markdown code block is read: only if production's consumer does so too."""
    _comparers: Comparers = field(init=False, repr=False, compare=False, default=Comparers())
    _plain: bool = field(init=False, repr=False, compare=False, default=False)
    """Whether every field counts and is compared as it is."""
    _how: Comparison = field(init=False, repr=False, compare=False, default=Comparison())
    _paths: Paths = field(init=False, repr=False, compare=False, default=Paths())

    def __post_init__(self) -> None:
        specs, comparers = Comparers.read(self.name, self.compare)
        object.__setattr__(self, "compare", specs)
        object.__setattr__(self, "_comparers", comparers)
        Measure.__post_init__(self)
        how = Comparison(
            tolerance=self.tolerance, ignore_case=self.ignore_case, ignore_order=self.ignore_order
        )
        paths = Paths(
            all_unordered=self.ignore_order,
            unordered=tuple(path.replace("[*]", "[]") for path in self.unordered),
            keys={path.replace("[*]", "[]"): key for path, key in self.list_keys.items()},
            whole=comparers.paths,
        )
        plain = how == Comparison() and paths == Paths() and not (comparers or self.allow_fences)
        object.__setattr__(self, "_plain", plain and self.fields is None and not self.ignore)
        object.__setattr__(self, "_how", how)
        object.__setattr__(self, "_paths", paths)

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

    def _quick(self, output: Any, expected: Any) -> Score | None:
        if not self._plain or output.__class__ is not str:
            return None
        wanted = self._expected(expected)
        if wanted.__class__ is str:
            wanted = read_reference(wanted).value
        if wanted.__class__ is not dict and wanted.__class__ is not list:
            return None
        try:
            got = loads(output)
            if wanted.__class__ is not got.__class__:
                return None
            if believable(output) and wanted == got and alike(wanted, got):
                return late(self, 1.0, output, expected)
            right, given, leaves_wanted = counts(wanted, got)
        except (NotPlainError, ValueError, RecursionError):
            return None
        return late(self, self._value(right, given, leaves_wanted), output, expected)

    def _value(self, right: float, given: float, expected: float) -> float:
        if self.metric == "exact":
            return float(right == expected == given)
        precision, recall, f1 = f_measure(right, given, expected)
        return f1 if self.metric == "f1" else precision if self.metric == "precision" else recall

    def _score(self, sample: Sample) -> Score:
        wanted = read_reference(sample.expected)
        if wanted.problem:
            return self._unscored(
                "bad_expected", f"the expected value is not JSON: {clip(sample.expected)!r}"
            )
        got = read("" if sample.output is None else sample.output, allow_fences=self.allow_fences)
        if got.problem:
            kind, why = PROBLEMS[got.problem]
            return self._found(0.0, kind, f"{why}: {clip(as_text(sample.output).strip())!r}")
        if _shape(got.value) != _shape(wanted.value):
            why = f"expected {_shape(wanted.value)}, got {_shape(got.value)}"
            return self._found(0.0, "wrong_type", f"{why}: {clip(got.value)!r}")
        try:
            return self._compared(wanted.value, got.value, sample)
        except TooManyPairsError as error:
            return self._unscored("timeout", f"not compared: {error}")

    def _compared(self, wanted: Any, got: Any, sample: Sample) -> Score:
        paths = self._paths
        tally = _Tally(self._how, self._comparers, paths, sample.inputs)
        expected, given = leaves(wanted, paths), leaves(got, paths)
        if self.fields is not None or self.ignore:
            expected = {path: leaf for path, leaf in expected.items() if self._counts(path)}
            given = {path: leaf for path, leaf in given.items() if self._counts(path)}
        if not expected and self.fields is not None and not given:
            return self._unscored("bad_expected", "the expected value has none of the fields that count")
        for path, leaf in expected.items():
            tally.add(path, leaf, given)
        for path, leaf in given.items():
            if path not in expected:
                tally.add_extra(path, leaf)
        return self._concluded(tally)

    def _concluded(self, tally: _Tally) -> Score:
        precision, recall, f1 = f_measure(tally.right, tally.given, tally.expected)
        whole = tally.right == tally.expected == tally.given
        fates = list(tally.fates.items())
        if not whole:
            fates.sort(key=lambda fate: fate[1] == "match")
        return self._found(
            self._value(tally.right, tally.given, tally.expected),
            "match" if whole else _worst({fate for _, fate in fates}),
            "" if whole else _told(fates, tally.wrong),
            precision=round(precision, 6),
            recall=round(recall, 6),
            f1=round(f1, 6),
            fields={shown_path(path): fate for path, fate in fates[:_SHOWN]},
            wrong={shown_path(path): pair for path, pair in list(tally.wrong.items())[:_SHOWN]},
        )

    def _counts(self, path: str) -> bool:
        loose = generic(path)
        return (self.fields is None or any(below(path, loose, f) for f in self.fields)) and not any(
            below(path, loose, f) for f in self.ignore
        )


class _Tally:
    """The fate of every field, and the counts that precision and recall are made of."""

    def __init__(self, how: Comparison, comparers: Comparers, paths: Paths, inputs: Any) -> None:
        self._how, self._comparers, self._paths, self._inputs = how, comparers, paths, inputs
        self.right = 0.0
        self.expected = self.given = 0
        self.fates: dict[str, str] = {}
        self.wrong: dict[str, list[str]] = {}

    def add(self, path: str, leaf: Any, given: Mapping[str, Any]) -> None:
        """Count an expected field."""
        missing = path not in given
        other = given.get(path)
        if leaf.__class__ in SCALARS and leaf.__class__ is other.__class__ and leaf == other and not missing:
            self.expected += 1
            self.given += 1
            self.right += 1
            self.fates[path] = "match"
            return
        comparer = self._comparers.at(path) if self._comparers else None
        weight = 1 if comparer else _weight(leaf)
        other_weight = 0 if missing else 1 if comparer else _weight(other)
        self.expected += weight
        self.given += other_weight
        if missing:
            self.fates[path] = "missing"
            return
        right: float
        if comparer:
            right = self._comparers.share(comparer, self._how, leaf, other, self._inputs)
        elif isinstance(leaf, list | tuple) and isinstance(other, list | tuple) and leaf:
            right = self._shared(path, leaf, other)
        else:
            right = self._how.same(leaf, other)
        self.right += right
        if right == weight == other_weight:
            self.fates[path] = "match"
        else:
            self.fates[path] = "wrong"
            if len(self.wrong) < _SHOWN:
                self.wrong[path] = [clip(leaf), clip(other)]

    def _shared(self, path: str, a: Any, b: Any) -> int:
        if self._comparers.inside(path):
            return self._comparers.shared(path, self._how, self._paths, a, b, self._inputs)
        return (
            self._how.unordered().shared(a, b)
            if self._paths.is_unordered(path)
            else int(self._how.same(a, b))
        )

    def add_extra(self, path: str, leaf: Any) -> None:
        """Count a field that was not expected."""
        self.given += 1 if self._comparers and self._comparers.at(path) else _weight(leaf)
        self.fates[path] = "extra"


def _weight(leaf: Any) -> int:
    """A list whose order does not count weighs as much as it has items."""
    if leaf.__class__ is str:
        return 1
    return max(1, len(leaf)) if isinstance(leaf, list | tuple) else 1


def _shape(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else "a single value"


def _worst(fates: set[str]) -> str:
    if "missing" in fates:
        return "missing_fields"
    return "wrong_values" if "wrong" in fates else "extra_fields"


def _told(fates: list[tuple[str, str]], wrong: Mapping[str, list[str]]) -> str:
    told = []
    for path, fate in fates[:5]:
        if fate == "wrong":
            told.append(f"{shown_path(path)}: expected {wrong[path][0]!r}, got {wrong[path][1]!r}")
        elif fate != "match":
            told.append(f"{shown_path(path)} is {fate}")
    failed = sum(fate != "match" for _, fate in fates)
    return "; ".join(told) + (f"; and {failed - len(told)} more" if failed > len(told) else "")


json_match = JsonMatch
