"""E-mail addresses."""

from __future__ import annotations

import re

_DOMAIN = r"(?:[^\W_][\w-]{0,62}\.){1,10}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-])"
_EMAIL = re.compile(r"(?<![\w.%+'-])('?)[\w.%+'-]++@" + _DOMAIN, re.IGNORECASE)
_EMAIL_IN_URL = re.compile(r"(?<![\w.+-])[\w.+-]++%40" + _DOMAIN, re.IGNORECASE)


def without_emails(text: str) -> tuple[str, int]:
    """``text`` without e-mail addresses, and how many there were."""
    found = encoded = 0
    if "@" in text:
        text, found = _EMAIL.subn(r"\1[EMAIL]", text)
    if "%40" in text:
        text, encoded = _EMAIL_IN_URL.subn("[EMAIL]", text)
    return text, found + encoded
