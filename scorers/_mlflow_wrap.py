"""Our scorers as MLflow scorers."""

from __future__ import annotations

import json
import keyword
import linecache
import os
import re
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
    spec_of,
)
from scorers._deliberate import models_of
from scorers._errors import ScorerSpecError
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
    registrable: bool = False,
) -> Any:
    """One of our scorers as an MLflow scorer, for ``mlflow.genai.evaluate(scorers=[...])``.

    Its feedback keeps name, value and rationale; evidence, version and spec hash are in the metadata, and
    what a judge cost is where MLflow keeps it. What cannot be scored is a feedback with an error whose code
    is the reason, and no value: MLflow leaves it out of its means. Judges ask through their own ``complete``,
    or the default one; MLflow's judge settings do not apply to them.

    Args:
        ours: A scorer, its name or its spec, or a function that takes ``output``.
        name: Name of the feedback, if not that of the scorer.
        pass_at: From which value on a row passes in ``EvaluationResult.passed``. (MLflow 3.17 also looks for
            yes or no in the expectations of the data there, so with such a dataset it is never true.)
        aggregations: MLflow's aggregations; its default is the mean.
        registrable: Make an MLflow decorator scorer that only holds the spec, for ``.register()``. The server
            must have MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS set and this package installed. MLflow (3.17, open
            source) then keeps versions of it, but refuses ``.start()``: it schedules scorers that use one of
            its gateway's models, and no others. Score production traces with ``promptmigrate traces score``.

    Raises:
        ScorerSpecError: ``ours`` is no scorer, or has no spec and should be registrable.
    """
    scorer = as_scorer(ours)
    prepare()
    named = name or scorer.name
    made = _registrable(scorer, named) if registrable else _wrapper()(name=named, ours=scorer)
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


def rebuilt(
    spec: str,
    name: str,
    *,
    inputs: Any = None,
    outputs: Any = None,
    expectations: Any = None,
    trace: Any = None,
) -> Feedback:
    """What a registrable scorer runs: the scorer of a spec (JSON), on what MLflow hands to scorers."""
    return _run(_from_text(spec), name, inputs, outputs, expectations, trace)


@cache
def _from_text(spec: str) -> Scorer:
    return as_scorer(json.loads(spec))


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

    return Wrapped


def _registrable(scorer: Scorer, name: str) -> Any:
    """A decorator scorer whose source, which is all that MLflow keeps of it, builds ours from its spec."""
    from mlflow.genai.scorers import scorer as decorate

    spec = spec_of(scorer)
    if spec is None:
        raise ScorerSpecError(
            f"{name} has no spec, so MLflow could not build it again: it cannot be registered"
        )
    function = re.sub(r"\W", "_", name)
    if not function.isidentifier() or keyword.iskeyword(function):
        function = f"scorer_{function}"
    keywords = "inputs=inputs, outputs=outputs, expectations=expectations, trace=trace"
    source = (
        f"def {function}(*, inputs=None, outputs=None, expectations=None, trace=None):\n"
        "    from scorers.mlflow import rebuilt\n"
        f"    return rebuilt({json.dumps(spec)!r}, {name!r}, {keywords})\n"
    )
    file = f"<scorers.mlflow {name} {spec_hash(scorer)}>"
    # MLflow reads the source of the function; this is where Python looks for it.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(source, file, "exec"), names)  # noqa: S102 - our own text, in which all values are literals
    return decorate(names[function], name=name)
