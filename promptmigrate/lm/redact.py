"""Error texts that are fit to be shown: no secrets, one line, not too long."""

from __future__ import annotations

import re
from collections.abc import Iterable

from promptmigrate.redact import redact

_MIN_SECRET_CHARS = 4
# Providers repeat a refused key in part ("sk-ab***yz"), too short for the general patterns.
_KEY_PARTS = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|r8|key|nvapi|csk|fw|pplx)[-_][\w*.-]{4,}|\S*\*{3,}\S*")


def brief(text: str, secrets: Iterable[str] = (), *, limit: int = 300) -> str:
    """``text`` without ``secrets`` and key-like parts, on one line, at most ``limit`` characters."""
    # A key cut in half by the limit would escape its pattern, so redaction comes first.
    text = text[:20_000]
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_CHARS:
            text = text.replace(secret, "[SECRET]")
    text = _KEY_PARTS.sub("[SECRET]", redact(text, ("secret",))[0])
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return line if len(line) <= limit else line[: limit - 1] + "…"
