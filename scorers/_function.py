"""A plain function as a scorer: the shortest plug-in there is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scorers._text import clip
from scorers._types import Score

_OFFERED = ("output", "expected", "inputs", "trace")


def is_scoring_function(target: Any) -> bool:
    """Whether ``target`` is a function that takes ``output``, and not a factory of scorers."""
    return inspect.isfunction(target) and "output" in inspect.signature(target).parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionScorer:
    """``def check(output, expected) -> float | bool | Score`` as a scorer.

    The function takes ``output`` and, if it wants them, ``expected``, ``inputs`` and ``trace``. What it
    raises is unscored (``error``), not wrong. One that asks a model says so by an attribute, ``asks_model``.
    """

    version: ClassVar[str] = "1"

    function: Callable[..., Any]
    use: str
    """Where it was found, as ``module:attribute``."""
    name: str
    _wanted: tuple[str, ...] = field(default=(), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.function).parameters
        any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        wanted = tuple(name for name in _OFFERED if any_name or name in parameters)
        object.__setattr__(self, "_wanted", wanted)

    @property
    def asks_model(self) -> bool:
        """Whether the function asks a model by itself: see :class:`scorers.Scorer`."""
        return bool(getattr(self.function, "asks_model", False))

    def __call__(
        self, *, output: Any, expected: Any = None, inputs: Mapping[str, Any] | None = None, trace: Any = None
    ) -> Score:
        """Score one output."""
        offered = {"output": output, "expected": expected, "inputs": inputs, "trace": trace}
        try:
            given = self.function(**{name: offered[name] for name in self._wanted})
            if isinstance(given, Score):
                return given
            value = float(given)
            return Score(
                name=self.name, value=value, evidence={"kind": "match" if value == 1.0 else "not_met"}
            )
        except Exception as error:  # noqa: BLE001 - a user's function; what it raised is told in the score
            return Score(
                name=self.name,
                unscored="error",
                rationale=f"{self.use} broke: {type(error).__name__}: {clip(str(error), 200)}",
                evidence={"kind": "error"},
            )
