"""Why a search ends; above all whether production's quality can be reached, said when it shows.

Three things put it out of reach: no rewrite mends anything and the best seed is not even halfway (see
:attr:`promptmigrate.search.state.State.hopeless`); the pace of late would end far below; or a call costs or
takes more than the gate allows, whatever the prompt.
"""

from __future__ import annotations

import math
from statistics import mean, median, stdev

from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.state import FRESH_FROM, State
from promptmigrate.search.text import tokens_of

FAR = 0.15
"""A best that stays so far below the goal counts as out of reach."""
_SPENT = 0.25
"""Share of the calls before which a pace is no pace."""
_BACK = 2 / 3
"""The pace is taken from this share of the calls so far until now."""
_ROWS = 30
"""Validation rows from which an incumbent's mean is looked at."""
_TRIED = 3
"""Rewrites below which their failure says nothing of the target model, where others came to nothing."""
_SLOWER = 1.25
"""By how much the fastest prompt may be over the limit on latency: the next one may answer shorter."""


class Reach:
    """Looks at a State after its opening and before every round, and stops its story."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._marks: list[tuple[int, float]] = []
        """Calls, and quality of the incumbent at that time."""

    def too_slow(self) -> bool:
        """Stop, and say so, where the incumbent, at the pace of late, would end far below the goal.

        Its quality is taken two standard errors better than it was measured, and a pace is never negative.
        Searches below :data:`promptmigrate.search.state.FRESH_FROM` rows have nothing to save.
        """
        state = self._state
        scored = state.table.scored(state.incumbent, state.validation)
        if state.plan.rows < FRESH_FROM or len(scored) < _ROWS or self._unheard:
            return False
        calls, quality = state.table.calls, sum(scored) / len(scored)
        before = [mark for mark in self._marks if mark[0] <= _BACK * calls]
        self._marks.append((calls, quality))
        if calls < _SPENT * state.problem.calls or not before:
            return False
        error = math.sqrt(max(quality * (1 - quality), 1 / len(scored)) / len(scored))
        gained = max(0.0, quality - before[-1][1]) / (calls - before[-1][0])
        ends = quality + gained * state.table.left
        if ends + 2 * error >= state.goal - FAR:
            return False
        state.story.stop(
            "unreachable",
            f"after {calls} of {state.problem.calls} calls the best prompt is at {quality:.2f} where "
            f"production is at {state.goal:.2f}, and at the pace of late it would end near {ends:.2f}: "
            "this model does not seem to get there by its prompt",
        )
        return True

    def limits(self) -> None:
        """Stop where no prompt can keep to the gate's limits on cost and latency; say where none does yet."""
        self._cost()
        self._latency()

    def end(self, stale: int, *, payable: bool) -> None:
        """Stop after ``stale`` rounds in a row that brought nothing, or where none is ``payable``."""
        state = self._state
        quality = state.table.mean(state.incumbent, state.validation)
        far = quality is not None and quality < state.goal - FAR
        last = "the last round" if stale == 1 else f"the last {stale} rounds"
        rounds = (
            f"no rewrite mended a failure ({state.tried} were tried)"
            if state.hopeless
            else f"{last} of rewriting brought no improvement"
        )
        where = f"the best prompt is at {quality or 0:.2f} where production is at {state.goal:.2f}"
        if self._unheard:
            state.story.stop(
                "no_improvement",
                "no rewrite could be tried: all that was asked of the reflection model was refused, the last "
                f"because {state.refused}{f'; {where}' if far else ''}",
            )
        elif stale < state.plan.patience and not payable:
            state.story.stop(
                "budget",
                f"after {state.table.calls} of {state.problem.calls} calls the rest pays for a last "
                f"comparison only{f'; {where}' if far else ''}",
            )
        elif far and state.refused and state.tried < _TRIED:
            state.story.stop(
                "no_improvement",
                f"only {state.rewrites} rewrite{'s' * (state.rewrites > 1)} could be tried, the last was "
                f"refused because {state.refused}; {where}",
            )
        elif far:
            state.story.stop(
                "unreachable",
                f"{rounds if stale else 'nothing is left to try'} and {where}: this model does not seem to "
                "get there by its prompt",
            )
        elif stale:
            state.story.stop("no_improvement", rounds)
        else:
            state.story.stop("exhausted", "nothing is left to try: train rows show no failures")

    @property
    def _unheard(self) -> bool:
        """Whether the reflection model was asked, and nothing of it could be tried: that says nothing of the
        target model."""
        return bool(self._state.refused) and not self._state.rewrites

    def told(self, best: Candidate) -> str:
        """The reason, and whether ``best`` is one that the gate has to refuse."""
        state = self._state
        why = state.story.why or "the search ended"
        over = not state.allowed(best)
        within = (
            "by mean cost and latency on the rows of the search, no prompt was found within the gate's limits"
        )
        return f"{why}; {within}" if over else why

    def _cost(self) -> None:
        state = self._state
        limit, rows = state.problem.max_cost_usd, [*state.train, *state.validation]
        known = {c.key: cost for c in self._measured() if (cost := state.table.cost(c, rows)) is not None}
        if limit is None or not known or min(known.values()) <= limit:
            return
        least = min(self._least(state.archive[key]) for key in known)
        found = (
            f"a call costs ${min(known.values()):.3g} with the cheapest of {len(known)} prompts where the "
            f"gate allows ${limit:.3g}"
        )
        if least > limit:
            state.story.stop(
                "unreachable",
                f"{found}, and at least ${least:.3g} without any instructions: no prompt can keep to "
                "gate.guardrails.cost_ratio",
            )
        else:
            state.problem.log(f"{found}: only a shorter prompt can pass")

    def _least(self, candidate: Candidate) -> float:
        """What its answers would cost at least without instructions and demos, at the mean price of its
        tokens, two standard errors granted: a few rows may happen to be long ones.

        Output tokens cost at least as much as input tokens, so it is no less than that.
        """
        cells = self._state.table.cells(candidate, [*self._state.train, *self._state.validation])
        costs = [cell.cost_usd for cell in cells if cell.cost_usd is not None]
        tokens = sum(cell.tokens for cell in cells) / len(cells)
        text = tokens_of(candidate.prompt) - tokens_of(candidate.but(instructions="", demos=()).prompt)
        surely = mean(costs) - 2 * stdev(costs) / math.sqrt(len(costs)) if len(costs) > 1 else 0.0
        return max(0.0, surely) * (1 - min(1.0, text / tokens)) if tokens else 0.0

    def _latency(self) -> None:
        """By medians: where half of the calls take longer than the gate allows for the slowest in twenty, no
        luck with rows explains it. What is less far off may be a matter of a few slow calls.
        """
        state = self._state
        limit, rows = state.problem.max_p95_latency_s, [*state.train, *state.validation]
        cells = [state.table.cells(candidate, rows) for candidate in self._measured()]
        seconds = [[cell.latency_s for cell in each if cell.latency_s is not None] for each in cells]
        known = [median(each) for each in seconds if each]
        if limit is None or not known or min(known) <= limit:
            return
        found = (
            f"half of the calls take {min(known):.3g} s or more with the fastest of {len(known)} prompts "
            f"where the gate allows {limit:.3g} s for 19 in 20: "
        )
        if min(known) > _SLOWER * limit:
            state.story.stop("unreachable", f"{found}no prompt makes this model so much faster")
        else:
            state.problem.log(f"{found}only one with shorter answers can pass")

    def _measured(self) -> list[Candidate]:
        state = self._state
        rows = [*state.train, *state.validation]
        return [c for c in state.archive.values() if len(state.table.scored(c, rows)) >= state.plan.block]
