"""Untrusted text in a judge's question: fenced, so that it cannot pass for anything but data.

The marks carry a nonce taken from the content itself: an author of the content cannot know it without
having finished it, and the same sample always gives the same question, so that answers can be cached.

What is looked for is looked for as a reader would see it: without invisible characters and accents, wide,
mathematical and Cyrillic letters taken for the Latin ones they look like.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

_LEFT = r"(?:<|&lt;?|&#0{0,4}60;?|&#x0{0,4}3c;?|\\u003c|\\x3c)"
_RIGHT = r"(?:>|&gt;?|&#0{0,4}62;?|&#x0{0,4}3e;?|\\u003e|\\x3e)"
_FENCES = re.compile(rf"(?P<left>{_LEFT}(?:[ \t]?{_LEFT})+)|{_RIGHT}(?:[ \t]?{_RIGHT})+", re.IGNORECASE)
_SIGNS = re.compile(rf"{_LEFT}|{_RIGHT}", re.IGNORECASE)
_END = re.compile(
    r"\bEND(?=[ _-]{1,3}(?:OF[ _-]{1,3})?(?:THE[ _-]{1,3})?"
    r"(?:INPUT|EXPECTED|OUTPUT|CONTEXT|DOCUMENT|FIRST|SECOND)\b)"
)
_VERDICT = re.compile(r"verdicts?(?=[\s\d_()#.\"'*`\[\]-]{0,16}?[:=])", re.IGNORECASE)
_TOKEN = re.compile(
    rf"{_LEFT}(\|[\w .:▁-]{{1,40}}\||/?(?:s|bos|eos|think|start_of_turn|end_of_turn)){_RIGHT}|\[(/?INST)\]"
)
_ROLE = re.compile(
    r"^[ \t>*#_-]{0,6}(?:Human|Assistant|System|User|Developer|HUMAN|ASSISTANT|SYSTEM|USER|DEVELOPER)"
    r"(?=[*_ \t]{0,4}:)",
    re.MULTILINE,
)
_HIDDEN = re.compile(
    "(?P<flag>\U0001f3f4[\U000e0030-\U000e007a]{2,6}\U000e007f)|"
    "[\U000e0001\U000e0020-\U000e007f]{2,}|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{3,}|"
    "[\u200b-\u200f\u2060-\u2064\ufeff]{8,}"
)
_QUOTED = " (quoted)"
_LOOKALIKES = {
    ord(strange): plain
    for plain, many in {
        "A": "АΑ", "B": "ВΒ", "C": "СϹ", "D": "Ꭰꓓ", "E": "ЕΕ", "H": "НΗ", "I": "ІΙӀ", "M": "МΜ", "N": "Ν",
        "O": "ОΟ", "P": "РΡ", "R": "ᎡꓣƦ", "S": "Ѕ", "T": "ТΤ", "U": "Ս", "V": "ѴᏙꓦ", "X": "ХΧ", "Y": "ҮΥ",
        "a": "аα", "c": "сϲᴄ", "d": "ԁ", "e": "еҽ", "i": "іıι", "m": "м", "n": "ո", "o": "оοօ", "p": "рρ",
        "r": "гᴦ", "s": "ѕ", "t": "тτ", "u": "ս", "v": "ѵνᴠ", "x": "х", "y": "у", ":": "։∶ː꞉", "<": "˂ᐸ",
        ">": "˃ᐳ", "|": "ǀ∣│",
    }.items()
    for strange in many
}  # fmt: skip


def nonce(sections: Mapping[str, str]) -> str:
    """12 hex digits that depend on everything in ``sections``."""
    content = "".join(f"{name} {len(text)} {text}" for name, text in sections.items())
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def neutral(text: str) -> str:
    """``text`` without anything that looks like our marks or like a verdict, and without lone surrogates.

    The change is visible to the judge and as small as can be: "<<<" becomes "‹‹‹", "VERDICT:" becomes
    "VERDICT (quoted):", so that a judge who copies it has not given a verdict. Tokens by which chat formats
    begin a message and lines that begin like one ("System:") are treated alike, and runs of characters that
    no reader sees are replaced by a note.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
        text = _HIDDEN.sub(lambda m: m[0] if m["flag"] else "[hidden characters]", text)
    seen, at = (text, None) if text.isascii() else _as_seen(text)
    parts: list[str] = []
    done = 0
    for start, end, new in _edits(seen):
        first, last = (start, end) if at is None else (at[start], at[end - 1] + 1)
        parts += (text[done:first], text[first:last] + new[1:] if new.startswith("+") else new)
        done = last
    return "".join((*parts, text[done:]))


def _edits(seen: str) -> list[tuple[int, int, str]]:
    """What to change in ``seen``: from, to, and the text to put there ("+..." is put behind it)."""
    found: list[tuple[int, int, str]] = []
    for match in _FENCES.finditer(seen):
        sign = "‹" if match["left"] else "›"
        found.append((match.start(), match.end(), sign * len(_SIGNS.findall(match[0]))))
    for match in _TOKEN.finditer(seen):
        found.append((match.start(), match.end(), f"‹{match[1] or match[2]}›"))
    for pattern in (_VERDICT, _END, _ROLE):
        found += [(match.start(), match.end(), f"+{_QUOTED}") for match in pattern.finditer(seen)]
    found.sort()
    kept: list[tuple[int, int, str]] = []
    for edit in found:
        if not kept or edit[0] >= kept[-1][1]:
            kept.append(edit)
    return kept


def _as_seen(text: str) -> tuple[str, list[int]]:
    """``text`` as a reader sees it, and for each of its characters the place in ``text`` it comes from."""
    seen: list[str] = []
    at: list[int] = []
    for place, character in enumerate(text):
        shown = character if character < "\x80" else _shown(character)
        seen.append(shown)
        at.extend([place] * len(shown))
    return "".join(seen), at


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    import unicodedata  # seldom needed, so not paid for at import

    if unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return ""
    plain = unicodedata.normalize("NFKD", character)
    plain = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Me"))
    return plain.translate(_LOOKALIKES)


def fenced(sections: Mapping[str, str]) -> str:
    """``sections`` (name -> text), each between ``<<<NAME nonce>>>`` and ``<<<END NAME nonce>>>``."""
    mark = nonce(sections)
    return "\n\n".join(
        f"<<<{name} {mark}>>>\n{neutral(text)}\n<<<END {name} {mark}>>>" for name, text in sections.items()
    )
