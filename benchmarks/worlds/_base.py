"""What a world is: rows with house rules, a task model that follows them in part, and its grade.

A task model is a function of the request: which rules its prompt states, which of them its demos show, how
long and how contradictory it is. Whether one row gets one rule right is drawn from hashes of the row (what is
hard stays hard) and of the request (the rest is chance), so the same request has the same answer.
"""

from __future__ import annotations

import hashlib
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

Messages: TypeAlias = Sequence[Mapping[str, str]]
Source: TypeAlias = str | list[dict[str, str]]
_BLOCKS = re.compile(r"\n+|(?<=[.!?;])\s+")
_LONG = 20
"""Sentences a prompt may have before each further one distracts."""


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on ``parts`` alone."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big") / 2**64


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a world."""

    ref: int
    inputs: Mapping[str, str]
    truth: str
    """What production answered, and what is right."""
    traits: frozenset[str] = frozenset()
    """The rules that decide this row."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Something that a good prompt says or shows."""

    name: str
    said: tuple[str, ...]
    """Patterns that must all stand in one or two neighbouring sentences for the rule to be stated."""
    words: tuple[str, ...]
    """How somebody who has understood it writes it down."""
    alone: float = 0.05
    """Share of rows that get it right when nothing tells."""
    told: float = 0.95
    shown: float = 0.8
    """With one right demo of it."""
    everywhere: bool = False
    """Whether it concerns every row."""
    whole: bool = False
    """Whether the patterns may stand anywhere in the prompt (lists)."""


@dataclass(frozen=True, kw_only=True)
class Trap:
    """Advice that sounds right and does harm."""

    said: tuple[str, ...]
    words: str
    factor: float
    """What every rule's share is multiplied with where it is stated."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a task model takes from a request."""

    row: Row
    text: str
    """The instructions: all that is neither the row nor a demo."""
    said: frozenset[str]
    right: tuple[Row, ...]
    """Demos with a right answer, in order."""
    wrong: int
    """Demos with a wrong one."""
    traps: float = 1.0
    sentences: int = 0
    seed: tuple[object, ...] = field(default=())


