"""correctness: the output is right, measured against what is known to be right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scorers._judges._against import AgainstExpected
from scorers._settle import settled
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Correctness(AgainstExpected):
    """1.0 where the output agrees with the expected answer or facts, else 0.0.

    The expected value may be an answer, a list of facts, or a mapping of expectations. An empty output is
    wrong and one identical to the expected answer is right without asking.

    Kinds of evidence: ``match``, ``empty``, ``judged_incorrect``.

    Example:
        >>> from scorers import Answer, correctness
        >>> async def complete(question):
        ...     return Answer(text="Names the right city. VERDICT: CORRECT")
        >>> judge = correctness(model="openai/gpt-5-mini", complete=complete)
        >>> judge(output="It is Paris, of course.", expected="Paris").value
        1.0
    """

    menu: ClassVar[Mapping[str, float]] = {"CORRECT": 1.0, "INCORRECT": 0.0}

    name: str = "correctness"

    def _settle(self, sample: Sample) -> Score | None:
        said = settled(sample.output, sample.expected)
        # Two different numbers stay a question: a value may be right in another unit.
        if said is None or said[1] == "other_number":
            return None
        return self._decided(sample, *said)

    def _task(self) -> str:
        return (
            "You grade an answer. EXPECTED is known to be right: an answer, or facts that a right answer "
            "must agree with and convey. OUTPUT is the answer to grade.\n"
            "CORRECT: OUTPUT conveys everything in EXPECTED and contradicts none of it; further details that "
            "do not contradict it are allowed.\n"
            "INCORRECT: something in EXPECTED is missing or contradicted, or OUTPUT does not commit "
            "itself to an answer."
        )


correctness = Correctness
