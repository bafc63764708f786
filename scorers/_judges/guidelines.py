"""guidelines: the output keeps to each of a list of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorers._judge import JudgeBase
from scorers._judge_forms import json_form, schema_of, told_inputs
from scorers._options import check_texts
from scorers._text import as_text, clip
from scorers._types import Sample, Score
from scorers._verdict import reason, verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidelines(JudgeBase):
    """The share of the guidelines that the output meets; one question, one verdict per guideline.

    No expected value is needed. A guideline that does not apply counts as met. If any verdict is missing or
    off the menu, the whole is unscored.

    Kinds of evidence: ``match``, ``guideline_not_met``; ``guidelines`` tells each one's verdict.

    Example:
        >>> from scorers import Answer, guidelines
        >>> async def complete(question):
        ...     return Answer(text="Polite but long. VERDICT 1: MET\\nVERDICT 2: NOT_MET")
        >>> judge = guidelines(guidelines=["Is polite", "Has one sentence"], model="openai/gpt-5-mini",
        ...                    complete=complete)
        >>> judge(output="Dear customer. Thank you.").value
        0.5
    """

    menu: ClassVar[Mapping[str, float]] = {"MET": 1.0, "NOT_MET": 0.0}

    name: str = "guidelines"
    max_tokens: int = 2048
    guidelines: tuple[str, ...] = ()

    def _check(self) -> None:
        JudgeBase._check(self)
        check_texts(self.name, "guidelines", self.guidelines)

    def _needs_expected(self) -> bool:
        return False

    def _task(self) -> str:
        rules = "\n".join(f"{number}. {rule}" for number, rule in enumerate(self.guidelines, 1))
        return (
            "You check whether OUTPUT keeps to guidelines, each one by itself.\n"
            f"Guidelines:\n{rules}\n"
            "MET: OUTPUT keeps to it, or it does not apply to this case.\nNOT_MET: OUTPUT breaks it."
        )

    def _form(self) -> str:
        return (
            "First give the reasons in one short sentence per guideline. Then end with one line per "
            "guideline of this form:\n"
            + "\n".join(f"VERDICT {i}: <one of MET, NOT_MET>" for i in range(1, len(self.guidelines) + 1))
        )

    def _schema(self) -> Mapping[str, Any]:
        verdict = {"type": "string", "enum": list(self.menu)}
        numbers = [str(number) for number in range(1, len(self.guidelines) + 1)]
        return schema_of(
            {"reason": {"type": "string"}, "verdicts": schema_of(dict.fromkeys(numbers, verdict))}
        )

    def _json_form(self) -> str:
        numbered = ", ".join(f'"{i}": <MENU>' for i in range(1, len(self.guidelines) + 1))
        return json_form(
            '{"reason": "<one short sentence per guideline>", "verdicts": {' + numbered + "}}", self.menu
        )

    def _sections(self, sample: Sample) -> dict[str, str]:
        return {**told_inputs(sample), "OUTPUT": as_text(sample.output)}

    def _read(self, sample: Sample, text: str) -> Score:  # noqa: ARG002 - the answer says it all
        given = verdicts(text, tuple(self.menu), len(self.guidelines))
        met = [self.menu[verdict] for verdict in given if verdict is not None]
        if len(met) < len(given):
            return self._off_menu(text)
        told = [
            {"guideline": clip(rule, 200), "verdict": verdict}
            for rule, verdict in zip(self.guidelines, given, strict=True)
        ]
        kind = "match" if all(met) else "guideline_not_met"
        return self._found(
            sum(met) / len(met),
            kind,
            reason(text),
            guidelines=told,
            decided_by="judge",
            judge=self.model,
        )


guidelines = Guidelines
