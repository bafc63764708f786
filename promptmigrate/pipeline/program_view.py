"""One component of a program, seen as a prompt of its own: what strategies get to work on.

Its rows have what the component is asked with as inputs. What is measured is the program as a whole with the
component's prompt changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptmigrate.evaluate import Evaluation, Evaluator, ProgramRunner
from promptmigrate.types import Example, Outcome, Variant

FINAL_SHARE = 0.5
"""A component gives the answer if on more than this share of its rows its answer is the program's."""
_STEP = "the program went on with this answer and finally gave: "
_WANTED = "final answer of the whole program"
_UNKNOWN = {"this prompt": "an earlier step of that program; what it should answer itself is not known"}


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How programs were seen to use a component."""

    before: int
    """Most calls that were made before it was first asked."""
    after: int
    """Most calls from then on, its own among them."""
    final: bool
    """Whether its answer is the program's."""
    place: int
    """Earliest place among the calls of a row."""


def habits(runner: ProgramRunner, component: str, production: Variant) -> Habits | None:
    """From all runs so far; None: it was never asked.

    Whether its answer is the program's is read from the runs of ``production`` where there are any with it:
    another model may answer in a form that the program does not take.
    """
    places, ends = [], []
    same: dict[bool, list[bool]] = {True: [], False: []}
    for digest, ran in runner.runs:
        names = [step.component for step in ran.steps]
        if component not in names:
            continue
        first = names.index(component)
        last = next(step for step in reversed(ran.steps) if step.component == component)
        places.append(first)
        ends.append(len(names) - first)
        final = ran.error is None and (last.reply.text or "").strip() == ran.text.strip()
        same[digest == production.digest].append(final)
    if not places:
        return None
    told = same[True] or same[False]
    return Habits(
        before=max(places),
        after=max(ends),
        final=sum(told) > FINAL_SHARE * len(told),
        place=min(places),
    )


@dataclass(frozen=True, kw_only=True)
class View:
    """A component of ``base``, whose other prompts stay as they are."""

    base: Variant
    component: str
    final: bool
    rows: Mapping[str, Example]
    """Example id -> the program's row."""
    evaluator: Evaluator
    runner: ProgramRunner

    @property
    def original(self) -> Variant:
        """The component's present prompt as a Variant of its own.

        Without the temperature: it belongs to all components, so none may be measured at another one.
        """
        base = self.base
        params = {name: value for name, value in base.params.items() if name != "temperature"}
        return Variant(
            prompt=base.components[self.component], model=base.model, params=params, origin=base.origin
        )

    def joint(self, variant: Variant) -> Variant:
        """The program with the prompt of ``variant``."""
        found = self.base.having(self.component, variant.prompt)
        return replace(found, origin=variant.origin)

    def examples(
        self, rows: Sequence[Example], variables: Mapping[str, Mapping[str, Any]]
    ) -> tuple[Example, ...]:
        """``rows`` as the component sees them; those where it is not asked are left out.

        What an earlier step should have answered is not known: such a row says only what the program as a
        whole should have.
        """
        names = self.base.components[self.component].variables
        found = []
        for row in rows:
            if row.id not in variables:
                continue
            inputs = {name: variables[row.id][name] for name in names}
            seen = replace(row, inputs=inputs)
            if not self.final:
                wanted = {_WANTED: row.expected, **_UNKNOWN}
                seen = replace(seen, reference=None, expectations=wanted)
            found.append(seen)
        return tuple(found)

    def evaluate(self, variants: Sequence[Variant], examples: Sequence[Example]) -> Seen:
        """Measure the program with each of these prompts.

        Raises:
            BudgetExceeded: a call did not fit.
        """
        asked = [self.joint(variant) for variant in variants]
        rows = [self.rows[example.id] for example in examples]
        return Seen(view=self, measured=self.evaluator.run(asked, rows, phase=f"search {self.component}"))

    def known(self, rows: Sequence[Example]) -> Seen:
        """What is measured already of the present prompts."""
        return Seen(view=self, measured=self.evaluator.known(self.base, rows))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An Evaluation of programs, read by the Variants of a component."""

    view: View
    measured: Evaluation

    def quality(self, variant: Variant, example: Example) -> float | None:
        """Quality of the whole program."""
        return self.measured.quality(self.view.joint(variant), example)

    def outcome(self, variant: Variant, example: Example, repeat: int = 0) -> Outcome | None:
        """The whole program's Outcome; for an earlier step with its own answer in front of the program's."""
        joint = self.view.joint(variant)
        outcome = self.measured.outcome(joint, example, repeat)
        if outcome is None or not outcome.reply.answered:
            return outcome
        text = outcome.reply.text or ""
        ran = self.view.runner.ran(joint, self.view.rows[example.id])
        if not self.view.final:
            own = None if ran is None else ran.first(self.view.component)
            answer = (own.reply.text if own else None) or ""
            text = f"{answer}\n\n({_STEP}{outcome.reply.error or text})"
        elif ran is not None and ran.error is not None:
            own = ran.first(self.view.component)
            text = f"{(own.reply.text if own else None) or ''}\n\n({ran.error})"
        return replace(outcome, reply=replace(outcome.reply, text=text))
