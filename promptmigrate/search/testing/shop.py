"""A toy task for the contract: a model that sorts short notes, and a reflection model that may misbehave."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from promptmigrate.errors import BudgetExceeded
from promptmigrate.search.base import Problem
from promptmigrate.types import Example, Outcome, Prompt, Reply, Request, Variant
from scorers import Score

CHAT = Prompt.of(
    [
        {"role": "system", "content": "You keep the shelves of a small shop.\nSay where a note belongs."},
        {"role": "user", "content": "Note: {{note}}\nShelf:"},
    ]
)
TEXT = Prompt.of("Say on which shelf of the shop a note belongs.\n\nNote: {{note}}\nShelf:")
TWO = Prompt.of(
    [
        {"role": "system", "content": "Say where a note belongs. Notes are written in {{tongue}}."},
        {"role": "user", "content": "Earlier note: {{note}}"},
        {"role": "assistant", "content": "Understood."},
        {"role": "user", "content": "Note: {{note}}\nTongue: {{tongue}}\nShelf:"},
    ]
)
_WORDS = re.findall(
    r"\w+",
    "paper lamp brush candle ribbon copper basket willow marble feather saddle lantern anchor barrel "
    "walnut pepper cotton needle mirror bucket ladder hammer kettle pillow carpet",
)
_SHELVES = ("north", "south", "east")
_KNOWN = {"ink": "north", "soap": "south", "rope": "east", "wax": "north"}
_LORE = {"gromet": "south", "tansy": "east"}
OUTAGE = "UPSTREAM-OUTAGE-17"
"""The error text of calls that fail."""


def _chance(*parts: object) -> float:
    raw = "|".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(raw).digest()[:6], "big") / 2**48


class Answers:
    """What one evaluation of the toy shop gives."""

    def __init__(self, cells: dict[tuple[str, str], Outcome]) -> None:
        self._cells = cells

    def outcome(self, variant: Variant, example: Example, repeat: int = 0) -> Outcome | None:
        """As :class:`promptmigrate.search.Measured`."""
        return self._cells.get((variant.digest, example.id)) if repeat == 0 else None

    def quality(self, variant: Variant, example: Example) -> float | None:
        """As :class:`promptmigrate.search.Measured`."""
        outcome = self.outcome(variant, example)
        return outcome.scores[0].value if outcome is not None and outcome.scores else None


class Shop:
    """A toy task with its target model and its reflection model; counts what it is asked.

    Args:
        prompt: The original prompt.
        write: Gives the text of the reflection model's new instructions from (original instructions, a
            number that depends on the request); None instead of a text is a failed call.
        raw: Whether that text is the whole reply, without the form that was asked for.
        broken: Share of task calls that fail.
        limit: Calls after which BudgetExceeded is raised.
        expert: Whether the model knows everything and answers in the right form.
        backwards: Whether rows are worked on in the other order, which must not matter.
    """

    def __init__(
        self,
        prompt: Prompt = CHAT,
        *,
        write: Callable[[str, int], str | None] | None = None,
        raw: bool = False,
        broken: float = 0.0,
        limit: int | None = None,
        expert: bool = False,
        backwards: bool = False,
        rows: int = 14,
        calls_per_row: int = 1,
    ) -> None:
        self.original = Variant(
            prompt=prompt, model="toy/clerk", params={"temperature": 0}, origin="original"
        )
        self.train = tuple(self._row("train", i) for i in range(rows))
        self.validation = tuple(self._row("validation", i) for i in range(rows))
        self.calls = 0
        self.reflections = 0
        self.requests: list[str] = []
        self.strangers: set[str] = set()
        """Rows asked for that are neither train nor validation rows."""
        self.given: dict[tuple[str, str], float | None] = {}
        """Qualities that were handed out."""
        self._write, self._raw = write or better, raw
        self._broken, self._limit, self._expert = broken, limit, expert
        self._backwards, self._calls_per_row = backwards, calls_per_row
        self._lock = threading.Lock()

    def problem(self, calls: int, **changes: Any) -> Problem:
        """The problem of this shop, with ``calls`` to spend."""
        problem = Problem(
            original=self.original,
            train=self.train,
            validation=self.validation,
            evaluate=self.evaluate,
            reflect=self.reflect,
            reflection_model="toy/editor",
            calls_per_row=self._calls_per_row,
            calls=calls,
        )
        return replace(problem, **changes)

    def evaluate(self, variants: Sequence[Variant], examples: Sequence[Example]) -> Answers:
        """As ``Problem.evaluate``."""
        cells = {}
        for variant in variants:
            for row in reversed(examples) if self._backwards else examples:
                self._count(self._calls_per_row)
                cells[variant.digest, row.id] = self._outcome(variant, row)
        known = {row.id for row in (*self.train, *self.validation)}
        answers = Answers(cells)
        with self._lock:
            self.strangers.update(row.id for row in examples if row.id not in known)
            self.given.update({(v.digest, e.id): answers.quality(v, e) for v in variants for e in examples})
        return answers

    def reflect(self, request: Request) -> Reply:
        """As ``Problem.reflect``: answers a plain request by a fenced text, DSPy's by its fields."""
        text = "\n".join(message["content"] for message in request.messages)
        self._count(1)
        with self._lock:
            self.reflections += 1
            self.requests.append(text)
        new = self._write(self._instructions(), int(_chance(text, request.repeat) * 1000))
        if new is None:
            return Reply(kind="provider_error", error=OUTAGE)
        return Reply(kind="ok", text=new if self._raw else _in_form(text, new))

    def true_quality(self, variant: Variant) -> float:
        """Mean quality over the validation rows, where no call fails."""
        scores = [self._score(row, self._answer(variant, row)) for row in self.validation]
        return sum(scores) / len(scores)

    def scored(self, variant: Variant) -> list[float]:
        """Qualities that were handed out for ``variant`` on validation rows."""
        found = (self.given.get((variant.digest, row.id)) for row in self.validation)
        return [quality for quality in found if quality is not None]

    def _row(self, kind: str, number: int) -> Example:
        things = list({**_KNOWN, **_LORE})
        thing = things[int(_chance(kind, "thing", number) * len(things))]
        rest = [_WORDS[int(_chance(kind, number, i) * len(_WORDS))] for i in range(11)]
        note = " ".join([*rest[:5], thing, *rest[5:], f"{kind}{number}"])
        inputs = {name: note if name == "note" else "English" for name in self.original.prompt.variables}
        return Example(id=Example.content_id(inputs), inputs=inputs, reference={**_KNOWN, **_LORE}[thing])

    def _instructions(self) -> str:
        return self.original.prompt.messages[0].content.split("\n\n")[0]

    def _count(self, number: int) -> None:
        with self._lock:
            if self._limit is not None and self.calls + number > self._limit:
                raise BudgetExceeded(f"{self._limit} calls are spent")
            self.calls += number

    def _outcome(self, variant: Variant, row: Example) -> Outcome:
        if _chance("down", variant.digest, row.id) < self._broken:
            reply = Reply(kind="timeout", error=OUTAGE)
            return Outcome(variant=variant.digest, example=row.id, repeat=0, reply=reply)
        text = self._answer(variant, row)
        value = self._score(row, text)
        said = "" if value == 1 else f"expected {row.reference}"
        return Outcome(
            variant=variant.digest,
            example=row.id,
            repeat=0,
            reply=Reply(kind="ok", text=text, input_tokens=len(str(variant.prompt)) // 4, output_tokens=9),
            scores=(Score(name="shelf", value=value, rationale=said),),
        )

    def _answer(self, variant: Variant, row: Example) -> str:
        if self._expert:
            return str(row.reference)
        turns = [dict(m) for m in variant.prompt.render(row.inputs)]
        *before, last = [t["content"] for t in turns]
        note = str(row.inputs["note"]).split()
        thing = next(word for word in note if word in _KNOWN or word in _LORE)
        shelf = _KNOWN.get(thing, "north")
        shown = [(q, a) for q, a in pairwise(before) if a in _SHELVES]
        told = re.search(rf"{thing} goes (\w+)", "\n".join(t["content"] for t in turns))
        shelf = next((a for q, a in shown if thing in q), told[1] if told else shelf)
        heat = float(variant.params.get("temperature") or 0)
        short = shown or "only the shelf" in "\n".join([*before, last]) or _chance(heat, thing) < heat / 2
        return shelf if short else f"It belongs on the {shelf} shelf."

    def _score(self, row: Example, text: str) -> float:
        return 1.0 if text == row.reference else 0.5 * (str(row.reference) in text)


def better(instructions: str, number: int) -> str:
    """What a good reflection model writes: the form of the answer, and one thing that the clerk lacks."""
    thing = sorted(_LORE)[number % len(_LORE)]
    return f"{instructions}\nA {thing} goes {_LORE[thing]}. Answer with only the shelf."


def _in_form(request: str, text: str) -> str:
    wanted = re.search(r"starting with the field (.*?)and then ending with", request, re.DOTALL)
    if wanted is None:
        return f"Something is missing.\n\n```\n{text}\n```"
    filled = []
    for name in re.findall(r"\[\[ ## (\w+) ## \]\]", wanted[1]):
        value = json.dumps({"predict": text}) if "advice" in name else text
        filled.append(
            f"[[ ## {name} ## ]]\n{value if re.search('advice|instruction', name) else 'Short notes.'}"
        )
    return "\n\n".join([*filled, "[[ ## completed ## ]]"])
