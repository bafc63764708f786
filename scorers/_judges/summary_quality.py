"""summary_quality: a summary is consistent with its document, relevant, coherent and fluent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorers._judge import JudgeBase
from scorers._judge_forms import json_form, schema_of, told_inputs
from scorers._judges._material import DOCUMENT, material, others
from scorers._text import as_text
from scorers._types import Sample, Score
from scorers._verdict import reason, verdicts

_ASPECTS = (
    ("consistency", "every statement of the summary is supported by the document"),
    ("relevance", "it holds what matters in the document, and nothing that does not"),
    ("coherence", "its sentences build on each other and form a whole"),
    ("fluency", "its sentences are well formed and easy to read"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryQuality(JudgeBase):
    """The mean of four grades from 1 to 5, as a value in [0, 1]; one question.

    The aspects are those of SummEval (Fabbri et al. 2021, arXiv 2007.12626): consistency, relevance,
    coherence, fluency. The document is the input under ``document_key``, else under a usual name, else all
    inputs. An empty summary is 0.

    Kinds of evidence: ``match``, ``empty``, and ``low_consistency`` or another aspect: the one with the
    lowest grade; ``grades`` holds all.

    Example:
        >>> from scorers import Answer, summary_quality
        >>> async def complete(question):
        ...     return Answer(text="VERDICT 1: 5\\nVERDICT 2: 3\\nVERDICT 3: 5\\nVERDICT 4: 5")
        >>> judge = summary_quality(model="openai/gpt-5-mini", complete=complete)
        >>> score = judge(output="A short summary.", inputs={"document": "A long text."})
        >>> score.value, score.evidence["kind"]
        (0.875, 'low_relevance')
    """

    menu: ClassVar[Mapping[str, float]] = {"1": 0.0, "2": 0.25, "3": 0.5, "4": 0.75, "5": 1.0}
    blank: ClassVar[float | None] = 0.0

    name: str = "summary_quality"
    max_tokens: int = 2048
    document_key: str | None = None
    """Which input, or entry of a mapping of expectations, is the document."""

    def _resolved(
        self, output: Any, expected: Any, inputs: Mapping[str, Any] | None, trace: Any
    ) -> Sample | Score:
        given = Sample(output=output, expected=expected, inputs=inputs)
        document = material(given, self.document_key, DOCUMENT)
        if document is None and self.document_key is None and inputs:
            document = told_inputs(given)["INPUT"]
        if document is None or not document.strip():
            where = f" under {self.document_key!r}" if self.document_key else ""
            return self._unscored(
                "no_expected", f"there is no document{where} that the output could summarise"
            )
        return Sample(output=output, expected=document, inputs=inputs, trace=trace)

    def _task(self) -> str:
        listed = "\n".join(f"{i}. {name}: {meaning}" for i, (name, meaning) in enumerate(_ASPECTS, 1))
        return (
            f"You grade OUTPUT as a summary of DOCUMENT, each aspect by itself:\n{listed}\n"
            "Grades: 5 flawless, 4 a small flaw, 3 several flaws, 2 serious flaws, 1 unusable."
        )

    def _form(self) -> str:
        return (
            "First give the reasons in one short sentence per aspect. Then end with one line per aspect of "
            "this form:\n" + "\n".join(f"VERDICT {i}: <one of 1, 2, 3, 4, 5>" for i in range(1, 5))
        )

    def _json_form(self) -> str:
        numbered = ", ".join(f'"{i}": <MENU>' for i in range(1, 5))
        return json_form(
            '{"reason": "<one short sentence per aspect>", "verdicts": {' + numbered + "}}", self.menu
        )

    def _schema(self) -> Mapping[str, Any]:
        grade = {"type": "string", "enum": list(self.menu)}
        return schema_of(
            {"reason": {"type": "string"}, "verdicts": schema_of({str(i): grade for i in range(1, 5)})}
        )

    def _sections(self, sample: Sample) -> dict[str, str]:
        asked = others(sample.inputs, sample.expected)
        told = told_inputs(Sample(output=None, inputs=asked))
        if told.get("INPUT") == sample.expected:
            told = {}
        return {**told, "DOCUMENT": sample.expected, "OUTPUT": as_text(sample.output)}

    def _read(self, sample: Sample, text: str) -> Score:  # noqa: ARG002 - the answer says it all
        given = [grade for grade in verdicts(text, tuple(self.menu), 4) if grade is not None]
        if len(given) < len(_ASPECTS):
            return self._off_menu(text)
        grades = {name: int(grade) for (name, _), grade in zip(_ASPECTS, given, strict=True)}
        value = sum(self.menu[grade] for grade in given) / len(given)
        kind = "match" if value == 1.0 else f"low_{min(grades, key=lambda name: grades[name])}"
        return self._found(value, kind, reason(text), grades=grades, decided_by="judge", judge=self.model)


summary_quality = SummaryQuality
