"""Which of the offered verdicts is good and which is bad, told by the words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

_GOOD = (
    "correct", "right", "pass", "equivalent", "yes", "true", "same", "good", "match", "accept",
    "accurate", "valid", "met", "follow", "support", "relevant", "complete", "cover", "concise", "safe",
    "perfect", "excellent", "great", "flawless", "faithful", "ground", "consistent", "agree",
    "identical", "entail", "satisf", "clear", "kind", "polite", "high", "best", "better", "strong",
    "helpful", "ok", "fine", "success", "found", "similar", "comply", "compliant", "adher", "obey",
    "equal", "honest", "superb", "outstanding", "keep",
)  # fmt: skip
_BAD = (
    "wrong", "fail", "differ", "no", "false", "bad", "mismatch", "reject", "violat", "break", "broke",
    "contradict", "miss", "bloat", "harm", "terribl", "poor", "unusabl", "worse", "worst", "weak",
    "low", "disagree", "hallucinat", "rude", "nonsens", "useless", "error", "awful", "toxic", "refut",
    "unrelated",
)  # fmt: skip
_MIDDLE = (
    ("minor", 0.75), ("mostly", 0.75), ("largely", 0.75), ("part", 0.5), ("somewhat", 0.5), ("mixed", 0.5),
    ("neutral", 0.5), ("average", 0.5), ("fair", 0.5), ("tie", 0.5), ("unsure", 0.5), ("border", 0.5),
    ("unclear", 0.5), ("medium", 0.5), ("moderate", 0.5), ("wordy", 0.5), ("so so", 0.5), ("major", 0.25),
    ("hardly", 0.25), ("barely", 0.25),
)  # fmt: skip
_TURNED = re.compile(
    r"^(?:not?|non|never|isn't|is not|does not)[ -]+(?=\w{2})|^(?:un|in|ir|im|dis|mis|non)-?(?=\w{3})"
)
_TIE = re.compile(r"^(?:tie|tied|draw|equal|neither|both|same|none|even)\b", re.I)
_ORDINALS = {
    "first": "1",
    "one": "1",
    "a": "1",
    "left": "1",
    "second": "2",
    "two": "2",
    "b": "2",
    "right": "2",
}


def merit(option: str) -> float | None:
    """How good an option is, in [0, 1]; None if the words do not tell."""
    text = option.lower().replace("_", " ").strip()
    if text in ("0", "1"):
        return float(text)
    for stem, value in _MIDDLE:
        if re.search(rf"\b{stem}", text):
            return value
    if turned := _TURNED.match(text):
        rest = text[turned.end() :]
        if any(rest.startswith(stem) for stem in _GOOD):
            return 0.1 if rest == "found" else 0.0  # worse than not to be found is to be contradicted
        if any(rest.startswith(stem) for stem in _BAD):
            return 1.0
    words = text.split()
    if any(word.startswith(stem) if len(stem) > 2 else word == stem for word in words for stem in _BAD):
        return 0.0
    if any(word.startswith(stem) if len(stem) > 2 else word == stem for word in words for stem in _GOOD):
        return 1.0
    return None


def merits(
    options: Sequence[str], meanings: Mapping[str, str], best: str = "", falling: bool = True
) -> list[float]:
    """How good each option is. ``falling``: where nothing tells, the best is listed first."""
    if all(re.fullmatch(r"-?\d+(?:\.\d+)?", option) for option in options):
        values = [float(option) for option in options]
        if not (set(options) <= {"1", "2"} and meanings):
            low, high = min(values), max(values)
            scaled = [(value - low) / (high - low or 1.0) for value in values]
            return [1.0 - s for s in scaled] if best and float(best) == low else scaled
    found = [merit(option) for option in options]
    if all(value is None for value in found) or all(len(option) == 1 for option in options):
        told = [_meant(meanings.get(option, "")) for option in options]
        found = told if any(value is not None for value in told) else found
    if all(value is None for value in found):
        last = len(options) - 1 or 1
        return [1.0 - i / last if falling else i / last for i in range(len(options))]
    return [value if value is not None else _between(found, i) for i, value in enumerate(found)]


def _meant(text: str) -> float | None:
    values = [value for word in re.findall(r"[a-z'-]+", text.lower()) if (value := merit(word)) is not None]
    negated = re.search(r"\b(?:not|n't|nothing|none|never)\b", text.lower())
    if not values:
        return None
    value = min(values)
    return 0.0 if negated and value == 1.0 else value


def _between(found: Sequence[float | None], at: int) -> float:
    before = next((v for v in reversed(found[:at]) if v is not None), None)
    after = next((v for v in found[at + 1 :] if v is not None), None)
    if before is None or after is None:
        only = before if before is not None else after
        return 1.0 - only if only in (0.0, 1.0) else 0.5
    return (before + after) / 2


def nearest(grade: float, options: Sequence[str], worth: Sequence[float]) -> str:
    """The option that stands closest to a grade in [0, 1]."""
    return min(zip(options, worth, strict=True), key=lambda pair: abs(pair[1] - grade))[0]


def ordinal(name: str) -> str:
    """Which of two candidates a name or an option stands for: "1", "2", or empty."""
    words = re.split(r"[^a-z0-9]+", re.sub(r"'s\b", "", name.lower()))
    words = [
        word for word in words if word not in ("the", "answer", "response", "output", "is", "better", "")
    ]
    for word in (*words[-1:], *words[:1]):
        if word in ("1", "2"):
            return word
        if word in _ORDINALS:
            return _ORDINALS[word]
    return ""


def preferences(options: Sequence[str], meanings: Mapping[str, str]) -> dict[str, str] | None:
    """For "1", "2" and "tie" the option that says so, if the options are a choice between two candidates."""
    found: dict[str, str] = {}
    for option in options:
        if _TIE.match(option) or re.search(r"\b(?:tie|draw|equally)\b", meanings.get(option, ""), re.I):
            found.setdefault("tie", option)
        elif which := ordinal(option):
            found.setdefault(which, option)
    return found if {"1", "2"} <= found.keys() and len(found) == len(options) else None


_PAIRS = re.compile(r"[A-Za-z]+(?:[_ ](?=[A-Z])[A-Z]+)?")


def opposites(text: str) -> tuple[str, str]:
    """The good and the bad word that a request speaks of close together; yes and no if there are none."""
    words = [(m[0], m.start(), value) for m in _PAIRS.finditer(text) if (value := merit(m[0])) is not None]
    best = ("yes", "no")
    for (good, start, value), (bad, end, other) in pairwise(words):
        opposed = value == 1.0 and other == 0.0 and good[:1].isupper() == bad[:1].isupper()
        kin = _root(bad) in _root(good) or _root(good) in _root(bad)
        if opposed and end - start < 100 and (kin or good.isupper() or good.lower() == "yes"):
            best = (good, bad)
    return best


def _root(word: str) -> str:
    return word.lower()[-6:]
