"""MLflow's scorers as ours."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scorers._bridge import plain_json
from scorers._errors import ScorerSpecError
from scorers._mlflow_endpoint import Endpoint, at, uri_of
from scorers._mlflow_values import Mapped, value_of
from scorers._mlflow_wrap import prepare
from scorers._text import clip
from scorers._types import Sample, Score, UnscoredReason

_COST, _INPUT_TOKENS, _OUTPUT_TOKENS = (
    f"mlflow.assessment.{name}" for name in ("judgeCost", "judgeInputTokens", "judgeOutputTokens")
)


def use(
    theirs: Any,
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    mapping: Mapped = None,
    feedback: str | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    model: str | None = None,
    allow_local: bool = False,
) -> MlflowScorer:
    """An MLflow scorer as one of ours: a built-in judge, ``make_judge``, ``@scorer``, or a wrapped metric.

    In a spec: ``{use: "scorers.mlflow:use", theirs: "mlflow.genai.scorers:Safety", model: openai/small}``.

    Args:
        theirs: The MLflow scorer, or where it is found as ``module:attribute``.
        name: Name of the scores, if not that of the MLflow scorer.
        options: What a class or factory in ``module:attribute`` is called with.
        mapping: Values in [0, 1] for feedback that is not a boolean, yes or no, or a number within [0, 1]: by
            text, or a function. What is not mapped is unscored (``off_menu``).
        feedback: Which feedback counts, by name, if the scorer gives several.
        base_url: OpenAI-compatible endpoint of the judge's calls, without ``/chat/completions``. It holds for
            judges of ``openai:/`` models; one that was made with a ``base_url`` of its own keeps that.
        api_key_env: Name of the environment variable with the endpoint's key. Without it no key is sent.
        model: Model of a judge that was made without one.
        allow_local: Allow ``http://`` to other hosts than this one.

    MLflow takes its endpoint from the environment of the process, so it is set during each call, see
    :mod:`scorers._mlflow_endpoint`. MLflow sends a failing judge call up to eleven times, over minutes; give
    its scorer a ``timeout`` to wait less. Its judges do not fence the output: an output can talk to them.

    Raises:
        ScorerSpecError: ``theirs`` is no MLflow scorer, or the endpoint cannot be used.
    """
    return MlflowScorer(
        theirs=theirs,
        options=dict(options or {}),
        mapping=mapping,
        feedback=feedback,
        endpoint=Endpoint(base_url=base_url, api_key_env=api_key_env, model=model, allow_local=allow_local),
        renamed=name,
    )


@dataclass(frozen=True, kw_only=True)
class MlflowScorer:
    """An MLflow scorer as one of ours; made by :func:`use`. Calls of several threads are safe."""

    theirs: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    mapping: Mapped = None
    feedback: str | None = None
    endpoint: Endpoint = field(default_factory=Endpoint)
    renamed: str | None = None
    _scorer: Any = field(init=False, repr=False, compare=False)
    _version: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        prepare()
        import mlflow
        from mlflow.genai.scorers import Scorer as TheirScorer

        with at(self.endpoint):  # some of them look at the environment when they are made
            made = self._made()
        if not isinstance(made, TheirScorer):
            raise ScorerSpecError(f"{self.theirs!r:.80} is no MLflow scorer", key="theirs")
        model = getattr(made, "model", None) or getattr(made, "_model", None)
        if self.endpoint.base_url is not None and isinstance(model, str):
            _check_reachable(model, made)
        registered = getattr(made, "scorer_version", None)
        version = f"mlflow-{mlflow.__version__}" + (f"/{registered}" if registered else "")
        object.__setattr__(self, "_scorer", made)
        object.__setattr__(self, "_version", version)

    @property
    def name(self) -> str:
        """Name of the scores."""
        return self.renamed or str(self._scorer.name)

    @property
    def version(self) -> str:
        """The MLflow release, whose judges change with it, and the version of a registered scorer."""
        return self._version

    @property
    def asks_model(self) -> bool:
        """Whether MLflow's scorer asks a model: its value is an opinion, like that of a judge."""
        named = any(isinstance(getattr(self._scorer, key, None), str) for key in ("model", "_model"))
        return named or "model" in type(self._scorer).model_fields

    def spec(self) -> dict[str, Any]:
        """The spec from which an equal scorer is built.

        Raises:
            ScorerSpecError: it holds an object or a function that a spec cannot.
        """
        if not isinstance(self.theirs, str) or callable(self.mapping):
            raise ScorerSpecError(
                f"{self.name} holds an object: give 'theirs' as module:attribute and 'mapping' as a mapping"
            )
        end = self.endpoint
        settings = {
            "options": dict(self.options), "mapping": dict(self.mapping) if self.mapping else None,
            "feedback": self.feedback, "base_url": end.base_url, "api_key_env": end.api_key_env,
            "model": end.model, "allow_local": end.allow_local, "name": self.renamed,
        }  # fmt: skip
        return {
            "use": "scorers.mlflow:use",
            "theirs": self.theirs,
            **{key: value for key, value in settings.items() if value},
        }

    def __call__(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """Score one output and wait for it. An error is unscored; nothing is raised because of an output."""
        prepare()
        if expected is not None and not isinstance(expected, Mapping):
            expected = {"expected_response": expected}
        try:
            with at(self.endpoint):
                given = self._scorer.run(
                    inputs=None if inputs is None else dict(inputs),
                    outputs=output,
                    expectations=None if expected is None else dict(expected),
                    trace=_theirs_only(trace),
                )
        except Exception as error:  # noqa: BLE001 - providers and metrics raise their own; it is in the score
            return self._failed(error)
        return self._read(given)

    async def score_async(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """As a call, in a thread: MLflow's scorers are synchronous."""
        import asyncio

        return await asyncio.to_thread(self, output=output, expected=expected, inputs=inputs, trace=trace)

    def batch(self, samples: Iterable[Sample], *, concurrency: int = 8) -> list[Score]:
        """The scores of ``samples``, in their order, ``concurrency`` at a time."""
        from concurrent.futures import ThreadPoolExecutor

        def one(sample: Sample) -> Score:
            return self(
                output=sample.output, expected=sample.expected, inputs=sample.inputs, trace=sample.trace
            )

        with ThreadPoolExecutor(max_workers=max(1, concurrency)) as pool:
            return list(pool.map(one, samples))

    def _made(self) -> Any:
        if not isinstance(self.theirs, str):
            return self.theirs
        module, _, attribute = self.theirs.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ScorerSpecError(
                f"theirs: {self.theirs!r} cannot be loaded: {error}", key="theirs"
            ) from error
        if not isinstance(found, type) and not self.options:
            return found
        try:
            return found(**self.options)
        except Exception as error:
            # Whatever a factory raises, its user must be told whose options they were.
            raise ScorerSpecError(f"theirs: {self.theirs} cannot be made: {error}", key="options") from error

    def _failed(self, error: Exception) -> Score:
        asks = self.asks_model
        reason: UnscoredReason = "judge_failed" if asks else "error"
        if isinstance(error, TimeoutError) or "timeout" in type(error).__name__.lower():
            reason = "timeout"
        return self._unscored(reason, f"{type(error).__name__}: {clip(str(error), 300)}")

    def _read(self, given: Any) -> Score:
        several = given if isinstance(given, list) else [given]
        if self.feedback is not None:
            several = [item for item in several if getattr(item, "name", None) == self.feedback]
        if len(several) > 1:
            names = ", ".join(str(getattr(item, "name", "?")) for item in several)
            return self._unscored("error", f"it gave several values ({names}): choose one with feedback=...")
        if not several or several[0] is None:
            return self._unscored("error", "it gave no value")
        item = several[0]
        if not hasattr(item, "rationale"):
            return self._found(item, "", {}, None)
        metadata = item.metadata or {}
        if item.error is not None:
            why = item.error.error_message or item.error.error_code
            score = self._unscored("judge_failed", clip(str(why), 300))
            return _with_cost(score, metadata)
        return self._found(item.value, item.rationale or "", metadata, item.source)

    def _found(self, given: Any, rationale: str, metadata: Mapping[str, Any], source: Any) -> Score:
        value = value_of(given, self.mapping)
        shown = plain_json(getattr(given, "value", given), limit=500)
        if value is None:
            why = f"the value {clip(str(shown), 100)!r} is no number in [0, 1]: say which with mapping=..."
            return _with_cost(self._unscored("off_menu", why, mlflow_value=shown), metadata)
        evidence = {"kind": "match" if value == 1.0 else "not_met", "mlflow_value": shown}
        if source is not None:
            evidence |= {"decided_by": source.source_id, "source": source.source_type}
        score = Score(
            name=self.name,
            version=self.version,
            value=value,
            rationale=clip(rationale, 5000),
            evidence=evidence,
        )
        return _with_cost(score, metadata)

    def _unscored(self, reason: UnscoredReason, rationale: str, **evidence: Any) -> Score:
        return Score(
            name=self.name,
            version=self.version,
            unscored=reason,
            rationale=rationale,
            evidence={"kind": reason, **evidence},
        )


def _with_cost(score: Score, metadata: Mapping[str, Any]) -> Score:
    from dataclasses import replace

    def number(key: str) -> float | None:
        try:
            return float(metadata[key])
        except (KeyError, TypeError, ValueError):
            return None

    return replace(
        score,
        cost_usd=number(_COST),
        input_tokens=int(number(_INPUT_TOKENS) or 0),
        output_tokens=int(number(_OUTPUT_TOKENS) or 0),
    )


def _theirs_only(trace: Any) -> Any:
    from mlflow.entities import Trace

    return trace if isinstance(trace, Trace) else None


def _check_reachable(model: str, made: Any) -> None:
    if getattr(made, "_base_url", None) is not None:
        raise ScorerSpecError(
            "the judge was made with a base_url of its own; give the endpoint in one place", key="base_url"
        )
    if not uri_of(model).startswith("openai:/"):
        raise ScorerSpecError(
            f"base_url holds for OpenAI-compatible models; {model!r} is asked at its own provider. "
            "Write the model as openai:/<name>",
            key="base_url",
        )
