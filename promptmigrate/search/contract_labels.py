"""What is said of a set of labels: whether it is closed, and how they are spelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from promptmigrate.search.text import cased

MAX_LABELS = 60
_CHARS = 60
_WORDS = 6
_UNSEEN = 0.1


def is_label(text: str) -> bool:
    """Whether ``text`` is short enough for a label."""
    return len(text) <= _CHARS and "\n" not in text and len(text.split()) <= _WORDS


def is_open(counts: Counter[str]) -> bool:
    """Whether values that none of the rows has are likely: names and numbers beside a few frequent values.

    Most of the values were seen once, and a new row holds an unseen one with a probability above a tenth: by
    Good and Turing's estimate that is the share of rows whose value was seen once (Good 1953, Biometrika
    40:237).
    """
    once = sum(n == 1 for n in counts.values())
    return 2 * once > len(counts) and once > _UNSEEN * counts.total()


def spelling(labels: Sequence[str]) -> str:
    """How ``labels`` are spelled, to stand behind "exactly as it is spelled above"."""
    letters = [t for t in labels if cased(t)]
    notes = []
    if letters and all(t == t.lower() for t in letters):
        notes.append("in lowercase")
    elif letters and all(t == t.upper() for t in letters):
        notes.append("in UPPERCASE")
    if any("_" in t for t in labels):
        notes.append("with underscores")
    if notes or not letters:
        return f" ({', '.join(notes)})" if notes else ""
    return ", with the same capital and small letters"


def forbidden(labels: Sequence[str]) -> tuple[str, ...]:
    """What may not stand around ``labels``: nothing that some of them begin or end with themselves."""
    ends = {end for label in labels for end in (label[0], label[-1])}
    found = ["punctuation" if all(end.isalnum() for end in ends) else "other punctuation"]
    if ends.isdisjoint("\"'\u201c\u201d\u2018\u2019\u00ab\u00bb\u300c\u300d"):
        found.append("quotes")
    if ends.isdisjoint("*_`#"):
        found.append("markdown")
    return tuple(found)
