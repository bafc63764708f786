"""A promoted Variant becomes a prompt version and a Route."""

from __future__ import annotations

from promptmigrate.publish.registry import PromptInfo, load, model_config, register
from promptmigrate.publish.route import current, told, write_route
from promptmigrate.publish.runs import finish_run, start_run

__all__ = [
    "PromptInfo",
    "current",
    "finish_run",
    "load",
    "model_config",
    "register",
    "start_run",
    "told",
    "write_route",
]
