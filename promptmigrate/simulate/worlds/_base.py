"""What all worlds share: rows with sessions and users, and how a model turns a prompt into an answer.

A model fails in named ways (*hazards*), each with a probability that lies between what the model does when
left alone (``base``) and what it does when it is told well (``floor``); how well it is told is the world's
reading of the prompt. An answer is fully right when no harmful hazard strikes, so the probability of a right
answer is known from the model's own rules, without measuring.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from promptmigrate.simulate._chance import Dice
from promptmigrate.simulate._forms import detect, fill
from promptmigrate.simulate._reading import (
    ROW_MARK,
    Demo,
    Turn,
    json_object,
    last_field,
    last_user,
    tokens_of,
)
from promptmigrate.simulate._types import Row, SimModel, count_tokens
from promptmigrate.simulate.worlds._framed import Framed
from promptmigrate.simulate.worlds._nature import Nature
from promptmigrate.simulate.worlds._people import Cast

Span = tuple[int, int]
_INLINE_ANSWER_CHARS = 400
"""How far behind an example's text its answer is looked for."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """What a prompt says, as far as the world's models can tell. Subclasses add the world's own signs."""

    tokens: int
    demos: int


@dataclass(frozen=True)
class Prompted:
    """A prompt without its row: all of it, and without its system message."""

    whole: Guidance
    no_system: Guidance
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """A request in which a row was recognised."""

    row: str
    facts: Any
    prompted: Prompted
    input_tokens: int


