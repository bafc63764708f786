"""Random search over material that costs nothing to make: the honest baseline.

A candidate is the original prompt, one given by the user, or one with the contract mined from production's
answers, with a random number of random worked examples from train rows, in a random placement. All are
evaluated on the same validation rows and the best wins. No reflection model is asked. A strategy that does
not beat it at the same number of calls is not worth its reflection model.

The same demo counts and the same contract are what ``reflective`` starts from; here chance alone chooses.
"""

from __future__ import annotations

from collections.abc import Iterator

from promptmigrate.search.anatomy import Candidate, Demo
from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.contract import mine
from promptmigrate.search.demos import usable
from promptmigrate.search.seeds import Seeds
from promptmigrate.search.strategies._run import Run, conduct
from promptmigrate.search.text import draw

_DRAWS = 400
_DEMOS = (0, 1, 2, 4, 8)


class Random:
    """See the module's text."""

    name = "random"
    deterministic = True
    changes = frozenset({"instructions", "demos", "format"})
    reflects = False

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        run = Run(problem, self.name)
        return conduct(run, _propose, changes=self.changes, train=False)


def _propose(run: Run) -> None:
    for candidate in _drawn(run):
        if candidate.key in run.candidates or not run.admit(candidate):
            continue
        if run.table.left - run.reserve < len(run.screen) * run.problem.calls_per_row:
            run.stop(
                "budget", f"after {run.table.calls} of {run.problem.calls} calls another draw does not fit"
            )
            return
        run.table.measure([candidate], run.screen)
    run.stop("exhausted", "there is nothing else to combine")


def _drawn(run: Run) -> Iterator[Candidate]:
    problem = run.problem
    contract = mine((*problem.train, *problem.validation))
    seeds = Seeds(problem, run.original.anatomy, contract)
    wanted = set(run.original.prompt.variables)
    bases = [run.original, *(seed for seed in seeds.first() if set(seed.prompt.variables) == wanted)]
    rows = [demo for _, demo in usable(problem.train)] if "demos" in problem.may_change else []
    for number in range(_DRAWS):

        def pick(what: str, choices: int, number: int = number) -> int:
            return draw(problem.seed, "random", number, what) % choices

        base = bases[pick("base", len(bases))]
        moves = "format" in problem.may_change and base.anatomy.chat_slot
        yield base.but(
            demos=_demos(rows, _DEMOS[pick("count", len(_DEMOS))], (problem.seed, "random", number)),
            placement="user" if moves and pick("place", 2) else base.placement,
            origin="",
        )


def _demos(rows: list[Demo], count: int, draws: tuple[object, ...]) -> tuple[Demo, ...]:
    return tuple(sorted(rows, key=lambda demo: draw(*draws, demo.example))[:count])
