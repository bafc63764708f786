"""Production traces, scored in batches; the results are assessments on the traces themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptmigrate.traces.run import Report, ScoreJob, score
    from promptmigrate.traces.settings import ScoringFile, load_scoring

__all__ = ["Report", "ScoreJob", "ScoringFile", "load_scoring", "score"]

_HOMES = {
    "Report": "run",
    "ScoreJob": "run",
    "ScoringFile": "settings",
    "load_scoring": "settings",
    "score": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
