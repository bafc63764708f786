"""The contract of free texts: length, language, casing, shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from promptmigrate.search.contract_shapes import Shape
from promptmigrate.search.text import cased, counted, length, most, words

_LONG_WORDS = 40
_MARKDOWN = re.compile(r"\*\*|__|^#{1,6} |`[^`\n]+`|```|\[[^\]\n]+\]\([^)\s]+\)|^\s*\|.*\|\s*$", re.MULTILINE)
_VERDICT = re.compile(r"\s*(\w+)\s*[.,:;!\u3002\uff0c\u2013\u2014-]\s*\w")
"""A first word, and more behind it: "Yes, because ..."."""
_FUNCTION_WORDS = {
    "English": {"the", "and", "is", "of", "to", "you", "your", "for", "with", "are"},
    "German": {"der", "die", "und", "ist", "nicht", "sie", "das", "ein", "wir", "ihre"},
    "French": {"le", "les", "et", "est", "vous", "nous", "une", "des", "pour", "votre"},
    "Spanish": {"el", "los", "es", "usted", "una", "para", "por", "con", "del", "su"},
    "Italian": {"il", "che", "di", "per", "non", "una", "sono", "della", "con", "suo"},
    "Portuguese": {"os", "um", "uma", "para", "com", "não", "você", "seu", "dos", "que"},
    "Dutch": {"het", "een", "en", "van", "niet", "voor", "zijn", "met", "uw", "wij"},
}
_KANA = r"[\u3040-\u30ff]"
_SCRIPTS = {
    "Japanese": (r"[\u3040-\u30ff\u4e00-\u9fff]", _KANA, None),
    "Korean": (r"[\uac00-\ud7af]", None, None),
    "Chinese": (r"[\u4e00-\u9fff]", None, _KANA),
    "Russian": (r"[\u0400-\u04ff]", r"[\u044b\u044d\u0451]", r"[\u0402-\u040f\u0452-\u045f\u048a-\u04ff]"),
    "Arabic": (r"[\u0600-\u06ff]", None, r"[\u0671-\u06d5]"),
    "Greek": (r"[\u0370-\u03ff]", None, None),
    "Hindi": (r"[\u0900-\u097f]", r"\u0939\u0948|\u092e\u0947\u0902", None),
}
"""The script, what the language is told by and what only others in that script have (Ukrainian, Bulgarian,
Persian, Marathi)."""
_TELLS = 0.01
"""Share of the letters from which on such marks count: names and quotations may have a few."""
_NO_PROSE = re.compile(r"```.*?(?:```|\Z)|<[^<>\n]*>|\S+@\S+|\S+://\S+|\bwww\.\S+", re.DOTALL)
"""Code, tags and addresses, which are in no language."""
_DIFFERENT = 3
"""Function words of a language that have to occur before it is told by them."""
_SAME = 0.9
"""Share of the answers that have to be in a language before it is asked for."""


def describe(texts: Sequence[str], shape: Shape | None) -> tuple[str, tuple[str, ...]]:
    """Rules and facts for answers that are free ``texts`` (not empty) of some ``shape``."""
    unit, counts = counted(texts)
    lengths = sorted(counts)
    low, middle, high = (lengths[int(q * (len(lengths) - 1))] for q in (0.1, 0.5, 0.95))
    long = sorted(map(length, texts))[(len(texts) - 1) // 2] > _LONG_WORDS
    rules: list[str] = []
    facts: list[str] = []
    lines = sorted(len([line for line in t.splitlines() if line.strip()]) for t in texts)
    if shape and shape.built and not long:
        facts.append(f"Answers have about {middle} {unit}s ({low} to {high})")
    elif lines[len(lines) // 2] > 1 and not long:
        span = f"{lines[0]} to {lines[-1]}" if lines[0] < lines[-1] else str(lines[0])
        about = f"about {max(1, middle)} {unit}{'s' if middle > 1 else ''} together"
        rules.append(f"Write {span} lines, {about}.")
        facts.append(f"Answers are {span} lines, {about} ({low} to {high})")
    elif long:
        rules.append(
            f"Write about {_round(middle)} {unit}s: "
            f"not fewer than {_round(low)}, not more than {_round(high)}."
        )
        facts.append(f"Answers are texts of about {middle} {unit}s ({low} to {high})")
    else:
        explained = _are_explained(texts)
        rules.append(
            f"Answer with only the answer itself, in at most {max(1, high)} {unit}{'s' if high > 1 else ''}: "
            f"no introduction, {'' if explained else 'no explanation, '}no repetition of the question."
        )
        facts.append(f"Answers are short texts of about {middle} {unit}s ({low} to {high})")
    for rule in (shape and shape.rule, _language(texts), *_marks(texts, shape)):
        if rule:
            rules.append(rule)
            facts.append(rule)
    return "Output format:\n" + "\n".join(f"- {rule}" for rule in rules), tuple(facts)


def _are_explained(texts: Sequence[str]) -> bool:
    """Whether most answers are one of a few words and a reason ("Yes, because ...")."""
    firsts = Counter(m[1].lower() for t in texts if (m := _VERDICT.match(t)) and len(t.split()) > 3)
    common = [n for _, n in firsts.most_common(5) if n > 1]
    return 2 * sum(common) > len(texts)


def _round(count: int) -> int:
    return max(5, 5 * round(count / 5))


def _language(texts: Sequence[str]) -> str | None:
    texts = [_NO_PROSE.sub(" ", text) for text in texts]
    told = [t for t in texts if _letters(t)]
    joined = " ".join(told)
    for name, (script, marks, foreign) in _SCRIPTS.items():
        if not told or sum(_share(script, t) > 0.2 for t in told) < _SAME * len(told):
            continue
        if (marks and _share(marks, joined) < _TELLS) or (foreign and _share(foreign, joined) >= _TELLS):
            continue
        return f"Write in {name}."
    found = words(joined)
    if len(found) < 30:
        return None
    counts = _function_words(found)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    best, second = ranked[0], ranked[1]
    if len(_FUNCTION_WORDS[best].intersection(found)) < _DIFFERENT:
        return None  # a word that all answers have may be a name
    if counts[best] >= 0.05 * len(found) and counts[best] >= 1.5 * counts[second]:
        others = sum(_is_other(t, best) for t in told)
        return f"Write in {best}." if others <= (1 - _SAME) * len(told) else None
    return None


def _is_other(text: str, language: str) -> bool:
    """Whether ``text`` is in another language than ``language``, which has the Latin script."""
    counts = _function_words(words(text))
    most_of = max(counts.values())
    return (most_of > 1 and most_of > counts[language]) or any(
        _share(script, text) > 0.2 for script, _, _ in _SCRIPTS.values()
    )


def _function_words(found: Sequence[str]) -> dict[str, int]:
    return {name: sum(w in vocabulary for w in found) for name, vocabulary in _FUNCTION_WORDS.items()}


def _letters(text: str) -> int:
    return sum(c.isalpha() for c in text)


def _share(pattern: str, text: str) -> float:
    return len(re.findall(pattern, text)) / max(1, _letters(text))


def _marks(texts: Sequence[str], shape: Shape | None) -> list[str | None]:
    n = len(texts)
    lettered = [t for t in texts if cased(t)]
    rules: list[str | None] = []
    if shape and shape.built:
        pass  # names in code and tags are spelled as they are there
    elif lettered and sum(t == t.lower() for t in lettered) >= 0.9 * len(lettered):
        rules.append("Write everything in lowercase.")
    elif lettered and sum(t == t.upper() for t in lettered) >= 0.9 * len(lettered):
        rules.append("Write everything in UPPERCASE.")
    ended = sum(t.rstrip()[-1:] in ".!?。！？।؟" for t in texts)
    if ended <= 0.1 * n and not (shape and shape.built):
        rules.append("Do not end with a full stop.")
    bullets = sum(bool(re.search(r"(?m)^\s*[-*\u2022] ", t)) for t in texts)
    if bullets >= 0.8 * n:
        counts = sorted(len(re.findall(r"(?m)^\s*[-*\u2022] ", t)) for t in texts)
        span = f"{counts[0]} to {counts[-1]}" if counts[0] < counts[-1] else str(counts[0])
        rules.append(f"Write a bullet list with one point per line, {span} points.")
    elif sum("\n" in t.strip() for t in texts) <= 0.05 * n:
        rules.append("Write everything on one line.")
    if not any(_MARKDOWN.search(t) for t in texts):
        no = "no bold, no headings, no code fences."
        rules.append(f"Use {no}" if bullets else f"Use no markdown: {no}")
    if shape is None and (prefix := _common_start(texts)):
        rules.append(f'Begin with "{prefix}".')
    return rules


def _common_start(texts: Sequence[str]) -> str | None:
    starts = [tuple(t.split()[:3]) for t in texts]
    for size in (3, 2, 1):
        start = most([s[:size] for s in starts], 0.9)
        if start and len(start) == size and len(set(texts)) > 1 and len(" ".join(start)) > 2:
            return " ".join(start)
    return None
