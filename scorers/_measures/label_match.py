"""label_match: the output is the expected label, as a program that reads labels would take it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._text import after_marker, as_text, clip, composed, find_word, normalise_label
from scorers._types import Sample, Score, late

_SEARCHED = 20_000
"""Characters of an answer in which labels are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMatch(Measure):
    """1.0 where the whole output is the expected label, else 0.0.

    Both are compared without case, surrounding whitespace, quotes, backticks, bold marks and closing
    punctuation. "The category is billing." is not the label ``billing``: a program that reads the answer
    would not find it either; ``find`` allows it.

    Kinds of evidence: ``match``, ``found`` (with ``find``), ``empty``, ``form`` (``strict`` only: the label
    is right, its spelling is not), ``other_label``, ``label_in_longer_answer``,
    ``other_label_in_longer_answer``, ``not_a_label``; ``other_answer`` where ``labels`` is not given, so that
    nobody can say whether it is one.

    Example:
        >>> from scorers import label_match
        >>> score = label_match(labels=["billing", "delivery"])(output="**Billing**.", expected="billing")
        >>> score.value
        1.0
        >>> score = label_match()(output="The category is billing.", expected="billing")
        >>> score.value, score.evidence["kind"]
        (0.0, 'label_in_longer_answer')
    """

    name: str = "label_match"
    labels: tuple[str, ...] | None = None
    """All labels there are; tells "another label" from "not a label". See :func:`mine_labels`."""
    strict: bool = False
    """Only the label as it is written counts (whitespace around it does not)."""
    find: bool = False
    """A label inside a longer answer counts, where it is the only one there."""
    extract: str | None = None
    """Compare only what follows the last occurrence of this text; see :class:`ExactMatch`."""

    def _check(self) -> None:
        if self.labels is not None and not any(label.strip() for label in self.labels):
            raise ScorerSpecError(f"{self.name}: option 'labels' has no label in it", key="labels")
        if self.strict and self.find:
            raise ScorerSpecError(f"{self.name}: 'strict' and 'find' contradict each other", key="find")

    def _quick(self, output: Any, expected: Any) -> Score | None:
        if output.__class__ is not str or expected.__class__ is not str or self.strict or self.extract:
            return None
        same = output == expected or normalise_label(output) == normalise_label(expected)
        return late(self, 1.0, output, expected) if same else None

    def _score(self, sample: Sample) -> Score:
        if not isinstance(sample.expected, str | int | float):
            return self._unscored(
                "bad_expected",
                f"the expected value is not a label but a {type(sample.expected).__name__}: "
                "say which entry is meant with expected_key",
            )
        written, expected = as_text(sample.output), as_text(sample.expected)
        if self.extract is not None:
            written = after_marker(written, self.extract)[0]
        given, wanted = normalise_label(written), normalise_label(expected)
        if given == wanted:
            if not self.strict or written.strip() == expected.strip():
                return self._found(1.0, "match", "", label=clip(expected))
            return self._missed("form", written, expected)
        return self._other(written, given, expected, wanted)

    def _other(self, written: str, given: str, expected: str, wanted: str) -> Score:
        if not given:
            return self._missed("empty", written, expected)
        labels = {normalise_label(label): label for label in self.labels or ()}
        if given in labels:
            return self._missed("other_label", written, expected, got=clip(labels[given]))
        labels.setdefault(wanted, expected)
        inside = _labels_in(composed(written[:_SEARCHED]).casefold(), labels)
        if not inside:
            return self._missed("not_a_label" if self.labels else "other_answer", written, expected)
        if self.find and inside == [wanted]:
            return self._found(1.0, "found", f"{clip(expected)!r} stands inside a longer answer")
        kind = "label_in_longer_answer" if wanted in inside else "other_label_in_longer_answer"
        return self._missed(kind, written, expected, inside=[clip(labels[label]) for label in inside[:5]])

    def _missed(self, kind: str, written: str, expected: str, **evidence: Any) -> Score:
        return self._found(
            0.0, kind, f"expected {clip(expected)!r}, got {clip(written.strip())!r}", **evidence
        )


def _labels_in(text: str, labels: Iterable[str]) -> list[str]:
    """The labels that stand in ``text`` on their own; a label inside a longer label that is there is not."""
    found: list[str] = []
    taken: list[tuple[int, int]] = []
    for label in sorted(labels, key=len, reverse=True):
        at = find_word(text, label, 0)
        while at >= 0 and any(start <= at < end for start, end in taken):
            at = find_word(text, label, at + 1)
        if at >= 0:
            found.append(label)
            while at >= 0:
                taken.append((at, at + len(label)))
                at = find_word(text, label, at + len(label)) if len(taken) < 100 else -1
    return found


def mine_labels(values: Iterable[Any], *, most: int = 200) -> tuple[str, ...] | None:
    """The label set that ``values`` (what was expected, or what production answered) are drawn from.

    Spellings that :class:`LabelMatch` takes for one label are one, written as most rows write it; labels come
    most frequent first, ties in alphabetical order. None where the values are not labels: there are more than
    ``most`` different ones, they are longer than 80 characters, or (from 20 values on) most occur only once.
    """
    spellings: dict[str, dict[str, int]] = {}
    total = 0
    for value in values:
        if value is None:
            continue
        text = as_text(value).strip()
        label = normalise_label(text)
        if not label or len(text) > 80 or "\n" in text:
            return None
        total += 1
        counts = spellings.setdefault(label, {})
        counts[text] = counts.get(text, 0) + 1
        if len(spellings) > most:
            return None
    if not spellings or (total >= 20 and len(spellings) > total / 2):
        return None
    ranked = sorted(spellings.values(), key=lambda c: (-sum(c.values()), min(c)))
    return tuple(min(counts, key=lambda text: (-counts[text], text)) for counts in ranked)


label_match = LabelMatch