class World(ABC):
    """See the module's text. Subclasses say what rows, answers and grades are."""

    name: ClassVar[str]
    prompt: ClassVar[Source]
    """Production's prompt."""
    topic: ClassVar[str]
    """A pattern that every sensible prompt for the task contains."""
    rules: ClassVar[tuple[Rule, ...]]
    traps: ClassVar[tuple[Trap, ...]] = ()
    ref: ClassVar[str]
    """Pattern of a row's number in its text, with one group."""
    noise: ClassVar[float] = 0.02
    """Share of answers that slip, drawn for each request."""
    sticky: ClassVar[float] = 0.75
    """How much of what is right or wrong belongs to the row."""
    hears_system: ClassVar[bool] = True
    about: ClassVar[str]
    """One sentence for the table."""

    # --- what a subclass says --------------------------------------------------------------------------

    @abstractmethod
    def row(self, ref: int) -> Row:
        """The row with this number (10000 to 99999)."""

    @abstractmethod
    def say(self, row: Row, kept: frozenset[str]) -> str:
        """The answer that keeps these rules and breaks the others."""

    @abstractmethod
    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        """Score in [0, 1], and what a careful colleague would note about it."""

    @abstractmethod
    def broken(self, row: Row, text: str) -> set[str]:
        """Rules that an answer somewhere in ``text`` visibly breaks, for somebody who knows the row."""

    @abstractmethod
    def slip(self, row: Row, where: float) -> str:
        """A wrong answer in the right form; ``where`` in [0, 1) picks it."""

    def share(self, rule: Rule, share: float, reading: Reading) -> float:
        """The share with what is special in this world."""
        return share

    # --- rows ---------------------------------------------------------------------------------------------

    def rows(self, count: int, *, seed: int, skip: int = 0) -> list[Row]:
        """``count`` rows after the first ``skip`` of this seed."""
        refs = random.Random(f"{self.name} {seed}").sample(range(10_000, 100_000), skip + count)
        return [self.row(ref) for ref in refs[skip:]]

    def rng(self, ref: int) -> random.Random:
        return random.Random(f"{self.name} row {ref}")

    # --- the task model -----------------------------------------------------------------------------------

    def answer(self, messages: Messages, params: Mapping[str, object], again: int = 0) -> str:
        """What the task model says; ``again`` tells samples of one request apart."""
        reading = self.read(messages)
        if reading is None:
            return "Could you send me the text you mean? I cannot see one."
        request = (self.name, [(m["role"], m["content"]) for m in messages], sorted(params.items()), again)
        kept = frozenset(
            rule.name
            for rule in self.rules
            if (rule.everywhere or rule.name in reading.row.traits)
            and self._draw(rule, reading, request) < self._share(rule, reading)
        )
        if chance("slip", *request) < self.noise:
            return self.slip(reading.row, chance("where", *request))
        return self.say(reading.row, kept)

    def _draw(self, rule: Rule, reading: Reading, request: tuple[object, ...]) -> float:
        if chance("sticky", self.name, reading.row.ref, rule.name) < self.sticky:
            return chance("row", self.name, reading.row.ref, rule.name)
        return chance("request", rule.name, *request)

    def _share(self, rule: Rule, reading: Reading) -> float:
        shown = sum(rule.everywhere or rule.name in demo.traits for demo in reading.right)
        told = rule.told if rule.name in reading.said else 0.0
        seen = 1.0 - (1.0 - rule.shown) * 0.8 ** (shown - 1) if shown else 0.0
        best = max(rule.alone, told, seen)
        if told and seen:
            best += (1.0 - best) / 2
        best *= reading.traps
        best -= 0.01 * max(0, reading.sentences - _LONG)
        best *= 1.0 - 0.3 * reading.wrong / max(1, reading.wrong + len(reading.right))
        return self.share(rule, best, reading)

    def read(self, messages: Messages) -> Reading | None:
        """None: the request has no row."""
        heard = [m for m in messages if self.hears_system or m["role"] not in ("system", "developer")]
        last = max((i for i, m in enumerate(heard) if m["role"] == "user"), default=None)
        if last is None:
            return None
        found = list(re.finditer(self.ref, heard[last]["content"]))
        if not found:
            return None
        row = self.row(int(found[-1][1]))
        if any(value not in heard[last]["content"] for value in row.inputs.values()):
            return None
        right, wrong, texts = [], 0, []
        shown: Row | None = None
        for index, message in enumerate(heard):
            content = message["content"]
            if message["role"] == "assistant":
                if shown is not None:
                    good = self.grade(shown, content)[0] >= 1.0
                    right += [shown] if good else []
                    wrong += not good
                shown = None
                continue
            content, inline = self._inline(content, row if index == last else None)
            for demo, good in inline[:-1] if index != last and message["role"] == "user" else inline:
                right += [demo] if good else []
                wrong += not good
            shown = inline[-1][0] if inline and index != last and message["role"] == "user" else None
            texts.append(content)
        text = "\n".join(dict.fromkeys("\n".join(texts).splitlines()))
        traps = 1.0
        for trap in self.traps:
            traps *= trap.factor if states(trap.said, text) else 1.0
        return Reading(
            row=row,
            text=text,
            said=self.stated(text),
            right=tuple(right),
            wrong=wrong,
            traps=traps,
            sentences=len([s for s in _BLOCKS.split(text) if len(s.split()) > 2]),
        )

    def _inline(self, content: str, row: Row | None) -> tuple[str, list[tuple[Row, bool]]]:
        """The text without rows, and the demos written into it, each with whether its answer is right."""
        if row is not None:
            for value in row.inputs.values():
                before, _, after = content.rpartition(value)
                content = f"{before} {after}"
        demos: list[tuple[Row, bool]] = []
        pieces = []
        for piece in re.split(rf"(?={_bare(self.ref)})", content):
            match = re.match(self.ref, piece)
            if match is None:
                pieces.append(piece)
                continue
            demo = self.row(int(match[1]))
            # a row's text starts with its number; what follows it, up to an empty line, is its answer
            head = next((v for v in demo.inputs.values() if v.startswith(match[0])), match[0])
            rest = piece[len(head) :] if piece.startswith(head) else piece
            demos.append((demo, demo.truth.lower() in rest.lower()))
            pieces.append(rest.replace(demo.truth, " "))
        return " ".join(pieces), demos

    def stated(self, text: str) -> frozenset[str]:
        """Names of the rules that ``text`` states."""
        return frozenset(rule.name for rule in self.rules if states(rule.said, text, whole=rule.whole))

    # --- the world's own best ---------------------------------------------------------------------------

    def best(self, rows: Sequence[Row]) -> list[Source]:
        """What whoever made the world would ship: every rule, without and with demos of ``rows``."""
        found: list[Source] = []
        instructions = " ".join([self.task(), *(rule.words[0] for rule in self.rules)])
        for size in (0, 4, 8):
            found.append(self.compose(instructions, self.cover(rows, size)))
        return found

    def cover(self, rows: Sequence[Row], size: int) -> list[Row]:
        """Up to ``size`` rows that show as many rules as they can."""
        chosen: list[Row] = []
        count = {rule.name: 0 for rule in self.rules}
        left = list(rows)
        while left and len(chosen) < size:
            best = max(left, key=lambda row: sum(1 / (1 + count[t]) ** 2 for t in row.traits))
            left.remove(best)
            chosen.append(best)
            for trait in best.traits:
                count[trait] += 1
        return chosen

    def task(self) -> str:
        """What production's prompt says before the row."""
        return self.split()[0]

    def split(self) -> tuple[str, str]:
        """Production's prompt as instructions and the frame around the row."""
        if isinstance(self.prompt, str):
            before, _, after = self.prompt.partition("\n\n")
            return before, after
        return self.prompt[0]["content"], self.prompt[1]["content"]

    def compose(self, instructions: str, demos: Sequence[Row] = ()) -> Source:
        """A prompt with these instructions where production has its own, and demos as turns."""
        turns = [(demo.inputs, demo.truth) for demo in demos]
        return self.assemble(instructions, turns)

    def assemble(self, instructions: str, turns: Sequence[tuple[Mapping[str, str], str]]) -> Source:
        """:meth:`compose` with any answers."""
        frame = self.split()[1]
        if isinstance(self.prompt, str) and not turns:
            return f"{instructions}\n\n{frame}"
        messages = [{"role": "system", "content": instructions}]
        for inputs, answer in turns:
            messages += [
                {"role": "user", "content": render(frame, inputs)},
                {"role": "assistant", "content": answer},
            ]
        return [*messages, {"role": "user", "content": frame}]


def _bare(pattern: str) -> str:
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)


def states(patterns: Sequence[str], text: str, *, whole: bool = False) -> bool:
    """Whether all patterns stand together in ``text``."""
    if whole:
        return all(re.search(p, text, re.I) for p in patterns)
    sentences = [s for s in _BLOCKS.split(text) if s.strip()]
    windows = [" ".join(sentences[i : i + 2]) for i in range(len(sentences))] or [""]
    return any(all(re.search(p, window, re.I) for p in patterns) for window in windows)


def render(text: str, inputs: Mapping[str, str]) -> str:
    """``{{name}}`` replaced, once each."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda m: inputs.get(m[1], m[0]), text)


def messages_of(source: Source, inputs: Mapping[str, str]) -> list[dict[str, str]]:
    """The request that a plain prompt stands for."""
    if isinstance(source, str):
        return [{"role": "user", "content": render(source, inputs)}]
    return [{"role": m["role"], "content": render(m["content"], inputs)} for m in source]
