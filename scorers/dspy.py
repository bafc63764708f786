"""Our scorers as DSPy metrics, also for GEPA, which wants feedback in words.

::

    import dspy, scorers, scorers.dspy

    dspy.Evaluate(devset=rows, metric=scorers.dspy.metric(scorers.label_match()))(program)
    dspy.GEPA(metric=scorers.dspy.metric(scorers.label_match(), feedback=True), reflection_lm=lm, ...)

DSPy counts whatever a metric raises as a score of 0, so a judge that could not be reached would look like a
wrong answer. Here it is never that: see ``unscored`` of :func:`metric`. DSPy is imported by the first call.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scorers._bridge import as_scorers, fields_of, plain_json, score_one
from scorers._errors import ScorerSpecError
from scorers._types import Sample, Score, Scorer

__all__ = ["Metric", "Unscored", "mean_score", "metric"]

_RETRIED = ("judge_failed", "timeout")
_REMEMBERED = 4096


class Unscored(BaseException):
    """An output could not be scored; ``scores`` says by whom and why.

    Derives from BaseException because DSPy and its optimizers catch every Exception and go on with a 0.
    """

    def __init__(self, scores: Sequence[Score]) -> None:
        self.scores = tuple(scores)
        told = "; ".join(f"{s.name}: {s.unscored}: {s.rationale}" for s in scores if s.unscored)
        super().__init__(
            f"an output could not be scored ({told}), and DSPy would count it as 0: run it again, give the "
            "metric more retries, or measure with unscored='exclude'"
        )


def metric(
    scorer: Any,
    *,
    output: str | Callable[[Any], Any] | None = None,
    expected: str | Callable[[Any], Any] | None = None,
    weights: Mapping[str, float] | None = None,
    feedback: bool = False,
    threshold: float | None = None,
    unscored: Literal["stop", "exclude"] = "stop",
    retries: int = 2,
) -> Metric:
    """A DSPy metric ``(example, prediction, trace=None, pred_name=None, pred_trace=None)``.

    Args:
        scorer: One or several scorers, names or specs; of several the weighted mean counts.
        output: Field of the prediction that is scored, or a function of it. By default its only field that is
            not reasoning, or all of them.
        expected: Field of the example that is right, or a function of it. By default the label of the same
            name as ``output``, else the only label, else all labels.
        weights: By name of scorer; 1 where not given.
        feedback: Give ``dspy.Prediction(score=..., feedback=...)`` with the rationales, as GEPA wants it.
        threshold: Where DSPy collects demonstrations (``trace`` is given), from which value on one is good.
        unscored: What to do with an output that cannot be scored. ``stop`` raises :class:`Unscored`, which
            ends evaluation or optimisation. ``exclude`` gives NaN: DSPy's own mean becomes NaN, and
            :func:`mean_score` gives that of the scored rows; for measuring only, since an optimizer cannot
            leave out a row.
        retries: How often a judge that failed is asked again before that.

    Raises:
        ScorerSpecError: something given is no scorer, or ``exclude`` is asked for together with ``feedback``.
    """
    if unscored not in ("stop", "exclude"):
        raise ScorerSpecError(f"unscored must be 'stop' or 'exclude', got {unscored!r}", key="unscored")
    if feedback and unscored == "exclude":
        raise ScorerSpecError(
            "an optimizer that reads feedback compares sums and cannot leave out a row: use unscored='stop'",
            key="unscored",
        )
    found = as_scorers(scorer)
    given = dict(weights or {})
    for name in given:
        if name not in {s.name for s in found}:
            raise ScorerSpecError(f"weights: there is no scorer {name!r}", key="weights")
    if any(not value > 0 for value in given.values()):
        raise ScorerSpecError("weights must be above 0", key="weights")
    return Metric(
        scorers=found,
        weights={s.name: float(given.get(s.name, 1.0)) for s in found},
        output=output,
        expected=expected,
        feedback=feedback,
        threshold=threshold,
        unscored=unscored,
        retries=retries,
    )


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A DSPy metric; made by :func:`metric`. The same output of the same example is scored once."""

    scorers: tuple[Scorer, ...]
    weights: Mapping[str, float]
    output: str | Callable[[Any], Any] | None = None
    expected: str | Callable[[Any], Any] | None = None
    feedback: bool = False
    threshold: float | None = None
    unscored: Literal["stop", "exclude"] = "stop"
    retries: int = 2
    _known: dict[str, tuple[Score, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def __name__(self) -> str:
        """How DSPy's tables call it."""
        return "_".join(scorer.name for scorer in self.scorers)

    def __deepcopy__(self, memo: object) -> Metric:
        return self  # optimizers copy what they are given; a metric keeps no state that matters

    def __call__(
        self, example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> Any:
        """The value in [0, 1]; see :func:`metric` for its other forms.

        Raises:
            Unscored: the output could not be scored, and ``unscored`` is ``stop``.
        """
        del pred_trace  # a scorer judges the whole answer, whichever predictor GEPA asks about
        scores = self.scores(example, prediction)
        if any(score.value is None for score in scores):
            if self.unscored == "stop":
                raise Unscored(scores)
            return math.nan
        total = sum(self.weights.values())
        value = sum(self.weights[s.name] * s.value for s in scores if s.value is not None) / total
        if self.feedback:
            os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or DSPy fetches a price map
            import dspy

            return dspy.Prediction(score=value, feedback=_told(scores))
        if self.threshold is not None and trace is not None and pred_name is None:
            return value >= self.threshold
        return value

    def scores(self, example: Any, prediction: Any) -> tuple[Score, ...]:
        """The scores behind the value, one per scorer."""
        given = _picked(self.output, prediction, fields_of(_fields(prediction)))
        inputs = _fields(example.inputs())
        labels = _fields(example.labels())
        right = _picked(self.expected, example, _label(labels, self.output, prediction))
        sample = Sample(output=given, expected=right, inputs=inputs, trace=None)
        key = json.dumps(plain_json([given, right, inputs], limit=1_000_000), sort_keys=True)
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        scores = tuple(self._score(scorer, sample) for scorer in self.scorers)
        if all(score.value is not None for score in scores):
            with self._lock:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = scores
        return scores

    def _score(self, scorer: Scorer, sample: Sample) -> Score:
        score = score_one(scorer, sample)
        for _ in range(self.retries):
            if score.unscored not in _RETRIED:
                break
            score = score_one(scorer, sample)
        return score


def mean_score(results: Iterable[tuple[Any, Any, Any]]) -> float | None:
    """Mean of ``dspy.Evaluate(...)(program).results`` over the rows that were scored; None if none was.

    Example:
        >>> scorers_results = [("example", "prediction", 1.0), ("example", "prediction", float("nan"))]
        >>> mean_score(scorers_results)
        1.0
    """
    values = [float(value) for _, _, value in results]
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _told(scores: Sequence[Score]) -> str:
    lines = []
    for score in scores:
        why = score.rationale or ("nothing to object to" if score.value == 1.0 else "no reason was given")
        lines.append(f"{score.name} is {score.value:.2f} of 1: {why}")
    return "\n".join(lines)


def _fields(values: Any) -> dict[str, Any]:
    items = values.items() if hasattr(values, "items") else {}
    return {str(key): value for key, value in items}


def _picked(how: str | Callable[[Any], Any] | None, source: Any, default: Any) -> Any:
    if how is None:
        return default
    if callable(how):
        return how(source)
    return source.get(how) if hasattr(source, "get") else getattr(source, how, None)


def _label(labels: Mapping[str, Any], output: Any, prediction: Any) -> Any:
    """What is right, where nothing is said about it."""
    if isinstance(output, str) and output in labels:
        return labels[output]
    if output is None:
        answers = [name for name in _fields(prediction) if name in labels]
        if len(answers) == 1:
            return labels[answers[0]]
    if not labels:
        return None
    return next(iter(labels.values())) if len(labels) == 1 else dict(labels)
