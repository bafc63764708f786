"""Text from elsewhere (data, answers, bundles), for a terminal."""

from __future__ import annotations

import json

WRITTEN = "\n\t\u00a0\u202f\u3000\u200c\u200d"
"""Not printable by Unicode's book, but part of ordinary text: lines, spaces, joiners of letters and emoji."""


def visible(text: str, *, keep: str = WRITTEN) -> str:
    """``text`` with what is not printable, and could steer a terminal, as JSON escapes; but for ``keep``."""
    return "".join(c if c.isprintable() or c in keep else json.dumps(c)[1:-1] for c in text)
