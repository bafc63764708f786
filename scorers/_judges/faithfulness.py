"""faithfulness: every claim of the output is supported by the context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorers._judge_forms import told_inputs
from scorers._judges._itemised import Itemised
from scorers._judges._material import CONTEXT, material, others
from scorers._text import as_text
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness(Itemised):
    """The share of the output's claims that its context supports; one question, one verdict per claim.

    The context is taken from the inputs or from a mapping of expectations: under ``context_key``, else under
    a usual name (``context``, ``documents``, ...), else an expected text is the context. An empty output is
    0, so that saying nothing does not win; one without claims ("I do not know") is 1 with kind ``no_claims``.

    Kinds of evidence: ``match``, ``empty``, ``no_claims``, ``contradicted_claim``, ``not_found_claim``;
    ``items`` lists the claims with their verdicts.

    Example:
        >>> from scorers import Answer, faithfulness
        >>> async def complete(question):
        ...     return Answer(text="ITEM 1: opens at 9\\nVERDICT 1: SUPPORTED\\n"
        ...                        "ITEM 2: is free\\nVERDICT 2: NOT_FOUND")
        >>> judge = faithfulness(model="openai/gpt-5-mini", complete=complete)
        >>> judge(output="Opens at 9, free entry.", inputs={"context": "Opening hours: 9 to 17."}).value
        0.5
    """

    menu: ClassVar[Mapping[str, float]] = {"SUPPORTED": 1.0, "NOT_FOUND": 0.0, "CONTRADICTED": 0.0}
    noun: ClassVar[str] = "claim"

    name: str = "faithfulness"
    context_key: str | None = None
    """Which entry of the inputs, or of a mapping of expectations, is the context."""

    def _resolved(
        self, output: Any, expected: Any, inputs: Mapping[str, Any] | None, trace: Any
    ) -> Sample | Score:
        context = material(Sample(output=output, expected=expected, inputs=inputs), self.context_key, CONTEXT)
        if context is None or not context.strip():
            where = (
                f"under {self.context_key!r}" if self.context_key else f"under {', '.join(CONTEXT[:4])}, ..."
            )
            return self._unscored("no_expected", f"there is no context {where} in inputs or expected")
        return Sample(output=output, expected=context, inputs=inputs, trace=trace)

    def _task(self) -> str:
        return (
            "You check whether OUTPUT is faithful to CONTEXT. List every claim of fact that OUTPUT makes, "
            "each by itself, and none that it does not make; questions, greetings and offers are no claims. "
            "Hold each claim against CONTEXT alone, whatever you know yourself.\n"
            "SUPPORTED: CONTEXT says so, or it follows from CONTEXT.\n"
            "CONTRADICTED: CONTEXT says otherwise.\n"
            "NOT_FOUND: CONTEXT says nothing about it."
        )

    def _sections(self, sample: Sample) -> dict[str, str]:
        asked = others(sample.inputs, sample.expected)
        return {
            **told_inputs(Sample(output=None, inputs=asked)),
            "CONTEXT": sample.expected,
            "OUTPUT": as_text(sample.output),
        }


faithfulness = Faithfulness
