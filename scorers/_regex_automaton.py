"""Parsed patterns as automata: linear time at worst, and only for what is regular."""

from __future__ import annotations

import importlib
import re
from typing import Any

from scorers._regex_cost import ONE_CHARACTER

# Private, but what makes each character and assertion mean exactly what it means to `re`.
_parser: Any = importlib.import_module("re._parser")
_compiler: Any = importlib.import_module("re._compiler")
_constants: Any = importlib.import_module("re._constants")

_MAX_STATES = 400
_MAX_MOVES = 20_000


class NotRegular(Exception):  # noqa: N818 - a signal within the package
    """The pattern has no such automaton, or too large a one."""


class _State:
    """A set of places in the pattern: whether it is a match, and where each character leads."""

    __slots__ = ("moves", "places")

    def __init__(self, places: frozenset[int]) -> None:
        self.places = places
        self.moves: dict[Any, _State | None] = {}


class Automaton:
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
            raise NotRegular
        self._places.append((kind, first, second))
        return len(self._places) - 1

    def _sequence(self, items: Any, flags: int, following: int) -> int:
        for op, argument in reversed(list(items)):
            following = self._item(str(op), op, argument, flags, following)
        return following

    def _item(self, name: str, op: Any, argument: Any, flags: int, following: int) -> int:
        if name in ONE_CHARACTER:
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
        raise NotRegular

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
