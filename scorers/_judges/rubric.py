"""rubric: the output is graded on a scale of your own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scorers._errors import ScorerSpecError
from scorers._judge import JudgeBase
from scorers._judge_forms import told_inputs
from scorers._options import check_texts
from scorers._text import as_text
from scorers._types import Sample

_MOST_POINTS = 101
_LABEL = re.compile(r"\w[\w +/-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric(JudgeBase):
    """A grade by criteria of your own, on any scale; the value is its place on the scale, in [0, 1].

    The scale is whole numbers from ``low`` (worst) to ``high`` (best), or words from worst to best, evenly
    spaced. With ``steps`` the judge works through them before it grades, as in G-Eval (Liu et al. 2023,
    arXiv 2303.16634; without its weighting by token probabilities, which few providers give). An expected
    value is shown as a reference, if there is one.

    Kinds of evidence: ``match`` (the best grade), ``judged_`` and the grade.

    Example:
        >>> from scorers import Answer, rubric
        >>> async def complete(question):
        ...     return Answer(text="Friendly, but curt. VERDICT: 4")
        >>> judge = rubric(criteria="How friendly is the answer?", model="openai/gpt-5-mini",
        ...                complete=complete)
        >>> judge(output="Hi! Done.").value
        0.75
        >>> words = rubric(criteria="Tone", scale=["rude: insults", "neutral", "kind"], complete=complete,
        ...                model="openai/gpt-5-mini")
        >>> words(output="Hi! Done.").unscored
        'off_menu'
    """

    name: str = "rubric"
    max_tokens: int = 2048
    criteria: str = ""
    """What is graded, in your own words."""
    steps: tuple[str, ...] = ()
    """What the judge has to do before it grades, in this order."""
    low: int = 1
    high: int = 5
    scale: tuple[str, ...] = ()
    """Words instead of numbers, from worst to best; what stands behind a colon explains the grade."""

    def _check(self) -> None:
        JudgeBase._check(self)
        check_texts(self.name, "criteria", [self.criteria])
        if self.steps:
            check_texts(self.name, "steps", self.steps)
        if self.scale:
            labels = [label for label, _ in self._points()]
            bad = [label for label in labels if not _LABEL.fullmatch(label)]
            if bad:
                raise ScorerSpecError(
                    f"{self.name}: {bad[0]!r} in 'scale' is no grade: use a word or two, then a colon "
                    "and what it means",
                    key="scale",
                )
            if len(labels) < 2 or len({label.casefold() for label in labels}) < len(labels):
                raise ScorerSpecError(
                    f"{self.name}: 'scale' needs two grades or more, all different", key="scale"
                )
        elif not 0 < self.high - self.low < _MOST_POINTS:
            raise ScorerSpecError(
                f"{self.name}: 'high' must be above 'low', by at most {_MOST_POINTS - 1}", key="high"
            )

    def _needs_expected(self) -> bool:
        return False

    def _points(self) -> list[tuple[str, str]]:
        """The grades from worst to best, each with its explanation."""
        if not self.scale:
            return [(str(point), "") for point in range(self.low, self.high + 1)]
        split = [point.partition(":") for point in self.scale]
        return [(label.strip(), meaning.strip()) for label, _, meaning in split]

    def _menu(self) -> Mapping[str, float]:
        points = self._points()
        return {label: rank / (len(points) - 1) for rank, (label, _) in enumerate(points)}

    def _task(self) -> str:
        points = self._points()
        told = [f"{label}: {meaning}" for label, meaning in points if meaning]
        parts = [f"You grade OUTPUT by these criteria:\n{self.criteria.strip()}"]
        if self.steps:
            parts.append(
                "Before you grade, do this, and write down what you find:\n"
                + "\n".join(f"{number}. {step}" for number, step in enumerate(self.steps, 1))
            )
        parts.append(
            f"Grades from worst ({points[0][0]}) to best ({points[-1][0]}): "
            + ", ".join(label for label, _ in points)
        )
        parts += ["\n".join(told)] if told else []
        return "\n".join(parts)

    def _form(self) -> str:
        first = (
            "First work through the steps"
            if self.steps
            else "First give the reason in one to three sentences"
        )
        return f"{first}. Then end with one line of this form:\nVERDICT: <one of {', '.join(self._menu())}>"

    def _sections(self, sample: Sample) -> dict[str, str]:
        wanted = {} if sample.expected is None else {"EXPECTED": as_text(sample.expected)}
        return {**told_inputs(sample), **wanted, "OUTPUT": as_text(sample.output)}


rubric = Rubric
