"""Our scorers inside MLflow, MLflow's scorers as ours, and labels from MLflow for calibration.

::

    import mlflow, scorers, scorers.mlflow

    mlflow.genai.evaluate(data=rows, scorers=[scorers.mlflow.wrap(scorers.label_match())])

    relevant = scorers.mlflow.use(mlflow.genai.scorers.RelevanceToQuery(), base_url="https://llm.example.com/v1",
                                  api_key_env="LLM_KEY", model="judge-small")
    relevant(output="Paris", inputs={"question": "What is the capital of France?"}).value

    safe = scorers.mlflow.export(scorers.safety(model="openai/gpt-5-mini"), model="gateway:/judges")
    safe.register()

    rows = scorers.mlflow.labelled("support-prod", name="correct")

MLflow is imported by the first call, not by importing this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorers._mlflow_export import export
    from scorers._mlflow_labels import labelled
    from scorers._mlflow_traces import FilterError, milliseconds, moment, trace_infos
    from scorers._mlflow_use import MlflowScorer, use
    from scorers._mlflow_wrap import feedback, wrap

__all__ = [
    "FilterError",
    "MlflowScorer",
    "export",
    "feedback",
    "labelled",
    "milliseconds",
    "moment",
    "trace_infos",
    "use",
    "wrap",
]

_HOMES = {
    "FilterError": "_mlflow_traces",
    "MlflowScorer": "_mlflow_use",
    "export": "_mlflow_export",
    "feedback": "_mlflow_wrap",
    "labelled": "_mlflow_labels",
    "milliseconds": "_mlflow_traces",
    "moment": "_mlflow_traces",
    "trace_infos": "_mlflow_traces",
    "use": "_mlflow_use",
    "wrap": "_mlflow_wrap",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"scorers.{_HOMES[name]}"), name)
    return value
