"""relevance: the output answers what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scorers._judges._of_inputs import OfInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Relevance(OfInputs):
    """1.0 where the output deals with what the inputs ask, 0.5 where only a part of it does, else 0.0.

    Whether it is right is not in question, and no expected value is needed. An empty output is 0.

    Kinds of evidence: ``match``, ``empty``, ``judged_partly``, ``judged_irrelevant``.

    Example:
        >>> from scorers import Answer, relevance
        >>> async def complete(question):
        ...     return Answer(text="Talks about the weather instead. VERDICT: IRRELEVANT")
        >>> judge = relevance(model="openai/gpt-5-mini", complete=complete)
        >>> judge(output="It will rain.", inputs={"question": "Where is my parcel?"}).value
        0.0
    """

    menu: ClassVar[Mapping[str, float]] = {"RELEVANT": 1.0, "PARTLY": 0.5, "IRRELEVANT": 0.0}
    blank: ClassVar[float | None] = 0.0
    without_inputs: ClassVar[str] = "there is no input that the output could be relevant to"

    name: str = "relevance"

    def _task(self) -> str:
        return (
            "You judge whether OUTPUT is relevant to INPUT. Whether it is right, complete or well written is "
            "not in question.\n"
            "RELEVANT: OUTPUT deals with what INPUT asks, directly and for the most part.\n"
            "PARTLY: OUTPUT deals with it in part, or buries it under other matters.\n"
            "IRRELEVANT: OUTPUT does not deal with it, evades it or refuses without need."
        )


relevance = Relevance