class World(ABC):
    """A task with rows whose truth can be computed from their text, and the models that work on it."""

    name: ClassVar[str]
    variable: ClassVar[str]
    """Name of the template variable that holds the row's text."""
    prompt: ClassVar[str | tuple[Mapping[str, str], ...]]
    """The production prompt: a text, or chat messages."""
    about: ClassVar[str]
    source: ClassVar[str]
    rescuable: ClassVar[tuple[str, ...]]
    """Targets that a better prompt brings to the source's level."""
    hopeless: ClassVar[tuple[str, ...]]
    """Targets that no prompt brings there."""
    models: ClassVar[tuple[SimModel, ...]]
    natures: ClassVar[Mapping[str, Nature]]
    harmless: ClassVar[frozenset[str]] = frozenset()
    """Hazards that cost words but leave the answer right."""

    # -- rows ---------------------------------------------------------------------------------------------

    def rows(self, n: int, seed: int = 0) -> list[Row]:
        """``n`` different rows: sessions of one to four, users with several sessions. Same seed, same rows;
        the first rows of a longer list are those of a shorter one.
        """
        rows: list[Row] = []
        seen: set[str] = set()
        for cast, session, rng in self._sessions(seed):
            for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
                text, expected = self.write(rng, cast)
                if text in seen:
                    continue
                seen.add(text)
                rows.append(
                    Row(inputs={self.variable: text}, expected=expected, session=session, user=cast.user)
                )
                if len(rows) == n:
                    return rows
        return rows

    def _sessions(self, seed: int) -> Iterator[tuple[Cast, str, random.Random]]:
        rng = random.Random(f"{self.name}:{seed}")  # noqa: S311 - a seeded generator of test data
        users: list[Cast] = []
        number = 0
        while True:
            if len(users) < 5 or rng.random() < 0.3:
                users.append(Cast(rng, len(users)))
            yield rng.choice(users[-40:]), f"{self.name}-s{seed}-{number:05d}", rng
            number += 1

    @abstractmethod
    def write(self, rng: random.Random, cast: Cast) -> tuple[str, str]:
        """A new row text and its truth."""

    @abstractmethod
    def spans(self, text: str) -> list[Span]:
        """Where rows of this world stand in ``text``."""

    @abstractmethod
    def parse(self, row: str) -> Any:
        """The facts in a row's text (the truth among them), None if it is not one of this world's."""

    @abstractmethod
    def truth(self, facts: Any) -> str:
        """The right answer."""

    @abstractmethod
    def correct(self, output: str, expected: str) -> bool:
        """Whether an output is right in content and in form, as strictly as production's consumers are."""

    # -- models -------------------------------------------------------------------------------------------

    @abstractmethod
    def study(self, text: str, demos: Sequence[Demo]) -> Guidance:
        """What instructions (rows cut out) and demos say."""

    @abstractmethod
    def ideal(self) -> Guidance:
        """The guidance that no prompt can exceed."""

    @abstractmethod
    def pressures(self, guidance: Guidance, facts: Any) -> Mapping[str, tuple[float, float]]:
        """How strongly instructions and demos speak to each hazard that this row can meet."""

    @abstractmethod
    def render(self, facts: Any, struck: frozenset[str], guidance: Guidance, dice: Dice) -> str:
        """The answer after these hazards struck."""

    def hazards(self, nature: Nature, guidance: Guidance, facts: Any) -> dict[str, float]:
        """Probability of each hazard for one row."""
        return nature.hazards(self.pressures(guidance, facts), guidance.tokens)

    def chance_right(self, hazards: Mapping[str, float]) -> float:
        """Probability of a fully right answer under these hazards."""
        chance = 1.0
        for name, probability in hazards.items():
            if name not in self.harmless:
                chance *= 1.0 - probability
        return chance

    def read(self, turns: tuple[Turn, ...]) -> Found | None:
        """Find the row of a request in its last user turn and study what stands around it."""
        at = last_user(turns)
        if at < 0:
            return None
        text = turns[at].text
        spans = self.spans(text)
        if not spans:
            return None
        start, end = next((s for s in reversed(spans) if not self._answered(text, s, spans)), spans[-1])
        row = text[start:end]
        facts = _facts(self, row)
        if facts is None:
            return None
        frame = Turn("user", text[:start] + ROW_MARK + text[end:])
        prompted = _study(self, (*turns[:at], frame, *turns[at + 1 :]), at)
        return Found(
            row=row, facts=facts, prompted=prompted, input_tokens=prompted.tokens + count_tokens(row)
        )

    def enforce(self, guidance: Guidance, response_format: Mapping[str, Any]) -> Guidance:  # noqa: ARG002
        """The guidance under a ``response_format``; most worlds do not care."""
        return guidance

    def reply(
        self, model: SimModel, found: Found, turns: Sequence[Turn], params: Mapping[str, Any], call: bytes
    ) -> str:
        """What ``model`` says to a request, in the form that the request's frame asks for."""
        text = self.answer(model, found, params, call)
        wanted = params.get("response_format")
        if "[[ ## " in turns[last_user(turns)].text or (wanted and json_object(text) is None):
            form = detect(turns, params)
            if form.style in ("fields", "json"):
                return fill(form, Framed(text))
        return text

    def answer(self, model: SimModel, found: Found, params: Mapping[str, Any], call: bytes) -> str:
        """What ``model`` says to a request."""
        warmth = params.get("temperature")
        temperature = 1.0 if warmth is None else max(0.0, min(2.0, float(warmth)))
        nature = self.natures[model.name]
        fresh = min(0.9, nature.variety + 0.25 * temperature)
        dice = Dice(model=model.name, row=found.row, call=call, fresh=fresh)
        heeds = nature.reads_system >= 1.0 or dice.chance("system", nature.reads_system)
        guidance = found.prompted.whole if heeds else found.prompted.no_system
        if isinstance(wanted := params.get("response_format"), Mapping):
            guidance = self.enforce(guidance, wanted)
        struck = frozenset(
            name
            for name, probability in self.hazards(nature, guidance, found.facts).items()
            if (dice.shared if name.startswith("shared") else dice.chance)(name, probability)
        )
        return self.render(found.facts, struck, guidance, dice)

    def expectation(
        self, model: str, prompt: str | Sequence[Mapping[str, str]] | None = None, n: int = 1000
    ) -> float:
        """Expected share of right answers under ``prompt`` (production's), by the model's own rules."""
        source = self.prompt if prompt is None else prompt
        messages = ({"role": "user", "content": source},) if isinstance(source, str) else tuple(source)
        nature = self.natures[model]
        total = 0.0
        mark = "{{" + self.variable + "}}"
        for row in self.rows(n, seed=-1):
            text = row.inputs[self.variable]
            found = self.read(tuple(Turn(m["role"], m["content"].replace(mark, text)) for m in messages))
            if found is None:
                continue
            for guidance, share in (
                (found.prompted.whole, nature.reads_system),
                (found.prompted.no_system, 1.0 - nature.reads_system),
            ):
                total += share * self.chance_right(self.hazards(nature, guidance, found.facts))
        return total / n

    def optimum(self, model: str, n: int = 1000) -> float:
        """Expected share of right answers under the best prompt there can be, by the model's own rules."""
        nature, best = self.natures[model], self.ideal()  # with the instructions where the model reads them
        facts = (self.parse(row.inputs[self.variable]) for row in self.rows(n, seed=-1))
        return sum(self.chance_right(self.hazards(nature, best, f)) for f in facts) / n

    def _answered(self, text: str, span: Span, spans: Sequence[Span]) -> bool:
        """Whether the row at ``span`` is an example with its answer behind it."""
        following = min((s for s, _ in spans if s >= span[1]), default=len(text))
        tail = text[span[1] : min(following, span[1] + _INLINE_ANSWER_CHARS)]
        return self.inline_answer(tail) is not None

    @abstractmethod
    def inline_answer(self, tail: str) -> str | None:
        """The answer that opens the text behind an example row; None if there is none."""

    def gather(self, turns: Sequence[Turn], frame: int) -> tuple[str, tuple[Demo, ...]]:
        """The instructions of a prompt, rows cut out, and its demos."""
        kept: list[str] = []
        demos: list[Demo] = []
        pending: str | None = None
        for index, turn in enumerate(turns):
            spans = self.spans(turn.text)
            if turn.role == "assistant":
                if pending is not None:
                    demos.append(Demo(pending, last_field(turn.text), True))
                pending = None
                continue
            if spans and index != frame and turn.role == "user":
                pending = turn.text[slice(*spans[-1])]
                continue
            cursor = 0
            for number, (start, end) in enumerate(spans):
                following = spans[number + 1][0] if number + 1 < len(spans) else len(turn.text)
                answer = self.inline_answer(turn.text[end : min(following, end + _INLINE_ANSWER_CHARS)])
                if answer is not None:
                    demos.append(Demo(turn.text[start:end], answer, False))
                kept.append(turn.text[cursor:start])
                cursor = end
            kept.append(turn.text[cursor:].replace(ROW_MARK, "\n"))
        return "\n".join(kept), tuple(demos)


@lru_cache(maxsize=4096)
def _facts(world: World, row: str) -> Any:
    return world.parse(row)


@lru_cache(maxsize=512)
def _study(world: World, turns: tuple[Turn, ...], frame: int) -> Prompted:
    def guidance(kept: Sequence[Turn], at: int) -> Guidance:
        text, demos = world.gather(kept, at)
        return world.study(text, demos)

    offset = sum(turn.role == "system" for turn in turns[:frame])
    users = tuple(turn for turn in turns if turn.role != "system")
    whole = guidance(turns, frame)
    without = guidance(users, frame - offset) if offset else whole
    return Prompted(whole, without, tokens_of(turns) - count_tokens(ROW_MARK))
