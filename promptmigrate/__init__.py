"""Move a production prompt to another model, and prove on held-out data that nothing broke.

The public names are loaded on first use, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptmigrate.config import Config, load_config
    from promptmigrate.gateway import Gateway
    from promptmigrate.harvest import harvest
    from promptmigrate.lm import Door
    from promptmigrate.pipeline import Run, migrate
    from promptmigrate.types import Dataset, Example, Outcome, Prompt, Variant

__version__ = "0.1.0"

_HOME = {
    "Config": "config",
    "Dataset": "types",
    "Door": "lm",
    "Example": "types",
    "Gateway": "gateway",
    "Outcome": "types",
    "Prompt": "types",
    "Run": "pipeline",
    "Variant": "types",
    "harvest": "harvest",
    "load_config": "config",
    "migrate": "pipeline",
}

__all__ = [
    "Config",
    "Dataset",
    "Door",
    "Example",
    "Gateway",
    "Outcome",
    "Prompt",
    "Run",
    "Variant",
    "harvest",
    "load_config",
    "migrate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'promptmigrate' has no attribute {name!r}")
    return getattr(import_module(f"promptmigrate.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
