"""The pipeline from traces to route; see :func:`promptmigrate.pipeline.flow.migrate`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptmigrate.pipeline.crew import Crew
    from promptmigrate.pipeline.events import Listener
    from promptmigrate.pipeline.flow import Run, assist, migrate

__all__ = ["Crew", "Listener", "Run", "assist", "migrate"]

_HOME = {"Crew": "crew", "Listener": "events", "Run": "flow", "assist": "flow", "migrate": "flow"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'promptmigrate.pipeline' has no attribute {name!r}")
    return getattr(import_module(f"promptmigrate.pipeline.{_HOME[name]}"), name)
