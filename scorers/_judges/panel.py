"""panel: several judges, one verdict."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scorers._builtin import BUILTIN
from scorers._deliberate import Deliberation, deliberate, models_of, most_questions, paid
from scorers._errors import ScorerSpecError
from scorers._many import ManyQuestions
from scorers._text import clip
from scorers._types import Question, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel(ManyQuestions):
    """The vote of several judges of any kind and model; all questions go through the panel's ``complete``.

    ``majority`` takes the value that most judges give (the mean of those that tie for it), ``mean`` and
    ``median`` are over their values. A judge that gives no score does not vote; with fewer than ``quorum``
    votes (more than half of the judges, by default) the sample is unscored. Judges of unlike families err
    less alike than one judge asked often (Verga et al. 2024, arXiv 2404.18796).

    Each judge has its own options (``structured``, ``max_tokens``, ``checks``); the panel's own ``checks`` go
    before all of them.

    Kinds of evidence: ``match``, ``voted_down``, ``split`` (a tie of the majority). Evidence ``votes`` lists
    every judge, ``agreement`` is the share of votes for the most frequent value, ``spread`` the difference
    between the highest and the lowest.

    Example:
        >>> from scorers import Answer, panel
        >>> async def complete(question):
        ...     return Answer(text="VERDICT: " + ("INCORRECT" if question.model == "b/y" else "CORRECT"))
        >>> three = [{"use": "correctness", "judge": judge} for judge in ("a/x", "b/y", "c/z")]
        >>> score = panel(judges=three, complete=complete)(output="It is Paris.", expected="Paris")
        >>> score.value, round(score.evidence["agreement"], 2)
        (1.0, 0.67)
    """

    name: str = "panel"
    judges: tuple[Any, ...] = ()
    """The judges, or their specs; one whose spec names no model gets the panel's own."""
    vote: Literal["majority", "mean", "median"] = "majority"
    quorum: int | None = None
    """How many judges must give a score; by default more than half."""
    model: str = field(default="", metadata={"alias": "judge"})
    """The model of judges whose spec names none; by default that of the first."""

    def _check(self) -> None:
        object.__setattr__(self, "judges", tuple(self._built(given) for given in self.judges))
        if len(self.judges) < 2:
            raise ScorerSpecError(f"{self.name}: 'judges' needs two judges or more", key="judges")
        if len(set(self.judges)) < len(self.judges):
            raise ScorerSpecError(
                f"{self.name}: two of its judges are one and the same; give one another model",
                key="judges",
            )
        if self.quorum is not None and not 1 <= self.quorum <= len(self.judges):
            raise ScorerSpecError(
                f"{self.name}: 'quorum' must be between 1 and {len(self.judges)}", key="quorum"
            )
        if not self.model:
            object.__setattr__(self, "model", models_of(self.judges[0])[0])
        ManyQuestions._check(self)

    def _built(self, given: Any) -> Any:
        from scorers._registry import from_spec

        if isinstance(given, str | Mapping):
            spec = {"use": given} if isinstance(given, str) else dict(given)
            if self.model and not {"judge", "model"} & spec.keys() and spec.get("use") in BUILTIN:
                spec["judge"] = self.model
            given = from_spec(spec)
        if not (hasattr(given, "ask") and hasattr(given, "conclude")):
            raise ScorerSpecError(
                f"{self.name}: {getattr(given, 'name', given)!r:.80} is no judge", key="judges"
            )
        return given

    @property
    def models(self) -> tuple[str, ...]:
        """The models of all judges, each once."""
        return tuple(dict.fromkeys(model for judge in self.judges for model in models_of(judge)))

    @property
    def most_questions(self) -> int:
        """The questions of all judges together."""
        return sum(most_questions(judge) for judge in self.judges)

    def _needs_expected(self) -> bool:
        return False  # each judge says itself what it needs

    def _deliberate(self, sample: Sample) -> Deliberation:
        begun = self._begin(sample)
        if isinstance(begun, Score):
            return begun
        scores: dict[int, Score] = {}
        steps = {index: deliberate(judge, sample) for index, judge in enumerate(self.judges)}
        asked: dict[int, tuple[Question, ...]] = {}
        for index, step in steps.items():
            try:
                asked[index] = next(step)
            except StopIteration as done:
                scores[index] = done.value
        while asked:
            answers = list((yield tuple(question for each in asked.values() for question in each)))
            following: dict[int, tuple[Question, ...]] = {}
            for index, questions in asked.items():
                own, answers = answers[: len(questions)], answers[len(questions) :]
                try:
                    following[index] = steps[index].send(own)
                except StopIteration as done:
                    scores[index] = done.value
            asked = following
        given = [scores[index] for index in range(len(self.judges))]
        return paid(self._voted(given), given)

    def _voted(self, scores: Sequence[Score]) -> Score:
        values = [score.value for score in scores if score.value is not None]
        votes = [
            {"judge": score.name, "model": ", ".join(models_of(judge))}
            | ({"value": score.value} if score.unscored is None else {"unscored": score.unscored})
            | {"rationale": clip(score.rationale, 120)}
            for judge, score in zip(self.judges, scores, strict=True)
        ]
        told: dict[str, Any] = {"votes": votes, "decided_by": self._decided_by(scores), "judge": self.model}
        quorum = self.quorum or len(self.judges) // 2 + 1
        if len(values) < quorum:
            missing = [score for score in scores if score.unscored is not None]
            reasons = {score.unscored: score for score in reversed(missing)}
            worst = next((r for r in ("judge_failed", "off_menu") if r in reasons), missing[0].unscored)
            why = f"{len(values)} of {len(scores)} judges gave a score, {quorum} are needed"
            return self._unscored(worst or "error", f"{why}: {reasons[worst].rationale}", **told)
        counts = Counter(values).most_common()
        top = [value for value, count in counts if count == counts[0][1]]
        value = {"majority": top, "mean": values}.get(self.vote)
        result = statistics.fmean(value) if value is not None else statistics.median(values)
        split = self.vote == "majority" and len(top) > 1
        kind = "split" if split else "match" if result == 1.0 else "voted_down"
        return self._found(
            min(1.0, max(0.0, result)),
            kind,
            self._why(scores, result),
            agreement=counts[0][1] / len(values),
            spread=max(values) - min(values),
            **told,
        )

    @staticmethod
    def _decided_by(scores: Sequence[Score]) -> str:
        deciders = {str(score.evidence.get("decided_by", "judge")) for score in scores}
        return deciders.pop() if len(deciders) == 1 else "judge"

    @staticmethod
    def _why(scores: Sequence[Score], result: float) -> str:
        """What those judges say that come closest to the result."""
        near = [s for s in scores if s.value is not None and s.rationale]
        near.sort(key=lambda score: abs((score.value or 0.0) - result))
        if result == 1.0:
            near = [score for score in near if score.value == 1.0]
        return clip(near[0].rationale, 500) if near else "" if result == 1.0 else "the judges voted it down"


panel = Panel
