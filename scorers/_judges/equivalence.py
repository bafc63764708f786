"""equivalence: the output says the same as production's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scorers._errors import ScorerSpecError
from scorers._json import read
from scorers._judge import JudgeBase
from scorers._judges._against import AgainstExpected
from scorers._settle import container, settled
from scorers._text import as_text, normalise_label
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence(AgainstExpected):
    """1.0 where the output could stand in for the expected answer, else 0.0.

    The clear cases are settled without a model: both empty, identical but for case, whitespace and marks
    around, equal as numbers, equal as JSON (1.0); one empty, two different numbers, two different labels of a
    given set, something that is not strict JSON where JSON is expected (0.0). Evidence ``decided_by`` names
    the check, or says ``judge``.

    Kinds of evidence: ``match``, ``empty``, ``other_number``, ``other_label``, ``invalid_json``,
    ``fenced_json``, ``text_around_json``, ``judged_different``.

    Example:
        >>> from scorers import equivalence
        >>> judge = equivalence(model="openai/gpt-5-mini")
        >>> judge(output='{"a": 1, "b": 2}', expected='{"b": 2.0, "a": 1}').evidence["decided_by"]
        'equal_json'
    """

    menu: ClassVar[Mapping[str, float]] = {"EQUIVALENT": 1.0, "DIFFERENT": 0.0}

    name: str = "equivalence"
    labels: tuple[str, ...] | None = None
    """If answers are labels of this set, two different ones need no judge."""
    allow_fences: bool = False
    """JSON in a Markdown code block may be equivalent to plain JSON: only if the consumer reads it."""

    def _check(self) -> None:
        JudgeBase._check(self)
        if self.labels == ():
            raise ScorerSpecError(f"{self.name}: option 'labels' is empty", key="labels")

    def _settle(self, sample: Sample) -> Score | None:
        said = settled(sample.output, sample.expected) or self._labels(sample)
        if said is not None:
            same, check = said
            return self._decided(sample, same, check)
        if container(sample.expected) is None:
            return None
        got = read(sample.output, allow_fences=self.allow_fences)
        if not got.problem:
            again = settled(got.value, sample.expected)
            return self._decided(sample, *again) if again else None
        kinds = {"fenced": "fenced_json", "surrounded": "text_around_json"}
        return self._decided(sample, False, kinds.get(got.problem, "invalid_json"))

    def _labels(self, sample: Sample) -> tuple[bool, str] | None:
        if self.labels is None:
            return None
        known = {normalise_label(label) for label in self.labels}
        pair = {normalise_label(as_text(sample.output)), normalise_label(as_text(sample.expected))}
        return (False, "other_label") if pair <= known else None

    def _task(self) -> str:
        return (
            "You compare two answers to the same request. EXPECTED is the answer that was given before, "
            "OUTPUT is a new one. Decide whether OUTPUT could take the place of EXPECTED.\n"
            "EQUIVALENT: it conveys the same facts, decisions, values and obligations; wording, order and "
            "tone may differ.\n"
            "DIFFERENT: something that matters is missing, added, contradicted or changed, or it has another "
            "form than a program or person relying on EXPECTED could use. Being longer or more polished does "
            "not make it equivalent."
        )


equivalence = Equivalence
