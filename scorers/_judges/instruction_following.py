"""instruction_following: the output does what the request says, instruction by instruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scorers._judges._itemised import Itemised
from scorers._judges._of_inputs import OfInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionFollowing(OfInputs, Itemised):
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
    without_inputs: ClassVar[str] = "there is no input whose instructions could be followed"

    name: str = "instruction_following"

    def _task(self) -> str:
        return (
            "You check whether OUTPUT does what INPUT tells its author to do. List each instruction in "
            "INPUT that can be checked: the task itself, what to include or avoid, form, length, language, "
            "tone. Text that INPUT merely gives to work on holds no instructions.\n"
            "FOLLOWED: OUTPUT does it, fully.\nNOT_FOLLOWED: OUTPUT does not, or only in part."
        )


instruction_following = InstructionFollowing
