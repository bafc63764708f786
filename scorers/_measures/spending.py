"""cost, latency and tokens: what an answer took, as its trace tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from scorers import _traced
from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent(Measure):
    def _needs_expected(self) -> bool:
        return False

    def _bounds(self) -> tuple[float | None, float]:
        """The target, up to which all is well, and the limit, from which on nothing is."""
        raise NotImplementedError

    def _spent(self, trace: Any) -> float | None:
        raise NotImplementedError

    def _shown(self, amount: float) -> str:
        raise NotImplementedError

    def _check(self) -> None:
        target, limit = self._bounds()
        if limit <= 0 or (target is not None and not 0 <= target < limit):
            raise ScorerSpecError(f"{self.name}: the limit must be above 0, the target below the limit")

    def _score(self, sample: Sample) -> Score:
        target, limit = self._bounds()
        spent = self._spent(sample.trace)
        if spent is None:
            return self._unscored("error", f"the trace does not tell the {self._what()}", kind="no_trace")
        evidence = {"spent": spent, "limit": limit, **({} if target is None else {"target": target})}
        if spent <= (limit if target is None else target):
            return self._found(1.0, "match", "", **evidence)
        value = 0.0 if target is None else max(0.0, (limit - spent) / (limit - target))
        kind = "over_limit" if spent > limit or target is None else "over_target"
        bound = limit if kind == "over_limit" or target is None else target
        return self._found(
            value, kind, f"{self._what()} {self._shown(spent)}, {self._shown(bound)} allowed", **evidence
        )

    def _what(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(_Spent):
    """1.0 where the answer cost at most the limit, else 0.0; with a target, falling evenly from there.

    The trace is a mapping or an object: ``cost_usd``, or what MLflow's traces tell. Without a cost the
    score is unscored (``error``, kind ``no_trace``).

    Kinds of evidence: ``match``, ``over_target``, ``over_limit``; ``spent``, ``limit``, ``target`` in USD.

    Example:
        >>> from scorers import cost
        >>> cost(limit_usd=0.01)(output="Rome", trace={"cost_usd": 0.004}).value
        1.0
        >>> cost(target_usd=0.0, limit_usd=0.01)(output="Rome", trace={"cost_usd": 0.0025}).value
        0.75
    """

    name: str = "cost"
    limit_usd: float
    """The most that an answer may cost."""
    target_usd: float | None = None
    """Up to this the value is 1.0; from here to the limit it falls to 0.0."""

    def _bounds(self) -> tuple[float | None, float]:
        return self.target_usd, self.limit_usd

    def _spent(self, trace: Any) -> float | None:
        return _traced.cost_usd(trace)

    def _shown(self, amount: float) -> str:
        return f"${amount:.6g}"

    def _what(self) -> str:
        return "cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(_Spent):
    """1.0 where the answer took at most the limit, else 0.0; with a target, falling evenly from there.

    The trace is a mapping or an object: ``latency_s``, ``latency_ms``, or what MLflow's traces tell.
    Without a time the score is unscored (``error``, kind ``no_trace``).

    Kinds of evidence: ``match``, ``over_target``, ``over_limit``; ``spent``, ``limit``, ``target`` in
    seconds.

    Example:
        >>> from scorers import latency
        >>> latency(limit_s=2)(output="Rome", trace={"latency_s": 3.5}).value
        0.0
        >>> latency(target_s=1, limit_s=5)(output="Rome", trace={"latency_ms": 2000}).value
        0.75
    """

    name: str = "latency"
    limit_s: float
    """The longest that an answer may take."""
    target_s: float | None = None
    """Up to this the value is 1.0; from here to the limit it falls to 0.0."""

    def _bounds(self) -> tuple[float | None, float]:
        return self.target_s, self.limit_s

    def _spent(self, trace: Any) -> float | None:
        return _traced.latency_s(trace)

    def _shown(self, amount: float) -> str:
        return f"{amount:.3g} s"

    def _what(self) -> str:
        return "latency"


_COUNTS: dict[str, Callable[[Any], int | None]] = {
    "total": _traced.total_tokens,
    "input": _traced.input_tokens,
    "output": _traced.output_tokens,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens(_Spent):
    """1.0 where the answer took at most the limit of tokens, else 0.0; with a target, falling evenly from
    there.

    The trace is a mapping or an object: ``input_tokens`` and ``output_tokens`` (or OpenAI's
    ``prompt_tokens`` and
    ``completion_tokens``), as such or under ``usage``, or what MLflow's traces tell. Without them the score
    is unscored (``error``, kind ``no_trace``).

    Kinds of evidence: ``match``, ``over_target``, ``over_limit``; ``spent``, ``limit``, ``target`` in tokens.

    Example:
        >>> from scorers import tokens
        >>> trace = {"usage": {"prompt_tokens": 90, "completion_tokens": 20}}
        >>> tokens(limit=100)(output="Rome", trace=trace).value
        0.0
        >>> tokens(limit=100, which="output")(output="Rome", trace=trace).value
        1.0
    """

    name: str = "tokens"
    limit: int
    """The most tokens that an answer may take."""
    target: int | None = None
    """Up to this the value is 1.0; from here to the limit it falls to 0.0."""
    which: Literal["total", "input", "output"] = "total"

    def _bounds(self) -> tuple[float | None, float]:
        return self.target, self.limit

    def _spent(self, trace: Any) -> float | None:
        return _COUNTS[self.which](trace)

    def _shown(self, amount: float) -> str:
        return f"{amount:g}"

    def _what(self) -> str:
        return f"{self.which} tokens"


cost, latency, tokens = Cost, Latency, Tokens
