"""Untrusted text in a judge's question: fenced, so that it cannot pass for anything but data.

The marks carry a nonce taken from the content itself: an author of the content cannot know it without
having finished it, and the same sample always gives the same question, so that answers can be cached.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

_MARK = re.compile(r"<{2,}|>{2,}")
_VERDICT = re.compile(r"(verdicts?)([ \t\w()#.\"'*`]{0,16}?[:：=])", re.IGNORECASE)


def nonce(sections: Mapping[str, str]) -> str:
    """12 hex digits that depend on everything in ``sections``."""
    content = "".join(f"{name} {len(text)} {text}" for name, text in sections.items())
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def neutral(text: str) -> str:
    """``text`` without anything that looks like our marks or like a verdict, and without lone surrogates.

    The change is visible to the judge and as small as can be: "<<<" becomes "‹‹‹", "VERDICT:" becomes
    "VERDICT (quoted):", so that a judge who copies it has not given a verdict.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = _MARK.sub(lambda m: ("‹" if m[0][0] == "<" else "›") * len(m[0]), text)
    return _VERDICT.sub(r"\1 (quoted)\2", text)


def fenced(sections: Mapping[str, str]) -> str:
    """``sections`` (name -> text), each between ``<<<NAME nonce>>>`` and ``<<<END NAME nonce>>>``."""
    mark = nonce(sections)
    return "\n\n".join(
        f"<<<{name} {mark}>>>\n{neutral(text)}\n<<<END {name} {mark}>>>" for name, text in sections.items()
    )
