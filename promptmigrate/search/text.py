"""Small text measures that the search modules share."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from promptmigrate.types import Message, Prompt

_WORD = re.compile(r"\w+", re.UNICODE)
CHARS_PER_TOKEN = 4


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


def ngrams(tokens: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    """All runs of ``size`` neighbouring tokens."""
    return (tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def tokens_of(prompt: Prompt) -> int:
    """Estimated tokens of a template: characters / 4, rounded up."""
    return -(-sum(len(m.content) for m in prompt.messages) // CHARS_PER_TOKEN)


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


def with_content(message: Message, content: str) -> Message:
    """``message`` with other content."""
    return Message(role=message.role, content=content)
