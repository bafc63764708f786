"""pairwise: the output against the expected answer, asked in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scorers._bias import same_family
from scorers._deliberate import Deliberation, paid
from scorers._judge_forms import told_inputs
from scorers._many import ManyQuestions
from scorers._options import check_texts
from scorers._settle import settled
from scorers._text import as_text
from scorers._types import Answer, Sample, Score
from scorers._verdict import reason, verdict

_FIRST, _SECOND = "first", "second"
_FLIPPED = "the verdict changes with the order of the answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairwise(ManyQuestions):
    """1.0 where the output is preferred to the expected answer, 0.0 where that is preferred, 0.5 for a tie.

    Both orders are asked. Where they disagree the judge followed the position and not the content: that is a
    flip, counted as a tie (the conservative rule of Zheng et al. 2023, arXiv 2306.05685). If one order could
    not be judged, the pair is unscored. Identical answers are a tie without asking.

    Kinds of evidence: ``match`` (preferred), ``empty``, ``judged_worse``, ``judged_tie``, ``flip``. Evidence
    ``first_order`` (the output is shown first) and ``second_order`` name the position that was preferred:
    ``first``, ``second`` or ``tie``; ``flip`` says whether they disagree, ``favoured`` which position gained
    by it, ``length_difference`` by how many characters the output is longer, and ``same_family`` whether the
    judge is of the candidate's or the reference's model family (see :func:`scorers.same_family`).

    Example:
        >>> from scorers import Answer, pairwise
        >>> async def complete(question):
        ...     return Answer(text="The first one is nicer. VERDICT: FIRST")
        >>> judge = pairwise(model="openai/gpt-5-mini", complete=complete)
        >>> score = judge(output="Hello", expected="Good day")
        >>> score.value, score.evidence["kind"], score.evidence["favoured"]
        (0.5, 'flip', 'first')
    """

    menu: ClassVar[Mapping[str, float]] = {"FIRST": 1.0, "SECOND": 0.0, "TIE": 0.5}

    name: str = "pairwise"
    criteria: str = "Which answer serves the author of INPUT better: right, complete, to the point, clear?"
    """What makes one answer better than the other."""
    candidate: str = ""
    """The model that wrote the output, if it is known: tells whether the judge is of its family."""
    reference: str = ""
    """The model that wrote the expected answer, if it is known."""

    @property
    def most_questions(self) -> int:
        """Two: one for each order."""
        return 2

    def _check(self) -> None:
        ManyQuestions._check(self)
        check_texts(self.name, "criteria", [self.criteria])

    def _settle(self, sample: Sample) -> Score | None:
        said = settled(sample.output, sample.expected)
        if said is None or said[1] == "other_number":
            return None
        same, check = said
        if same:
            return self._found(0.5, "judged_tie", "both answers are the same", decided_by=check, flip=False)
        won = bool(as_text(sample.output).strip())
        why = "" if won else "the output is empty"
        return self._found(float(won), "match" if won else "empty", why, decided_by=check, flip=False)

    def _deliberate(self, sample: Sample) -> Deliberation:
        begun = self._begin(sample)
        if isinstance(begun, Score):
            return begun
        output, expected = as_text(begun.output), as_text(begun.expected)
        told = told_inputs(begun)
        one = self._asking({**told, "FIRST": output, "SECOND": expected})
        other = self._asking({**told, "FIRST": expected, "SECOND": output})
        if isinstance(one, Score):
            return one
        if isinstance(other, Score):
            return other
        answers = yield (one, other)
        return paid(self._compared(output, expected, answers), answers)

    def _compared(self, output: str, expected: str, answers: Sequence[Answer]) -> Score:
        given: list[str] = []
        for answer in answers:
            read = self._preferred(answer)
            if isinstance(read, Score):
                return read
            given.append(read)
        here, there = given
        value, swapped = self.menu[here], 1.0 - self.menu[there]
        flip = value != swapped
        gained = self.menu[here] + self.menu[there] - 1.0
        kinds = {1.0: "match", 0.5: "judged_tie", 0.0: "judged_worse"}
        families = [same_family(self.model, model) for model in (self.candidate, self.reference) if model]
        return self._found(
            0.5 if flip else value,
            "flip" if flip else kinds[value],
            _FLIPPED if flip else reason(answers[0].text or "") or f"the judge says {here}, then {there}",
            first_order=here.lower(),
            second_order=there.lower(),
            flip=flip,
            favoured=None if not flip else _FIRST if gained > 0 else _SECOND,
            length_difference=len(output) - len(expected),
            output_chars=len(output),
            same_family=True if True in families else False if False in families else None,
            decided_by="judge",
            judge=self.model,
        )

    def _preferred(self, answer: Answer) -> str | Score:
        text = answer.text or ""
        return self._failed(answer) or verdict(text, tuple(self.menu)) or self._off_menu(text)

    def _task(self) -> str:
        return (
            "You compare two answers, FIRST and SECOND, to the same INPUT (it may be missing). "
            f"What counts: {self.criteria.strip()}\n"
            "Neither the order in which they are shown nor their length is a merit.\n"
            "FIRST: the first answer is better.\nSECOND: the second answer is better.\n"
            "TIE: neither is better in a way that matters."
        )

    def _closing(self) -> str:
        return "Compare FIRST and SECOND as told."


pairwise = Pairwise
