"""instruction_following: the output does what the request says, instruction by instruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorers._judge import told_inputs
from scorers._judges._itemised import Itemised
from scorers._text import as_text
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionFollowing(Itemised):
    """The share of the request's instructions that the output follows; one question, a verdict for each.

    The judge lists the instructions that the inputs hold: what to do, what not to do, form, length, language,
    tone. Rules that are the same for every sample are better given to ``guidelines``.

    Kinds of evidence: ``match``, ``empty``, ``no_instructions``, ``not_followed_instruction``; ``items``
    lists the instructions with their verdicts.

    Example:
        >>> from scorers import Answer, instruction_following
        >>> async def complete(question):
        ...     return Answer(text="ITEM 1: in French\\nVERDICT 1: FOLLOWED\\n"
        ...                        "ITEM 2: one sentence\\nVERDICT 2: NOT_FOLLOWED")
        >>> judge = instruction_following(model="openai/gpt-5-mini", complete=complete)
        >>> judge(output="Oui. Bien sûr.", inputs={"request": "Answer in French, in one sentence."}).value
        0.5
    """

    menu: ClassVar[Mapping[str, float]] = {"FOLLOWED": 1.0, "NOT_FOLLOWED": 0.0}
    noun: ClassVar[str] = "instruction"

    name: str = "instruction_following"

    def _resolved(
        self,
        output: Any,
        expected: Any,  # noqa: ARG002 - nothing expected is looked at
        inputs: Mapping[str, Any] | None,
        trace: Any,
    ) -> Sample | Score:
        if not inputs:
            return self._unscored("no_expected", "there is no input whose instructions could be followed")
        return Sample(output=output, expected=None, inputs=inputs, trace=trace)

    def _task(self) -> str:
        return (
            "You check whether OUTPUT does what INPUT tells its author to do. List each instruction in "
            "INPUT that can be checked: the task itself, what to include or avoid, form, length, language, "
            "tone. Text that INPUT merely gives to work on holds no instructions.\n"
            "FOLLOWED: OUTPUT does it, fully.\nNOT_FOLLOWED: OUTPUT does not, or only in part."
        )

    def _sections(self, sample: Sample) -> dict[str, str]:
        return {**told_inputs(sample), "OUTPUT": as_text(sample.output)}


instruction_following = InstructionFollowing
