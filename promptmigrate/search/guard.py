"""Refusing proposals before a cent is spent on them. Nothing is repaired: a repaired prompt is a guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from promptmigrate import template
from promptmigrate.search.anatomy import Candidate, role_lines
from promptmigrate.search.base import Problem
from promptmigrate.search.given import given
from promptmigrate.search.rules import Rules
from promptmigrate.search.text import WORD, Unit, ngrams, runs, spelled, units
from promptmigrate.types import Example, Prompt

COPIED_WORDS = 8
"""A run of so many words of a train row in the instructions is a copy of the row."""
_WHOLE_ROW_WORDS = 5
_SHINGLE_WORDS = 3
_EDITED = 0.6
"""Share of a row's runs of three words that are in a text which has the row with a word changed in it."""
_FEWEST, _LONGEST = 6, 200
"""Runs of its own that a row must have to be told by them; words above which an edited row still has a run of
:data:`COPIED_WORDS`."""
_BOILERPLATE_SHARE = 0.1


class Guard:
    """Knows what was already seen and what must not be in a prompt."""

    def __init__(
        self, original: Prompt, *, max_tokens: int, train: Sequence[Example], given: Sequence[Prompt] = ()
    ) -> None:
        self._original = original
        self._rules = Rules(original, max_tokens=max_tokens, given=given)
        self._copies = _Copies(train, exempt=[original, *given])
        self._seen: dict[str, None] = {}
        self._bags: list[tuple[int, Counter[Unit], str]] = []

    @classmethod
    def of(cls, problem: Problem) -> Guard:
        """The guard of one search."""
        return cls(
            problem.original.prompt,
            max_tokens=problem.max_prompt_tokens,
            train=problem.train,
            # Worked examples in them are train rows, and stay demos.
            given=[candidate.anatomy.prompt for candidate in given(problem)],
        )

    def refuse(self, candidate: Candidate, *, proposed: bool = True) -> str | None:
        """Why ``candidate`` may not be tried; None if it may. ``proposed``: a model wrote its text."""
        return (
            (self._refuse_messages(candidate.instructions) if proposed else None)
            or self._rules.broken(candidate.prompt)
            or (self._refuse_copy(candidate.instructions) if proposed else None)
            or self._refuse_duplicate(candidate)
        )

    def admit(self, candidate: Candidate) -> None:
        """Remember ``candidate``, so that its like is refused from now on."""
        self._seen[candidate.key] = None
        bag = Counter(units(candidate.instructions))
        self._bags.append((bag.total(), bag, _setting(candidate)))

    def _refuse_messages(self, instructions: str) -> str | None:
        own = "\n".join(message.content for message in self._original.messages)
        roles = Counter(role_lines(instructions)) - Counter(role_lines(own))
        if roles:
            return f"it writes a message of its own, as {min(roles)}: only the instructions change"
        return None

    def _refuse_copy(self, instructions: str) -> str | None:
        copied = self._copies.in_text(instructions)
        return f'it copies a training row ("{copied}")' if copied else None

    def _refuse_duplicate(self, candidate: Candidate) -> str | None:
        if candidate.key in self._seen:
            return "it was tried before"
        bag = Counter(units(candidate.instructions))
        total, setting = bag.total(), _setting(candidate)
        for other_total, other, other_setting in self._bags:
            if setting != other_setting or abs(total - other_total) > 1:
                continue
            if ((bag - other) + (other - bag)).total() <= 1:
                return "it says the same as one that was tried before"
        return None


def _setting(candidate: Candidate) -> str:
    demos = ",".join(demo.example for demo in candidate.demos)
    return (
        f"{candidate.placement}|{demos}|{sorted((candidate.params or {}).items())}|{candidate.anatomy.frame}"
    )


class _Copies:
    """Tells what a text has from train rows; what many rows share, or a prompt says itself, is nobody's.

    By words, and by characters in scripts without spaces, of which so many stand for a word (see
    :func:`promptmigrate.search.text.units`).
    """

    def __init__(self, train: Sequence[Example], *, exempt: Sequence[Prompt]) -> None:
        most = max(3, round(_BOILERPLATE_SHARE * len(train)))
        pieces: Counter[tuple[str, ...]] = Counter()
        short: Counter[tuple[str, ...]] = Counter()
        whole: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for text in (text for example in train for text in _texts(example)):
            found = units(text)
            if COPIED_WORDS * WORD <= _weight(found) <= _LONGEST * WORD:
                whole.setdefault(tuple(unit.text for unit in found), set(runs(found, _SHINGLE_WORDS * WORD)))
            if (weight := _weight(found)) >= COPIED_WORDS * WORD:
                pieces.update(set(runs(found, COPIED_WORDS * WORD)))
            elif weight >= _WHOLE_ROW_WORDS * WORD:
                short[tuple(unit.text for unit in found)] += 1
        self._pieces = {piece for piece, count in pieces.items() if count <= most}
        self._rows: dict[int, set[tuple[str, ...]]] = {}
        """Whole short rows, by length."""
        for row, count in short.items():
            if count <= most:
                self._rows.setdefault(len(row), set()).add(row)
        shared = Counter(shingle for shingles in whole.values() for shingle in shingles)
        common = {shingle for shingle, count in shared.items() if count > most}
        for prompt in exempt:
            said = units("\n".join(message.content for message in prompt.messages))
            common.update(runs(said, _SHINGLE_WORDS * WORD))
        self._edited = {
            row: own for row, shingles in whole.items() if len(own := shingles - common) >= _FEWEST
        }
        """Runs that tell a row, by row."""
        for prompt in exempt:
            said = units("\n".join(message.content for message in prompt.messages))
            self._pieces.difference_update(runs(said, COPIED_WORDS * WORD))
            for length, rows in self._rows.items():
                rows.difference_update(ngrams([unit.text for unit in said], length))

    def in_text(self, text: str) -> str | None:
        """The first copy in ``text``."""
        said = units(text)
        texts = [unit.text for unit in said]
        copied = next((run for run in runs(said, COPIED_WORDS * WORD) if run in self._pieces), None)
        for length, rows in self._rows.items():
            copied = copied or next((run for run in ngrams(texts, length) if run in rows), None)
        if copied is None:
            shingles = set(runs(said, _SHINGLE_WORDS * WORD))
            edited = (row for row, own in self._edited.items() if len(own & shingles) >= _EDITED * len(own))
            copied = next(edited, None)
        return spelled(copied) if copied else None


def _weight(found: Sequence[Unit]) -> int:
    return sum(unit.weight for unit in found)


def _texts(example: Example) -> Iterable[str]:
    """What a reflection model is shown of a row; answers only where they are long: short ones are labels."""
    for value in example.inputs.values():
        yield template.as_text(value)
    answers = {example.reference or "", template.as_text(example.expected or "")}
    yield from (answer for answer in answers if _weight(units(answer)) >= 2 * COPIED_WORDS * WORD)
