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
import re
from functools import lru_cache
from typing import Any

from scorers._regex_automaton import Automaton, NotRegular
from scorers._regex_cost import worst_case

# Private, but the only way to read a pattern exactly as `re` does; the public sre_parse is deprecated.
_parser: Any = importlib.import_module("re._parser")

_SHORT = 32
_STEPS_AT_ONCE, _STEPS_PER_CHARACTER = 50_000, 4_000
"""What `re` may need at worst: about 1 ms plus 40 ms per 1,000 characters."""


class TooSlowError(ValueError):
    """The pattern cannot be run on such a text in bounded time."""


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
            self._automaton: Automaton | None = Automaton(tree, search=not full)
        except NotRegular:
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
        return worst_case(self._tree, length, self._anchored)


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
