"""What judges share that need several questions."""

from __future__ import annotations

from dataclasses import dataclass

from scorers._deliberate import Deliberation, paid
from scorers._judge import JudgeBase
from scorers._types import Answer, Question, Sample, Score

_NOT_ENOUGH = "this judge asks several questions: run it with scorers.run_judge, or call it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyQuestions(JudgeBase):
    """A judge that needs several questions: ``deliberate`` asks them all.

    ``ask`` gives the first one and ``conclude`` reads its answer as far as it goes: one answer of several is
    no score.
    """

    def deliberate(self, sample: Sample, /) -> Deliberation:
        """All that is asked about ``sample``, as a generator; see :func:`scorers.run_judge`. Never raises."""
        try:
            return (yield from self._deliberate(sample))
        except Exception as error:  # noqa: BLE001 - any answer must give a Score; the reason is kept in it
            return self._broke(error)

    def _deliberate(self, sample: Sample) -> Deliberation:
        raise NotImplementedError

    def ask(self, sample: Sample, /) -> Score | Question:
        """The score, where it needs no model; else the first question. Never raises."""
        steps = self.deliberate(sample)
        try:
            return next(steps)[0]
        except StopIteration as done:
            score: Score = done.value
            return score
        finally:
            steps.close()

    def conclude(self, sample: Sample, answer: Answer, /) -> Score:
        """Unscored: why the first answer is none, or that one answer is not enough. Never raises."""
        steps = self.deliberate(sample)
        try:
            asked = next(steps)
            score: Score
            try:
                steps.send([answer] * len(asked))
                score = self._unscored("error", _NOT_ENOUGH)
            except StopIteration as done:
                score = done.value if done.value.value is None else self._unscored("error", _NOT_ENOUGH)
            return paid(score, [answer])
        except StopIteration as done:
            score = done.value
            return score
        finally:
            steps.close()
