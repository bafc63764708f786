"""judged_conciseness: the output says what it has to say in few words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scorers._judge import JudgeBase


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedConciseness(JudgeBase):
    """1.0 where the output has no words to spare, 0.5 where some could go, 0.0 where most could.

    A long output may be concise, if the inputs ask for much. An empty output is 0.

    Kinds of evidence: ``match``, ``empty``, ``judged_wordy``, ``judged_bloated``.

    Example:
        >>> from scorers import Answer, judged_conciseness
        >>> async def complete(question):
        ...     return Answer(text="The first sentence says nothing. VERDICT: WORDY")
        >>> judge = judged_conciseness(model="openai/gpt-5-mini", complete=complete)
        >>> judge(output="Great question! It is 5.", inputs={"question": "2 + 3?"}).value
        0.5
    """

    menu: ClassVar[Mapping[str, float]] = {"CONCISE": 1.0, "WORDY": 0.5, "BLOATED": 0.0}
    blank: ClassVar[float | None] = 0.0

    name: str = "judged_conciseness"

    def _needs_expected(self) -> bool:
        return False

    def _task(self) -> str:
        return (
            "You judge whether OUTPUT is concise for what INPUT asks. Whether it is right is not in "
            "question, and being short is not enough if it leaves the matter open.\n"
            "CONCISE: nothing could go without loss.\n"
            "WORDY: some of it could go without loss: filler, repetition, restating the question, "
            "disclaimers, matters not asked for.\n"
            "BLOATED: most of it could go without loss."
        )


judged_conciseness = JudgedConciseness
