"""tool_calls: the tools that were called, and with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._fields import Comparers, Paths, TooManyPairsError
from scorers._frozen import Frozen
from scorers._json_compare import Comparison
from scorers._similarity import f_measure
from scorers._text import as_text, clip
from scorers._tool_reading import ToolCall, read_calls, traced_calls
from scorers._types import Sample, Score

_MOST = 100
"""Calls on either side; each is compared with each."""
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalls(Measure):
    """How many of the expected tool calls were made, and how many that were not expected.

    Output and expected value are a list of calls, one call, or a message that holds them, as an object or as
    JSON text: OpenAI's (``{"tool_calls": [{"function": {"name", "arguments": "{...}"}}]}``), Anthropic's
    (``{"content": [{"type": "tool_use", "name", "input"}]}``), or plain
    ``{"name": ..., "arguments": {...}}``.
    Where the output is a text only, the calls are those that the trace tells of: in ``tool_calls``, or in
    what the model calls among the spans of an MLflow trace gave out.
    A call is right when its name and all of its arguments are. An empty expected list says that no tool may
    be called. More than 100 calls are unscored (``timeout``).

    Kinds of evidence: ``match``, ``no_calls``, ``missing_calls``, ``wrong_arguments``, ``extra_calls``,
    ``wrong_order``, ``invalid_arguments`` (they are not JSON); ``calls`` tells each call's fate.

    Example:
        >>> from scorers import tool_calls
        >>> made = {"tool_calls": [{"function": {"name": "weather", "arguments": '{"city": "rome"}'}}]}
        >>> tool_calls(ignore_case=True)(output=made,
        ...                              expected=[{"name": "weather", "arguments": {"city": "Rome"}}]).value
        1.0
        >>> score = tool_calls()(output=made, expected=[{"name": "weather", "arguments": {"city": "Oslo"}}])
        >>> score.value, score.evidence["kind"]
        (0.0, 'wrong_arguments')
    """

    name: str = "tool_calls"
    metric: Literal["f1", "precision", "recall", "exact"] = "f1"
    """``exact``: 1.0 only where all expected calls were made and no others."""
    arguments: bool = True
    """Arguments count; otherwise only the names do."""
    ordered: bool = False
    """Only calls in the expected order count."""
    ignore: tuple[str, ...] = ()
    """Arguments that do not count, by name."""
    compare: Mapping[str, Any] = Frozen()
    """Argument (or ``tool.argument``, and paths inside) -> the scorer that compares it, as in
    :class:`JsonMatch`. Only a value of 1.0 counts as right."""
    tolerance: float = 0.0
    """Largest absolute difference of two numbers that are still equal."""
    ignore_case: bool = False
    ignore_order: bool = False
    """Lists in arguments are equal in any order."""
    _comparers: Comparers = field(init=False, repr=False, compare=False, default=Comparers())

    def __post_init__(self) -> None:
        specs, comparers = Comparers.read(self.name, self.compare)
        object.__setattr__(self, "compare", specs)
        object.__setattr__(self, "_comparers", comparers)
        Measure.__post_init__(self)

    def _check(self) -> None:
        if self.tolerance < 0:
            raise ScorerSpecError(f"{self.name}: option 'tolerance' must not be negative", key="tolerance")

    def _expected(self, expected: Any) -> Any:
        # A mapping is a message or a call, unless an entry is named.
        if isinstance(expected, Mapping):
            if self.expected_key is not None:
                return expected.get(self.expected_key)
            return expected.get("expected_response", expected)
        return expected

    def _score(self, sample: Sample) -> Score:
        wanted = read_calls(sample.expected)
        if wanted is None or any(call.arguments is None for call in wanted):
            return self._unscored(
                "bad_expected", f"the expected value holds no calls of tools: {clip(sample.expected)!r}"
            )
        made = read_calls(sample.output)
        if made is None:
            made = traced_calls(sample.trace)
        if max(len(wanted), len(made)) > _MOST:
            return self._unscored("timeout", f"more than {_MOST} calls are not compared")
        try:
            same = [[self._same(a, b, sample.inputs) for b in made] for a in wanted]
        except TooManyPairsError as error:
            return self._unscored("timeout", f"not compared: {error}")
        pairs = _in_order(same) if self.ordered else _matching(same)
        return self._concluded(wanted, made, pairs, same, sample.output)

    def _same(self, wanted: ToolCall, made: ToolCall, inputs: Any) -> bool:
        if wanted.name != made.name:
            return False
        if not self.arguments:
            return True
        if made.arguments is None:
            return False
        how = Comparison(
            tolerance=self.tolerance, ignore_case=self.ignore_case, ignore_order=self.ignore_order
        )
        a, b = self._kept(wanted.arguments), self._kept(made.arguments)
        if not self._comparers or not isinstance(a, Mapping) or not isinstance(b, Mapping):
            return how.same(a, b)
        if a.keys() != b.keys():
            return False
        paths = Paths(all_unordered=self.ignore_order)
        for key, value in a.items():
            path = f"{wanted.name}.{key}"
            if self._comparers.at(path) is None and not self._comparers.inside_of(path):
                path = str(key)
            if not self._comparers.same(path, how, paths, value, b[key], inputs):
                return False
        return True

    def _kept(self, arguments: Any) -> Any:
        if self.ignore and isinstance(arguments, Mapping):
            return {key: value for key, value in arguments.items() if key not in self.ignore}
        return arguments

    def _concluded(
        self,
        wanted: list[ToolCall],
        made: list[ToolCall],
        pairs: dict[int, int],
        same: list[list[bool]],
        output: Any,
    ) -> Score:
        precision, recall, f1 = f_measure(len(pairs), len(made), len(wanted))
        whole = len(pairs) == len(made) == len(wanted)
        values = {"f1": f1, "precision": precision, "recall": recall, "exact": float(whole)}
        fates = self._fates(wanted, made, pairs, same)
        kind = "match" if whole else "no_calls" if not made else _worst([fate for _, fate in fates])
        failed = [(call, fate) for call, fate in fates if fate != "match"]
        told = "; ".join(f"{fate.replace('_', ' ')}: {_shown(call)}" for call, fate in failed[:4])
        if kind == "no_calls":
            told = f"no tool was called, expected {told}; the answer is {clip(as_text(output).strip())!r}"
        return self._found(
            values[self.metric],
            kind,
            "" if whole else told,
            precision=round(precision, 6),
            recall=round(recall, 6),
            f1=round(f1, 6),
            calls=[
                [_shown(call), fate]
                for call, fate in [*failed, *(f for f in fates if f[1] == "match")][:_SHOWN]
            ],
        )

    def _fates(
        self, wanted: list[ToolCall], made: list[ToolCall], pairs: dict[int, int], same: list[list[bool]]
    ) -> list[tuple[ToolCall, str]]:
        left = [index for index in range(len(made)) if index not in pairs.values()]
        fates: list[tuple[ToolCall, str]] = []
        for index, call in enumerate(wanted):
            if index in pairs:
                fates.append((call, "match"))
                continue
            elsewhere = next((j for j in left if same[index][j]), None)
            namesake = next((j for j in left if made[j].name == call.name), None)
            if elsewhere is not None:
                left.remove(elsewhere)
                fates.append((call, "wrong_order"))
            elif namesake is not None:
                left.remove(namesake)
                unread = made[namesake].arguments is None
                fates.append((made[namesake], "invalid_arguments" if unread else "wrong_arguments"))
            else:
                fates.append((call, "missing_call"))
        return [*fates, *((made[j], "extra_call") for j in left)]


def _worst(fates: Sequence[str]) -> str:
    for fate, kind in (
        ("missing_call", "missing_calls"),
        ("invalid_arguments", "invalid_arguments"),
        ("wrong_arguments", "wrong_arguments"),
        ("extra_call", "extra_calls"),
    ):
        if fate in fates:
            return kind
    return "wrong_order"


def _shown(call: ToolCall) -> str:
    arguments = "(not JSON)" if call.arguments is None else as_text(call.arguments)
    return f"{clip(call.name, 60)} {clip(arguments, 100)}"


def _matching(same: list[list[bool]]) -> dict[int, int]:
    """As many pairs as possible, each call used once (augmenting paths, without recursion)."""
    taken: dict[int, int] = {}
    for start in range(len(same)):
        came: dict[int, int] = {}
        todo, end = [start], None
        while todo and end is None:
            row = todo.pop()
            for column, fits in enumerate(same[row]):
                if fits and column not in came:
                    came[column] = row
                    if column not in taken:
                        end = column
                        break
                    todo.append(taken[column])
        back = {row: column for column, row in taken.items()}
        while end is not None:
            row = came[end]
            taken[end], end = row, back.get(row)
    return {row: column for column, row in taken.items()}


def _in_order(same: list[list[bool]]) -> dict[int, int]:
    """As many pairs as possible with both sides in order (longest common subsequence)."""
    n, m = len(same), len(same[0]) if same else 0
    best = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            best[i][j] = best[i + 1][j + 1] + 1 if same[i][j] else max(best[i + 1][j], best[i][j + 1])
    found: dict[int, int] = {}
    i = j = 0
    while i < n and j < m:
        if same[i][j]:
            found[i] = j
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


tool_calls = ToolCalls
