"""The joint search for the prompts of a program: component by component, the others held at their best.

Coordinate ascent over prompts, as DSPy's GEPA does with a program's predictors (arXiv 2507.19457), with a
whole search of any strategy in the place of one mutation. A component is measured by the program as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from promptmigrate.config import Config
from promptmigrate.errors import BudgetExceeded
from promptmigrate.evaluate import Evaluation, Evaluator, ProgramRunner
from promptmigrate.lm import Door
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.prepare import Ready
from promptmigrate.pipeline.program_view import Habits, View, habits
from promptmigrate.pipeline.searching import engine_on, goal
from promptmigrate.search import FrontPoint, Generation, Problem, SearchResult, run_strategy, strategy
from promptmigrate.types import Example, Prompt, Variant

_LEAST_ROWS = 10
"""Rows that a search of one component must have, and be able to pay."""
_RECORDING_SHARE = 3
"""Of a component's calls, one in so many may go into learning what it is asked with."""


@dataclass(kw_only=True)
class JointSearch:
    """One joint search; :meth:`run` it once."""

    config: Config
    """With one target."""
    ready: Ready
    production: Variant
    original: Variant
    """The program's old prompts on the target model."""
    runner: ProgramRunner
    evaluator: Evaluator
    door: Door
    plan: Plan
    say: Listener
    known: Evaluation | None
    """What was measured of ``original``, paid from the search's calls."""
    target: int = 0
    prompts: dict[str, list[Prompt]] = field(default_factory=dict)
    """Component -> further prompts to start from."""
    study: str | None = None
    max_cost_usd: float | None = None
    """What a row may cost at most on average, as far as the gate limits it."""

    def __post_init__(self) -> None:
        components = self.ready.components
        assert components is not None, "a joint search is for a program"
        self._names = tuple(components.prompts)
        self._judges = self.plan.calls_per_row - components.calls
        self._best = self.original
        self._done: dict[str, str] = {}
        self._results: list[tuple[str, SearchResult, View]] = []
        self._stopped: dict[str, str] = {}
        self._goal = goal(
            self.config,
            self.ready.dataset,
            self.original,
            self.evaluator,
            replace(self.plan, calls_per_row=1 + self._judges),
        )
        self._engine = engine_on(self.door, self.config, self.say)
        self._left = self.plan.search_calls
        if self.known is not None:
            self._left -= len(self.known.outcomes) * self.plan.calls_per_row

    def run(self) -> SearchResult:
        """The best prompts found: rounds over the components, until one brings nothing or the calls end."""
        number, exceeded = 1, None
        self.door.limit(self.plan.search_budget(self.config, self.target), part="the search")
        try:
            # The first round had a part of the calls: if it brought nothing, more of them may.
            while self._round(number) or number == 1:
                number += 1
        except BudgetExceeded as error:
            exceeded = f"the budget was exceeded: {error}"
        finally:
            self.door.limit(self.config.budget)
        return self._result(exceeded)

    def _round(self, number: int) -> bool:
        """Search for each component once; whether any prompt changed."""
        before = self._best.digest
        order = self._order()
        for place, name in enumerate(order):
            if self._done.get(name) == self._best.digest:
                continue  # nothing that it depends on has changed since, and its search had ended by itself
            self._component(name, self._left // (len(order) - place + self._kept(order, number)), number)
        return self._best.digest != before

    @staticmethod
    def _kept(order: Sequence[str], number: int) -> int:
        """Shares that the first round leaves to the second: while a later prompt is broken, what an earlier
        one could gain does not show, and while an earlier one is, a later one is fitted to bad inputs."""
        return len(order) // 2 if number == 1 else 0

    def _order(self) -> list[str]:
        """As the program asks them; those that it was not seen to ask last."""
        seen = {name: habits(self.runner, name, self.production) for name in self._names}
        unseen = len(self._names) + max((use.place for use in seen.values() if use), default=0)
        return sorted(
            self._names,
            key=lambda name: (use.place if (use := seen[name]) else unseen, self._names.index(name)),
        )

    def _seldom(self, name: str, base: Variant) -> bool:
        """Whether the runs of ``base`` show that it asks the component on too few rows."""
        runs = [ran for variant, ran in self.runner.runs if variant == base.digest]
        asked = sum(ran.first(name) is not None for ran in runs)
        rows = len(self.ready.dataset.split("validation"))
        return len(runs) >= _LEAST_ROWS and asked * rows < _LEAST_ROWS * len(runs)

    def _component(self, name: str, share: int, number: int) -> None:
        use = habits(self.runner, name, self.production)
        may = self._may_change(use)
        if use is None or not may:
            self._stop(name, "the program did not ask it" if use is None else "nothing of it may change")
            return
        per_row = use.after + self._judges
        if share < _LEAST_ROWS * per_row:
            self._stop(name, f"{share} calls are too few to change it")
            return
        self.say.stage(f"Search: {self.config.search.strategy}, prompt {name}, round {number}")
        before = self._left
        rows = self._rows(name, use, share)
        share -= before - self._left
        if rows is None:
            self._stop(name, "the program asks it on too few rows to tell prompts apart")
            return
        view, train, validation = rows
        self.say.note(
            f"{name}: {len(train)} train and {len(validation)} validation rows, {per_row} calls each"
            + ("; it gives the answer" if use.final else "; an earlier step, so without demos")
        )
        found = run_strategy(
            strategy(self.config.search.strategy),
            Problem(
                original=view.original,
                train=train,
                validation=validation,
                evaluate=view.evaluate,
                reflect=self.door.complete,
                reflection_model=self.config.reflection_model,
                dspy_lm=self._engine,
                calls_per_row=per_row,
                calls=share,
                known=view.known([*view.rows.values()]),
                may_change=may,
                max_prompt_tokens=self.config.search.max_prompt_tokens,
                # Another draw in each round: the same proposals for the same prompt would teach nothing.
                seed=self.config.search.seed + number - 1,
                prompts=tuple(self.prompts.get(name, ())),
                # What buys nothing beside prompts that are still broken may be needed later.
                minimise=self.config.search.minimise and number > 1,
                study=self.study,
                goal=self._goal,
                max_cost_usd=self.max_cost_usd,
                price_of=self.door.price,
                log=self.say.note,
            ),
        )
        self._left -= found.calls
        self._stop(name, found.stopped)
        self._results.append((name, found, view))
        changed = found.best.prompt != view.base.components[name]
        if changed:
            joint = self._best.having(name, found.best.prompt)
            self._best = replace(joint, origin=self._origin(name, found.best))
        if found.code == "perfect" or (number > 1 and not changed and found.code != "budget"):
            self._done[name] = self._best.digest

    def _rows(
        self, name: str, use: Habits, share: int
    ) -> tuple[View, tuple[Example, ...], tuple[Example, ...]] | None:
        """The component with its train and validation rows, beside the present prompts. Where these hardly
        ask it (a repair, when little is left to be repaired), beside production's."""
        present = self._best.components[name]
        for base in dict.fromkeys([self._best.digest, self.original.digest]):
            program = self._best if base == self._best.digest else self.original.having(name, present)
            if self._seldom(name, program):
                continue
            splits, cost = self._affordable(program, use, share)
            self._left -= cost
            share -= cost
            rows = [row for split in splits for row in split]
            variables = self.runner.variables(program, rows, name)
            view = View(
                base=program,
                component=name,
                final=use.final,
                rows={row.id: row for row in rows},
                evaluator=self.evaluator,
                runner=self.runner,
            )
            train, validation = (view.examples(split, variables) for split in splits)
            if train and len(validation) >= _LEAST_ROWS:
                return view, train, validation
        return None

    def _may_change(self, use: Habits | None) -> frozenset[str]:
        """What of a component may change: not the temperature, since all share the parameters; and demos
        only where the right answers are known."""
        without = {"temperature"} if use is None or use.final else {"temperature", "demos"}
        return frozenset(self.config.search.may_change) - without

    def _affordable(
        self, base: Variant, use: Habits, share: int
    ) -> tuple[tuple[Sequence[Example], Sequence[Example]], int]:
        """Train and validation rows of which it can be learnt what the component is asked with, and the
        calls that this takes: rows that ran with the prompts of ``base`` are known."""
        splits = (self.ready.dataset.split("train"), self.ready.dataset.split("validation"))
        if not use.before:
            return splits, 0
        total = sum(map(len, splits))
        payable = share // _RECORDING_SHARE // use.before
        chosen, cost = [], 0
        for split in splits:
            known = [row for row in split if self.runner.ran(base, row) is not None]
            others = [row for row in split if self.runner.ran(base, row) is None]
            more = others[: payable * len(split) // total]
            chosen.append([*known, *more])
            cost += len(more) * use.before
        return (chosen[0], chosen[1]), cost

    def _origin(self, name: str, found: Variant) -> str:
        kept = [part for part in self._best.origin.split("; ") if ": " in part]
        return "; ".join(
            [*(part for part in kept if not part.startswith(f"{name}: ")), f"{name}: {found.origin}"]
        )

    def _stop(self, name: str, why: str) -> None:
        self._stopped[name] = why
        self.say.note(f"{name}: {why}")

    # -- the end -----------------------------------------------------------------------------------------

    def _result(self, exceeded: str | None) -> SearchResult:
        rows = self.ready.dataset.split("validation")
        best, before = (self.evaluator.known(variant, rows) for variant in (self._best, self.original))
        stopped = [f"{name}: {why}" for name, why in self._stopped.items()] + ([exceeded] if exceeded else [])
        codes = [found.code for _, found, _ in self._results]
        summary = best.summary(self._best)
        return SearchResult(
            best=self._best,
            quality=summary.quality,
            baseline=before.mean_quality(self.original),
            front=self._front(),
            generations=self._generations(),
            stopped="; ".join(stopped),
            code="budget" if exceeded or not codes else codes[-1],
            calls=self.plan.search_calls - self._left,
            rows=summary.rows,
            facts=tuple(
                dict.fromkeys(f"{name}: {fact}" for name, found, _ in self._results for fact in found.facts)
            ),
        )

    def _front(self) -> tuple[FrontPoint, ...]:
        """That of the last search: the earlier ones were measured beside prompts that have changed since."""
        if not self._results:
            return ()
        _, found, view = self._results[-1]
        return tuple(replace(point, variant=view.joint(point.variant)) for point in found.front)

    def _generations(self) -> tuple[Generation, ...]:
        rounds: list[Generation] = []
        used = 0
        for _, found, view in self._results:
            rounds += [
                replace(
                    generation,
                    index=len(rounds) + place,
                    best=view.joint(generation.best),
                    calls=used + generation.calls,
                )
                for place, generation in enumerate(found.generations)
            ]
            used += found.calls
        return tuple(rounds)
