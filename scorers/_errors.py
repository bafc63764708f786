"""What the package raises on purpose.

::

    ValueError
    └── ScorerSpecError     a scorer, or one of its options, that does not exist or cannot be used
    RuntimeError
    └── NoCompleteError     a judge has no way to reach a model

Nothing is raised because of an *output*: what cannot be scored is an unscored Score with a reason.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ScorerSpecError(ValueError):
    """A scorer cannot be built from what was asked for; ``key`` is the option at fault, if it is one."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        self.key = key
        super().__init__(message)


class NoCompleteError(RuntimeError):
    """A judge has to ask a model and was given no way to do so."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known word closest to ``word``, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
