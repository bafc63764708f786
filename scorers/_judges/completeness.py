"""completeness: the output covers all that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorers._judge_forms import told_inputs
from scorers._judges._itemised import Itemised
from scorers._text import as_text
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness(Itemised):
    """The share of the points that an answer needs and the output covers; one question, a verdict per point.

    With an expected value the points are what that value says; without one, what the inputs ask for. A point
    covered in part counts half. An empty output is 0.

    Kinds of evidence: ``match``, ``empty``, ``no_points``, ``partly_point``, ``missing_point``; ``items``
    lists the points with their verdicts.

    Example:
        >>> from scorers import Answer, completeness
        >>> async def complete(question):
        ...     return Answer(text="ITEM 1: price\\nVERDICT 1: COVERED\\nITEM 2: date\\nVERDICT 2: MISSING")
        >>> judge = completeness(model="openai/gpt-5-mini", complete=complete)
        >>> score = judge(output="It costs 5 euros.", inputs={"question": "What does it cost, and when?"})
        >>> score.value, score.rationale
        (0.5, 'missing: date')
    """

    menu: ClassVar[Mapping[str, float]] = {"COVERED": 1.0, "PARTLY": 0.5, "MISSING": 0.0}
    noun: ClassVar[str] = "point"

    name: str = "completeness"

    def _resolved(
        self, output: Any, expected: Any, inputs: Mapping[str, Any] | None, trace: Any
    ) -> Sample | Score:
        if self._expected(expected) is None and not inputs:
            return self._unscored("no_expected", "there is neither an expected value nor an input to cover")
        return Itemised._resolved(self, output, expected, inputs, trace)

    def _task(self) -> str:
        return (
            "You check whether OUTPUT is complete. List the points that an answer to INPUT must cover: if "
            "EXPECTED is given, each fact, decision or step in it that matters, and no others; else each "
            "thing that INPUT asks for. Whether OUTPUT is right or says too much is not in question.\n"
            "COVERED: OUTPUT deals with it.\nPARTLY: OUTPUT deals with a part of it.\n"
            "MISSING: OUTPUT does not deal with it."
        )

    def _sections(self, sample: Sample) -> dict[str, str]:
        wanted = {} if sample.expected is None else {"EXPECTED": as_text(sample.expected)}
        return {**told_inputs(sample), **wanted, "OUTPUT": as_text(sample.output)}


completeness = Completeness
