"""Whether a text tells two names apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONTRAST = re.compile(
    r"\b(?:confus|distinguish|differ|not\b|rather|instead|versus|vs\b|mix|while|whereas|but\b|if\b|when)"
)


def tell_apart(
    text_clauses: Sequence[str], right: Sequence[str], wrong: Sequence[str], cues: re.Pattern[str]
) -> float:
    """How well clauses tell that ``right`` and not ``wrong`` is meant where the ``cues`` (a pattern) show.

    1: a clause ties a cue to the right name alone; 0.6: both names and a cue; 0.35: both names, no cue;
    -1: a clause ties the cue to the wrong name.
    """
    best = worst = 0.0
    for clause in text_clauses:
        for part in (clause, *_parts(clause)):
            is_right, is_wrong = _named(part, right), _named(part, wrong)
            if not (is_right or is_wrong):
                continue
            cue = bool(cues.search(part))
            if is_right and not is_wrong and cue:
                best = max(best, 1.0)
            elif is_right and is_wrong and _CONTRAST.search(part):
                best = max(best, 0.6 if cue else 0.35)
            elif is_wrong and cue and not is_right and part == clause:
                worst = -1.0
    return best if best >= 0.6 or not worst else worst


def _parts(clause: str) -> list[str]:
    pieces = [clause]
    for mark in ("; ", " while ", " whereas ", ", but "):
        pieces = [piece for whole in pieces for piece in whole.split(mark)]
    return pieces if len(pieces) > 1 else []


_DENIALS = (
    "not ",
    "rather than ",
    "instead of ",
    "never ",
    "over ",
    "and not ",
    "than ",
    "not as ",
    "not the ",
)


def _named(part: str, names: Sequence[str]) -> bool:
    """Whether one of ``names`` stands in the part as a choice, not as what to avoid."""
    for name in names:
        at = part.find(name)
        while at >= 0:
            before, after = part[:at].rstrip("\"'`*“‘("), part[at + len(name) :]
            free = (not before or not (before[-1].isalnum() or before[-1] == "_")) and not (
                after[:1].isalnum() or after[:1] == "_"
            )
            if free and not (before + " ").endswith(_DENIALS) and not before.endswith(_DENIALS):
                return True
            at = part.find(name, at + 1)
    return False
