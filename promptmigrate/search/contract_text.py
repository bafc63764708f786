"""The contract of free texts: length, language, casing, shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from promptmigrate.search.text import cased, counted, length, words

T = TypeVar("T")
_LONG_WORDS = 40
_FUNCTION_WORDS = {
    "English": {"the", "and", "is", "of", "to", "you", "your", "for", "with", "are"},
    "German": {"der", "die", "und", "ist", "nicht", "sie", "das", "ein", "wir", "ihre"},
    "French": {"le", "les", "et", "est", "vous", "nous", "une", "des", "pour", "votre"},
    "Spanish": {"el", "los", "es", "usted", "una", "para", "por", "con", "del", "su"},
    "Italian": {"il", "che", "di", "per", "non", "una", "sono", "della", "con", "suo"},
    "Portuguese": {"os", "um", "uma", "para", "com", "não", "você", "seu", "dos", "que"},
    "Dutch": {"het", "een", "en", "van", "niet", "voor", "zijn", "met", "uw", "wij"},
}
_SCRIPTS = {
    "Japanese": r"[\u3040-\u30ff]",
    "Korean": r"[\uac00-\ud7af]",
    "Chinese": r"[\u4e00-\u9fff]",
    "Russian": r"[\u0400-\u04ff]",
    "Arabic": r"[\u0600-\u06ff]",
    "Greek": r"[\u0370-\u03ff]",
    "Hindi": r"[\u0900-\u097f]",
}


def describe(texts: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Rules and facts for answers that are free ``texts`` (not empty)."""
    unit, counts = counted(texts)
    lengths = sorted(counts)
    low, middle, high = (lengths[int(q * (len(lengths) - 1))] for q in (0.1, 0.5, 0.95))
    long = sorted(map(length, texts))[(len(texts) - 1) // 2] > _LONG_WORDS
    rules: list[str] = []
    facts: list[str] = []
    lines = sorted(len([line for line in t.splitlines() if line.strip()]) for t in texts)
    if lines[len(lines) // 2] > 1 and not long:
        span = f"{lines[0]} to {lines[-1]}" if lines[0] < lines[-1] else str(lines[0])
        rules.append(f"Write {span} lines, about {max(1, middle)} {unit}s together.")
        facts.append(f"Answers are {span} lines of about {middle} {unit}s together ({low} to {high})")
    elif long:
        rules.append(
            f"Write about {_round(middle)} {unit}s: "
            f"not fewer than {_round(low)}, not more than {_round(high)}."
        )
        facts.append(f"Answers are texts of about {middle} {unit}s ({low} to {high})")
    else:
        rules.append(
            f"Answer with only the answer itself, in at most {max(1, high)} {unit}{'s' if high > 1 else ''}: "
            "no introduction, no explanation, no repetition of the question."
        )
        facts.append(f"Answers are short texts of about {middle} {unit}s ({low} to {high})")
    for rule in (_language(texts), *_shape(texts)):
        if rule:
            rules.append(rule)
            facts.append(rule)
    return "Output format:\n" + "\n".join(f"- {rule}" for rule in rules), tuple(facts)


def form_fact(lead: str, works: bool) -> str:
    """One sentence on where production puts its answer."""
    return (
        (
            "Production writes its working first and then the answer"
            if works
            else "Production writes the answer"
        )
        + (f' after "{lead.strip()}"' if lead.strip() else "")
        + (" at the end" if works else "")
    )


def most(values: Sequence[T], share: float) -> T | None:
    """The value that at least ``share`` of ``values`` have; None if there is none."""
    if not values:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if count >= share * len(values) else None


def _round(count: int) -> int:
    return max(5, 5 * round(count / 5))


def _language(texts: Sequence[str]) -> str | None:
    joined = " ".join(texts)
    letters = sum(c.isalpha() for c in joined)
    for name, pattern in _SCRIPTS.items():
        if letters and len(re.findall(pattern, joined)) > 0.2 * letters:
            return f"Write in {name}."
    found = words(joined)
    if len(found) < 30:
        return None
    counts = {name: sum(w in vocabulary for w in found) for name, vocabulary in _FUNCTION_WORDS.items()}
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    best, second = ranked[0], ranked[1]
    if counts[best] >= 0.05 * len(found) and counts[best] >= 1.5 * counts[second]:
        return f"Write in {best}."
    return None


def _shape(texts: Sequence[str]) -> list[str | None]:
    n = len(texts)
    lettered = [t for t in texts if cased(t)]
    rules: list[str | None] = []
    if lettered and sum(t == t.lower() for t in lettered) >= 0.9 * len(lettered):
        rules.append("Write everything in lowercase.")
    elif lettered and sum(t == t.upper() for t in lettered) >= 0.9 * len(lettered):
        rules.append("Write everything in UPPERCASE.")
    ended = sum(t.rstrip()[-1:] in ".!?。！？।؟" for t in texts)
    if ended <= 0.1 * n:
        rules.append("Do not end with a full stop.")
    bullets = sum(bool(re.search(r"(?m)^\s*[-*\u2022] ", t)) for t in texts)
    if bullets >= 0.8 * n:
        counts = sorted(len(re.findall(r"(?m)^\s*[-*\u2022] ", t)) for t in texts)
        rules.append(f"Write a bullet list with one point per line, {counts[0]} to {counts[-1]} points.")
    elif sum("\n" in t.strip() for t in texts) <= 0.05 * n:
        rules.append("Write everything on one line.")
    if not any(re.search(r"\*\*|__|^#{1,6} |```", t, re.MULTILINE) for t in texts):
        rules.append("Use no markdown: no bold, no headings, no code fences.")
    if prefix := _common_start(texts):
        rules.append(f'Begin with "{prefix}".')
    return rules


def _common_start(texts: Sequence[str]) -> str | None:
    starts = [tuple(t.split()[:3]) for t in texts]
    for size in (3, 2, 1):
        start = most([s[:size] for s in starts], 0.9)
        if start and len(start) == size and len(set(texts)) > 1 and len(" ".join(start)) > 2:
            return " ".join(start)
    return None
