"""Regular expressions whose time is bounded, whatever the pattern and the text.

``re`` backtracks: ``(a+)+$`` takes exponential, ``\\s+$`` quadratic time on the wrong text, and nothing can
interrupt it. So a pattern is parsed by ``re`` itself, its worst case on a text of the given length is counted
beforehand, and ``re`` runs only where that is small. Otherwise the pattern becomes an automaton (Thompson's
construction, states merged on the fly), which is slower at best but linear at worst. Lookaround,
back-references, atomic groups and possessive repeats have no such automaton: with them, what is too slow is
refused.
"""

from __future__ import annotations

import importlib
import math
import re
from functools import lru_cache
from typing import Any

# Private, but the only way to read a pattern exactly as `re` does; the public sre_parse is deprecated.
_parser: Any = importlib.import_module("re._parser")
_compiler: Any = importlib.import_module("re._compiler")
_constants: Any = importlib.import_module("re._constants")

_ONE_CHARACTER = {"LITERAL", "NOT_LITERAL", "IN", "ANY", "RANGE"}
_SHORT = 32
_MAX_STATES = 400
_MAX_MOVES = 20_000
_STEPS_AT_ONCE, _STEPS_PER_CHARACTER = 50_000, 4_000
"""What `re` may need at worst: about 1 ms plus 40 ms per 1,000 characters."""


class TooSlowError(ValueError):
    """The pattern cannot be run on such a text in bounded time."""


class _NotRegular(Exception):  # noqa: N818 - a private signal
    pass


