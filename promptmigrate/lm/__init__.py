"""The only door to models: every call of every part goes through it.

:class:`Door` asks, caches, counts and limits; :class:`Spend` is what was paid so far; :class:`Price` what a
model costs; :class:`Board` tells workers of other hosts of a run. Transports are in
:mod:`promptmigrate.lm.transports`, DSPy's way in is :mod:`promptmigrate.lm.engine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptmigrate.lm.board import Board
    from promptmigrate.lm.door import Door
    from promptmigrate.lm.prices import Price
    from promptmigrate.lm.spend import Spend

__all__ = ["Board", "Door", "Price", "Spend"]

_HOMES = {"Board": "board", "Door": "door", "Price": "prices", "Spend": "spend"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
