"""Our scorers as MLflow scorers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from scorers._bridge import (
    answer_of,
    as_scorer,
    expected_of,
    inputs_of,
    is_judge,
    score_one,
    spec_hash,
)
from scorers._deliberate import models_of
from scorers._text import clip
from scorers._types import Sample, Score, Scorer

if TYPE_CHECKING:
    from mlflow.entities import Feedback

SPEC_HASH = "scorers.spec_hash"
"""Metadata key: tells which scorer, with which options and version, gave an assessment."""
VERSION = "scorers.version"
EVIDENCE = "scorers.evidence"
_COST, _INPUT_TOKENS, _OUTPUT_TOKENS = (
    f"mlflow.assessment.{name}" for name in ("judgeCost", "judgeInputTokens", "judgeOutputTokens")
)


def prepare() -> None:
    """Keep MLflow from looking at the network for itself, unless the caller decided about it.

    LiteLLM would fetch a price list when it is imported, MLflow a list of models at its first judge call.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_MODEL_CATALOG_URI", "")


def wrap(
    ours: Any,
    *,
    name: str | None = None,
    pass_at: float = 1.0,
    aggregations: Sequence[str] | None = None,
) -> Any:
    """One of our scorers as an MLflow scorer, for ``mlflow.genai.evaluate(scorers=[...])``.

    Its feedback keeps name, value and rationale; evidence, version and spec hash are in the metadata, and
    what a judge cost is where MLflow keeps it. What cannot be scored is a feedback with an error whose code
    is the reason, and no value: MLflow leaves it out of its means. Judges ask through their own ``complete``,
    or the default one; MLflow's judge settings do not apply to them. ``register()`` and ``start()`` are
    refused, as MLflow (3.17) refuses them for every scorer class: its server registers built-in judges and,
    where it is allowed to run them, the source text of decorated functions, and schedules only scorers that
    ask a model of its gateway. Score production traces with ``promptmigrate traces score``, or give MLflow a
    judge of its own by :func:`scorers.mlflow.export`.

    Args:
        ours: A scorer, its name or its spec, or a function that takes ``output``.
        name: Name of the feedback, if not that of the scorer.
        pass_at: From which value on a row passes in ``EvaluationResult.passed``. (MLflow 3.17 also looks for
            yes or no in the expectations of the data there, so with such a dataset it is never true.)
        aggregations: MLflow's aggregations; its default is the mean.

    Raises:
        ScorerSpecError: ``ours`` is no scorer.
    """
    scorer = as_scorer(ours)
    prepare()
    named = name or scorer.name
    made = _wrapper()(name=named, ours=scorer)
    made.aggregations = list(aggregations) if aggregations is not None else None
    if not is_judge(scorer):
        made.timeout = 0  # MLflow starts a thread for each call that has a timeout
    made._pass_if = _passes(pass_at)
    return made


def feedback(score: Score, scorer: Scorer, *, name: str | None = None) -> Feedback:
    """``score`` as an MLflow feedback; an unscored one has an error and no value."""
    prepare()
    from mlflow.entities import AssessmentError, AssessmentSource, Feedback

    judges = ", ".join(models_of(scorer)) if is_judge(scorer) else ""
    metadata = {
        VERSION: score.version,
        SPEC_HASH: spec_hash(scorer),
        EVIDENCE: json.dumps(dict(score.evidence), ensure_ascii=False, default=str)[:20_000],
    }
    if judges:
        metadata["scorers.judge"] = judges
    if score.cost_usd is not None:
        metadata[_COST] = str(score.cost_usd)
    if score.input_tokens or score.output_tokens:
        metadata[_INPUT_TOKENS] = str(score.input_tokens)
        metadata[_OUTPUT_TOKENS] = str(score.output_tokens)
    error = None
    if score.unscored is not None:
        error = AssessmentError(error_code=score.unscored, error_message=clip(score.rationale, 1000))
    return Feedback(
        name=name or score.name,
        value=score.value,
        error=error,
        rationale=score.rationale or None,
        metadata=metadata,
        source=AssessmentSource(
            source_type="LLM_JUDGE" if judges or score.evidence.get("source") == "LLM_JUDGE" else "CODE",
            source_id=f"scorers/{scorer.name}@{scorer.version}",
        ),
    )


def _run(scorer: Scorer, name: str, inputs: Any, outputs: Any, expectations: Any, trace: Any) -> Feedback:
    sample = Sample(
        output=answer_of(outputs),
        expected=expected_of(expectations, scorer),
        inputs=inputs_of(inputs),
        trace=trace,
    )
    return feedback(score_one(scorer, sample), scorer, name=name)


def _passes(at: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and value >= at


def _not_kept(name: str, what: str) -> Exception:
    from mlflow.exceptions import MlflowException

    refused: Exception = MlflowException.invalid_parameter_value(
        f"MLflow {what} no scorer classes, such as {name!r}: it keeps built-in judges and the source text of "
        "decorated functions, and schedules only those that ask a model of its gateway. Score production "
        f"traces with 'promptmigrate traces score --scorers {name}', run by any scheduler: a second run adds "
        "nothing. Judges of one verdict can become MLflow's own: scorers.mlflow.export"
    )
    return refused


@cache
def _wrapper() -> Any:
    """The class of wrapped scorers, made when MLflow is first needed."""
    from mlflow.genai.scorers import Scorer as TheirScorer

    class Wrapped(TheirScorer):  # type: ignore[misc]  # MLflow is not typed
        """One of our scorers inside MLflow."""

        ours: Any

        def __call__(
            self, *, inputs: Any = None, outputs: Any = None, expectations: Any = None, trace: Any = None
        ) -> Any:
            """Score one row."""
            return _run(self.ours, self.name, inputs, outputs, expectations, trace)

        def register(self, **_: Any) -> Any:
            """Refused: see :func:`wrap`."""
            raise _not_kept(self.name, "registers")

        def start(self, **_: Any) -> Any:
            """Refused: see :func:`wrap`."""
            raise _not_kept(self.name, "schedules")

    return Wrapped