class BoundedPattern:
    """A pattern that is searched for in bounded time.

    Raises:
        re.error: not a regular expression.
        TooSlowError: needs backtracking that explodes even on a short text.
    """

    def __init__(self, pattern: str, flags: int, *, full: bool) -> None:
        self._re = re.compile(pattern, flags)
        self._full = full
        tree = _parser.parse(pattern, flags)
        self._tree = tree
        self._anchored = full or _is_anchored(tree)
        self._run = self._re.fullmatch if full else self._re.match if self._anchored else self._re.search
        self._harmless = 0
        """Texts up to this length were found to be within bounds."""
        try:
            self._automaton: _Automaton | None = _Automaton(tree, search=not full)
        except _NotRegular:
            self._automaton = None
        if self._automaton is None and self._worst(_SHORT) > _allowed(_SHORT):
            raise TooSlowError(
                f"its backtracking can explode even on {_SHORT} characters (a repeat inside a repeat, or "
                "many in a row), and with a lookaround, back-reference or long count it has no linear-"
                "time automaton either"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return bounded, (self._re.pattern, self._re.flags & ~re.UNICODE, self._full)

    def matches(self, text: str) -> bool:
        """Whether ``text`` matches: all of it (``full``), or any part.

        Raises:
            TooSlowError: cannot be said in bounded time.
        """
        # Lengths are rounded up, so that a pattern is counted once per order of magnitude.
        size = len(text)
        if size <= self._harmless:
            return self._run(text) is not None
        length = 1 << max(4, (size - 1).bit_length())
        if self._worst(length) <= _allowed(size):
            self._harmless = max(self._harmless, size)
            return self._run(text) is not None
        if self._automaton is None:
            raise TooSlowError(
                f"on {len(text)} characters it could take too long, and a pattern with lookaround, "
                "back-references or long counts cannot be run in linear time"
            )
        return self._automaton.matches(text)

    def check_length(self, length: int) -> None:
        """Make sure that ``re`` itself is fast on every text of at most ``length`` characters.

        Raises:
            TooSlowError: it might not be.
        """
        if self._worst(length) > _allowed(length):
            raise TooSlowError(f"on {length} characters it could take too long")

    def _worst(self, length: int) -> float:
        return _worst_case(self._tree, length, self._anchored)


def _allowed(length: int) -> int:
    return _STEPS_AT_ONCE + _STEPS_PER_CHARACTER * length


@lru_cache(maxsize=512)
def bounded(pattern: str, flags: int, full: bool) -> BoundedPattern:
    """The compiled pattern, remembered."""
    return BoundedPattern(pattern, flags, full=full)


def _is_anchored(tree: Any) -> bool:
    """Whether a match can only start at the start of the text."""
    if not tree.data or tree.state.flags & re.MULTILINE:
        return False
    op, argument = tree.data[0]
    return str(op) == "AT" and str(argument) in {"AT_BEGINNING", "AT_BEGINNING_STRING"}


# --- the worst case of backtracking


@lru_cache(maxsize=4096)
def _worst_case(tree: Any, length: int, anchored: bool) -> float:
    return _cost(tree, length)[1] * (1 if anchored else length)


def _cost(sequence: Any, n: int) -> tuple[float, float]:
    """In how many ways ``sequence`` can match from one position, and the steps to try them all."""
    ways, steps = 1.0, 1.0
    for op, argument in sequence:
        more_ways, more_steps = _cost_of(str(op), argument, n)
        steps += ways * more_steps
        ways *= more_ways
    return ways, steps


def _cost_of(op: str, argument: Any, n: int) -> tuple[float, float]:
    if op in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        low, high, body = argument
        ways, steps = _cost_of_repeat(low, min(high, n), body, n)
        return (1.0, steps) if op == "POSSESSIVE_REPEAT" else (ways, steps)
    if op == "BRANCH":
        costs = [_cost(branch, n) for branch in argument[1]]
        return sum(ways for ways, _ in costs), sum(steps for _, steps in costs)
    if op == "SUBPATTERN":
        return _cost(argument[3], n)
    if op == "ATOMIC_GROUP":
        return 1.0, _cost(argument, n)[1]
    if op in {"ASSERT", "ASSERT_NOT"}:
        return 1.0, _cost(argument[1], n)[1]
    if op == "GROUPREF_EXISTS":
        costs = [_cost(branch, n) for branch in argument[1:] if branch is not None]
        return max(ways for ways, _ in costs), sum(steps for _, steps in costs)
    if op in {"GROUPREF", "GROUPREF_IGNORE"}:
        return 1.0, float(n)
    return 1.0, 1.0


def _cost_of_repeat(low: int, high: int, body: Any, n: int) -> tuple[float, float]:
    if len(body) == 1 and str(body[0][0]) in _ONE_CHARACTER:
        return max(1.0, high - low + 1.0), 1 + high / 8  # a tight loop in C
    ways, steps = _cost(body, n)
    if math.isinf(ways):
        return ways, ways
    if ways <= 1:
        return max(1.0, high - low + 1.0), 1 + high * steps
    if high * math.log10(ways) > 15:
        return float("inf"), float("inf")
    total = sum(ways**k for k in range(high + 1))
    return total, total * steps


# --- the automaton


class _State:
    """A set of places in the pattern: whether it is a match, and where each character leads."""

    __slots__ = ("moves", "places")

    def __init__(self, places: frozenset[int]) -> None:
        self.places = places
        self.moves: dict[Any, _State | None] = {}


class _Automaton:
    """Thompson's automaton of a parsed pattern; sets of places become states when they are first met."""

    def __init__(self, tree: Any, *, search: bool) -> None:
        self._search = search
        self._tests: list[re.Pattern[str]] = []
        self._checks: list[re.Pattern[str]] = []
        self._known: dict[str, int] = {}
        self._places: list[tuple[str, int, int]] = []
        """("char", test, next), ("check", index, next), ("split", next, other) or ("match", 0, 0)"""
        self._parsed = tree.state
        self._begin = self._sequence(tree, tree.state.flags, self._add("match", 0, 0))
        self._states: dict[frozenset[int], _State] = {}
        self._moves = 0

    def matches(self, text: str) -> bool:
        """Whether ``text`` matches; any part of it will do for one that searches."""
        checks = [check.match for check in self._checks]
        state = self._state(frozenset([self._begin]))
        for position, character in enumerate(text):
            key: Any = character
            held: tuple[bool, ...] = ()
            if checks:
                held = tuple(check(text, position) is not None for check in checks)
                key = (held, character)
            try:
                following = state.moves[key]
            except KeyError:
                following = self._move(state, held, character)
                state.moves[key] = following
            if following is None:
                return True
            state = following
        held = tuple(check(text, len(text)) is not None for check in checks)
        return any(self._places[place][0] == "match" for place in self._closure(state.places, held))

    def _move(self, state: _State, held: tuple[bool, ...], character: str) -> _State | None:
        """Where ``character`` leads; None where a searched match has ended before it."""
        self._moves += 1
        if self._moves > _MAX_MOVES:  # a text with very many different characters must not fill the memory
            self._states, self._moves = {}, 0
            state.moves.clear()
        reached = set()
        passed: dict[int, bool] = {}
        for place in self._closure(state.places, held):
            kind, argument, following = self._places[place]
            if kind == "match" and self._search:
                return None
            if kind == "char":
                if argument not in passed:
                    passed[argument] = self._tests[argument].match(character) is not None
                if passed[argument]:
                    reached.add(following)
        if self._search:
            reached.add(self._begin)
        return self._state(frozenset(reached))

    def _state(self, places: frozenset[int]) -> _State:
        state = self._states.get(places)
        if state is None:
            state = self._states[places] = _State(places)
        return state

    def _closure(self, places: frozenset[int], held: tuple[bool, ...]) -> set[int]:
        """All places that can be reached without a character."""
        seen: set[int] = set()
        todo = list(places)
        while todo:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            kind, first, second = self._places[place]
            if kind == "split":
                todo += (first, second)
            elif kind == "check" and held[first]:
                todo.append(second)
        return seen

    def _add(self, kind: str, first: int, second: int) -> int:
        if len(self._places) >= _MAX_STATES:
            raise _NotRegular
        self._places.append((kind, first, second))
        return len(self._places) - 1

    def _sequence(self, items: Any, flags: int, following: int) -> int:
        for op, argument in reversed(list(items)):
            following = self._item(str(op), op, argument, flags, following)
        return following

    def _item(self, name: str, op: Any, argument: Any, flags: int, following: int) -> int:
        if name in _ONE_CHARACTER:
            return self._add("char", self._single(self._tests, op, argument, flags), following)
        if name == "AT":
            return self._add("check", self._single(self._checks, op, argument, flags), following)
        if name == "SUBPATTERN":
            _, add, remove, body = argument
            return self._sequence(body, _compiler._combine_flags(flags, add, remove), following)
        if name == "BRANCH":
            begin = self._sequence(argument[1][-1], flags, following)
            for branch in argument[1][-2::-1]:
                begin = self._add("split", self._sequence(branch, flags, following), begin)
            return begin
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            low, high, body = argument
            return self._repeat(low, high, body, flags, following)
        raise _NotRegular

    def _repeat(self, low: int, high: int, body: Any, flags: int, following: int) -> int:
        if high == _constants.MAXREPEAT:
            again = self._add("split", 0, following)
            begin = self._sequence(body, flags, again)
            self._places[again] = ("split", begin, following)
            following = again
        else:
            out = following
            for _ in range(high - low):
                following = self._add("split", self._sequence(body, flags, following), out)
        for _ in range(low):
            following = self._sequence(body, flags, following)
        return following

    def _single(self, where: list[re.Pattern[str]], op: Any, argument: Any, flags: int) -> int:
        """One character or assertion, compiled by ``re`` itself, so that it means exactly the same."""
        key = f"{op} {argument} {flags}"
        if key not in self._known:
            state = _parser.State()
            state.flags, state.str = flags, ""
            where.append(_compiler.compile(_parser.SubPattern(state, [(op, argument)]), flags))
            self._known[key] = len(where) - 1
        return self._known[key]
