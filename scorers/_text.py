"""Texts: how any value is read as one, compared, and shown."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

_AROUND = " \t\n\r\f\v\u00a0\ufeff\"'`*_“”‘’«»"
_AFTER = _AROUND + ".,;:!?…"
_CACHED_LENGTH = 100
"""Only short texts are remembered: a cache of megabytes would be a leak."""


def as_text(value: Any) -> str:
    """``value`` as a text: None is empty, bytes are UTF-8, anything that is not a text is written as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)


def clip(value: Any, limit: int = 80) -> str:
    """``value`` as a short text that can be shown and written to any file (no lone surrogates)."""
    if value.__class__ is str and len(value) <= limit and value.isascii():
        return str(value)  # most are like this
    text = as_text(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def composed(text: str) -> str:
    """``text`` with accents composed (NFC), so that two spellings of one character are equal."""
    if text.isascii():
        return text
    from unicodedata import normalize  # seldom needed, so not paid for at import

    return normalize("NFC", text)


def normalise_label(text: str) -> str:
    """A label without case, surrounding whitespace, quotes, backticks, bold marks and closing punctuation."""
    return _short_label(text) if len(text) <= _CACHED_LENGTH else _label(text)


def _label(text: str) -> str:
    bare = text.lstrip(_AROUND).rstrip(_AFTER)
    # A label that is nothing but punctuation ("?") is that punctuation.
    return composed(bare or text.strip()).casefold()


_short_label = lru_cache(maxsize=8192)(_label)


def normalise_prose(text: str) -> str:
    """``text`` without case, surrounding marks, closing punctuation and differences in whitespace."""
    return _label(" ".join(text.split()))


def after_marker(text: str, marker: str) -> tuple[str, bool]:
    """What follows the last ``marker`` (any case), without one full stop at the end, and if it was there.

    Without the marker the whole text stands, as in the scoring of BIG-Bench Hard (Suzgun et al. 2022).
    """
    start = text.rfind(marker)
    if start < 0:
        # Lower case keeps positions except for a few characters that grow; then only the given case counts.
        lowered = text.lower()
        start = lowered.rfind(marker.lower()) if len(lowered) == len(text) else -1
    found = start >= 0
    rest = text[start + len(marker) :] if found else text
    return rest.strip().removesuffix(".").strip(), found


def contains_word(text: str, word: str) -> bool:
    """Whether ``word`` stands in ``text`` not as a part of a longer word."""
    return find_word(text, word, 0) >= 0


def find_word(text: str, word: str, start: int) -> int:
    """Where ``word`` next stands in ``text`` on its own, from ``start`` on; -1 if nowhere."""
    if not word:
        return -1
    while (at := text.find(word, start)) >= 0:
        end = at + len(word)
        before = at > 0 and word[0].isalnum() and (text[at - 1].isalnum() or text[at - 1] == "_")
        after = end < len(text) and word[-1].isalnum() and (text[end].isalnum() or text[end] == "_")
        if not before and not after:
            return at
        start = at + 1
    return -1
