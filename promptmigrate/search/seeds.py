"""Candidates that cost no reflection: contract, step-by-step, placement and demos on the original prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from promptmigrate import template
from promptmigrate.search import demos as demo_choice
from promptmigrate.search.anatomy import Anatomy, Candidate, Demo
from promptmigrate.search.base import Problem
from promptmigrate.search.contract import Contract
from promptmigrate.search.given import given
from promptmigrate.types import Example

DEMO_COUNTS = (8, 4, 2)
"""Sizes of demo sets, in the order in which they are tried."""


class Seeds:
    """Builds seed candidates for one problem."""

    def __init__(self, problem: Problem, anatomy: Anatomy, contract: Contract | None) -> None:
        self._problem = problem
        self.anatomy = anatomy
        self.contract = contract
        self.usable = demo_choice.usable(problem.train)
        self.given = given(problem)
        self._weights = Counter(
            " ".join(template.as_text(e.expected).split()).lower()
            for e in (*problem.train, *problem.validation)
            if e.expected is not None
        )

    @property
    def worked(self) -> bool:
        """Whether answers come from working: numbers, or production shows its working."""
        return self.contract is not None and (self.contract.kind == "number" or self.contract.form.works)

    def original(self) -> Candidate:
        """The original prompt as it is."""
        return Candidate(
            anatomy=self.anatomy,
            base=self._problem.original,
            instructions=self.anatomy.instructions,
            origin="original",
        )

    def demos(self, count: int, *, prefer: Sequence[str] = (), draw_seed: int = 0) -> tuple[Demo, ...]:
        """``count`` demos, at most half of the train rows: the others have to show failures."""
        count = min(count, max(1, len(self._problem.train) // 2))
        return demo_choice.choose(
            self.usable, count, seed=self._problem.seed + draw_seed, prefer=prefer, weights=self._weights
        )

    def first(self) -> list[Candidate]:
        """Prompts that the user gave, the contract, and step by step where answers come from working."""
        original, contract = self.original(), self.contract
        if "instructions" not in self._problem.may_change:
            return []
        seeds = [*self.given]
        if contract:
            seeds.append(
                original.but(instructions=_add(original.instructions, contract.rules), origin="contract")
            )
            if self.worked:
                seeds += self.stepped()
        return seeds

    def second(self, best: Candidate, *, form: bool, wrong: bool) -> list[Candidate]:
        """What the failures of the ``best`` so far call for.

        ``form``: answers still miss the form, as they do where a model does not heed its system message or
        old wording pulls against the contract. ``wrong``: answers have the form but are wrong.
        """
        contract = self.contract
        if "instructions" not in self._problem.may_change or contract is None:
            return []
        seeds: list[Candidate] = []
        ruled = best
        if best.key == self.original().key:
            ruled = best.but(instructions=_add(best.instructions, contract.rules), origin="contract")
        if form and self.anatomy.chat_slot and "format" in self._problem.may_change:
            seeds.append(ruled.but(placement="user", origin=f"{ruled.origin}, in the user turn"))
        start = self.anatomy.instructions.strip().split("\n\n")[0]
        if form and start and start != self.anatomy.instructions.strip():
            seeds.append(
                ruled.but(instructions=_add(start, contract.rules), origin="first paragraph + contract")
            )
        if wrong and not best.steps:
            seeds += self.stepped()
        return seeds

    def stepped(self) -> list[Candidate]:
        """The original with the contract that asks for working first; none where that makes no sense."""
        original, contract = self.original(), self.contract
        if contract is None or contract.steps is None or contract.steps == contract.rules:
            return []
        text = _add(original.instructions, contract.steps)
        return [original.but(instructions=text, origin="contract, step by step", steps=True)]

    def shots(self, base: Candidate, limit: int) -> list[Candidate]:
        """``base`` with demos, up to ``limit`` sizes."""
        if "demos" not in self._problem.may_change or base.steps:
            return []
        sets = {len(demos): demos for count in DEMO_COUNTS if (demos := self.demos(count))}
        return [
            base.but(demos=demos, origin=f"{base.origin} + {size} demos")
            for size, demos in list(sets.items())[:limit]
        ]


def _add(instructions: str, addition: str) -> str:
    return f"{instructions.rstrip()}\n\n{addition}".lstrip()


def own_demos(passed: Sequence[tuple[Example, str]], count: int, *, seed: int) -> tuple[Demo, ...]:
    """Demos with the model's own right answers: where working is asked for, bare answers would be wrong."""
    rows = [
        (example, Demo(example=example.id, inputs=dict(example.inputs), answer=text))
        for example, text in passed
        if text.strip()
        and all(map(template.is_literal, [text, *map(template.as_text, example.inputs.values())]))
    ]
    return demo_choice.choose(rows, count, seed=seed)
