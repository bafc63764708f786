"""Small text measures that the search modules share."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from promptmigrate.tokens import tokens_in
from promptmigrate.types import Message, Prompt

T = TypeVar("T")
_WORD = re.compile(r"\w+", re.UNICODE)
_STOP = re.compile(
    r"(?<=[.!?\u061f])(?=\s+(\S))"
    r"|(?<=[\u3002\uff01\uff1f\u0964])(?=\s*[^\s\u3002\uff01\uff1f\u0964\u201d\u300d\u300f\uff09)\"'])"
)
"""After a full stop with the first sign behind it; one of Chinese, Japanese or Hindi needs no space."""
_OPENS = "\"'(\u00ab\u201c\u201e\u00bf\u00a1"
"""What a sentence may begin with besides a capital letter, or a letter of a script that has none."""
_HAN = r"\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = r"\u3040-\u30ff\u31f0-\u31ff"
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Burmese, Khmer: letters with their marks."""
_MARKS = r"\u0300-\u036f\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u200c\u200d"
"""Parts of words that are no letters by themselves: accents, and vowels of Arabic and of Indian scripts."""
_UNIT = re.compile(rf"([{_HAN}])|([{_KANA}])|([{_UNSPACED}])|(?:[^\W{_HAN}{_KANA}{_UNSPACED}]|[{_MARKS}])+")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,}|\"{3,}|'{3,})\s*(\w*)\s*$")
TAG = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z][\w-]*)(?:\s[^<>]*)?>")
"""A tag of XML; one that is a whole line or piece parts a text into blocks."""
_MARK = r"(?:[-*\u2022]|\d+[.)])"
ITEM = re.compile(rf"\s*{_MARK}\s")
"""How an item of a list begins."""
LABEL = re.compile(rf"(?m)^[^\S\n]*{_MARK}?[^\S\n]*[*_]{{0,2}}([\w -]{{1,30}}[:>])[*_]{{0,2}}(?:\s|$)")
"""What a line of a sample begins with ("Input:", "**Bot:**", "user>")."""
WORD = 12
"""What a word weighs in :func:`units`."""
_WEIGHTS = {1: 8, 2: 6, 3: 3, None: WORD}
"""A word of English is one and a half ideographs, two kana, four letters of Thai, or so."""


def draw(*parts: object) -> int:
    """A 64-bit number that depends on ``parts`` alone: the search's only source of chance."""
    raw = "\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(raw).digest()[:8], "big")


def words(text: str) -> list[str]:
    """Lower-case words of ``text``, without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def normalised(text: str) -> str:
    """``text`` as its words, one space between: what two texts are compared by."""
    return " ".join(words(text))


def sentences(line: str) -> list[str]:
    """The sentences of a line, each with the white space before it."""
    ends = [m.start() for m in _STOP.finditer(line) if m[1] is None or _begins(m[1])]
    return [line[start:end] for start, end in pairwise([0, *ends, len(line)])]


def _begins(first: str) -> bool:
    return first in _OPENS or first.isupper() or (first.isalpha() and not cased(first))


def ngrams(tokens: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    """All runs of ``size`` neighbouring tokens."""
    return (tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


class Unit(NamedTuple):
    """A word, or a character of a script that writes no spaces between words."""

    text: str
    weight: int


def units(text: str) -> list[Unit]:
    """``text`` in lower case without punctuation, in pieces that say how much of a word each is."""
    found = _UNIT.finditer(unicodedata.normalize("NFKC", text).casefold())
    return [Unit(match[0], _WEIGHTS[match.lastindex]) for match in found]


def counted(texts: Sequence[str]) -> tuple[str, list[int]]:
    """What people count ``texts`` by, "word" or "character", and how many each has.

    Characters, punctuation too, where more than half is written without spaces between words (Chinese,
    Japanese, Thai).
    """
    if not all(text.isascii() for text in texts):
        weights = [unit.weight for text in texts for unit in units(text)]
        if 2 * sum(weight for weight in weights if weight < WORD) > sum(weights):
            return "character", [len("".join(text.split())) for text in texts]
    return "word", [len(words(text)) for text in texts]


def most(values: Sequence[T], share: float) -> T | None:
    """The value that at least ``share`` of ``values`` have; None if there is none."""
    if not values:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if count >= share * len(values) else None


def cased(text: str) -> bool:
    """Whether ``text`` has letters that are capital or small."""
    return text.lower() != text.upper()


def length(text: str) -> float:
    """How many words long ``text`` is, in scripts without spaces by what their characters weigh."""
    return len(words(text)) if text.isascii() else sum(unit.weight for unit in units(text)) / WORD


def says(text: str, part: str) -> bool:
    """Whether the words of ``part`` stand in ``text``, in scripts without spaces its characters."""
    if text.isascii():
        return bool(normalised(part)) and f" {normalised(part)} " in f" {normalised(text)} "
    wanted = tuple(unit.text for unit in units(part))
    return bool(wanted) and wanted in ngrams([unit.text for unit in units(text)], len(wanted))


def runs(found: Sequence[Unit], weight: int) -> Iterable[tuple[str, ...]]:
    """From each unit on, the shortest run that weighs at least ``weight``."""
    texts = [unit.text for unit in found]
    end = total = 0
    for start, unit in enumerate(found):
        while total < weight and end < len(found):
            total += found[end].weight
            end += 1
        if total < weight:
            return
        yield tuple(texts[start:end])
        total -= unit.weight


def spelled(run: Sequence[str]) -> str:
    """The texts of units, for people: spaces only beside words."""
    return "".join(
        f" {text}" if index and WORD in (units(run[index - 1])[0].weight, units(text)[0].weight) else text
        for index, text in enumerate(run)
    )


def tokens_of(prompt: Prompt) -> int:
    """Estimated tokens of a template, see :func:`promptmigrate.tokens.tokens_in`, rounded up."""
    return math.ceil(sum(tokens_in(m.content) for m in prompt.messages))


def shorten(text: str, limit: int) -> str:
    """``text``, with its middle left out where it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    half = max(1, (limit - 7) // 2)
    return f"{text[:half].rstrip()} [...] {text[-half:].lstrip()}"


def one_line(text: str, limit: int = 120) -> str:
    """``text`` on one line, shortened."""
    return shorten(" ".join(text.split()), limit)


def fenced(text: str) -> str:
    """``text`` between fence lines that do not occur in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"


def closing_fences(lines: Sequence[str]) -> set[int]:
    """Indices of the lines that close a fence (```, ~~~, three quotes): they belong to what is above them."""
    closing: set[int] = set()
    fence = ""
    for index, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark is None:
            continue
        if not fence:
            fence = mark[1]
        elif mark[1].startswith(fence) and not mark[2]:
            closing.add(index)
            fence = ""
    return closing


def with_content(message: Message, content: str) -> Message:
    """``message`` with other content."""
    return Message(role=message.role, content=content)
