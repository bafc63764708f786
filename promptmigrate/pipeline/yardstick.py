"""Whether production answers well enough today to be measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptmigrate.evaluate import Evaluation
from promptmigrate.types import Example, Reply, Variant

_SHARE = 0.05
"""Of production's answers; from here on what it lost would decide, not what it is worth."""
_LEAST = 3
"""Fewer lost answers may be chance, whatever their share."""
_SAME_LENGTH = (0.9, 1.1)


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Answers of production that came back blocked, empty or cut short, and are in its records whole."""

    blocked: int
    empty: int
    cut: int
    answers: int
    """All that were asked for."""

    @property
    def count(self) -> int:
        """How many were lost."""
        return self.blocked + self.empty + self.cut

    @property
    def noticeable(self) -> bool:
        """Whether a candidate could look good only because production did not answer."""
        return self.count >= _LEAST and self.count >= _SHARE * self.answers

    @property
    def sentence(self) -> str:
        """What happened; empty where nothing did."""
        kinds = [("blocked", self.blocked), ("empty", self.empty), ("cut short", self.cut)]
        what = ", ".join(f"{count} {name}" for name, count in kinds if count)
        return (
            f"{self.count} of {self.answers} answers of production came back {what}, and its recorded "
            "answers to the same rows were not"
            if what
            else ""
        )

    @property
    def reason(self) -> str:
        """Why production is no yardstick, and what to do; empty where it is one."""
        if not self.noticeable:
            return ""
        return (
            f"{self.sentence}: they count as wrong, so production is no yardstick today. Mend its endpoint "
            "or its params and run the same command again, or take its recorded answers with gate.baseline: "
            "recorded."
        )


def lost(rows: Sequence[Example], baseline: Evaluation, production: Variant) -> Lost:
    """What of ``rows`` production, asked again, did not answer as it once did."""
    counts = dict.fromkeys(("blocked", "empty", "cut"), 0)
    for row in rows:
        for repeat in range(baseline.repeats):
            outcome = baseline.outcome(production, row, repeat)
            kind = None if outcome is None else _kind(outcome.reply, (row.reference or "").strip())
            if kind is not None:
                counts[kind] += 1
    return Lost(answers=len(rows) * baseline.repeats, **counts)


def _kind(reply: Reply, recorded: str) -> str | None:
    """How an answer was lost; None: it was not, or nothing better is recorded."""
    if not reply.answered or not recorded:
        return None
    text = (reply.text or "").strip()
    if reply.kind == "filtered":
        return "blocked"
    if not text:
        return "empty"
    # A record of about the same length was cut at the same place: that is how production answers.
    low, high = _SAME_LENGTH
    if reply.kind == "truncated" and not low <= len(recorded) / len(text) <= high:
        return "cut"
    return None
