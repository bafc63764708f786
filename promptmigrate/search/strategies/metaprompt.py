"""Zero-shot rewriting: the reflection model writes the prompt anew from the prompt alone, several times.

What vendors' "improve this prompt" buttons and MLflow's metaprompt optimizer do; the resampling of APE
(arXiv 2211.01910) without its scores. It sees no row, no answer and no failure. What it wrote is compared
with the original on validation rows.

A handful of calls are asked of the reflection model; all others are task calls of the comparison.
"""

from __future__ import annotations

from promptmigrate import template
from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.strategies._run import Run, conduct

_MOST = 6
_MANNERS = (
    "Rewrite the instructions so that they are clear and complete: say what the task is, what the input is, "
    "and exactly what the answer has to look like.",
    "Rewrite the instructions as short numbered rules, the most important first, and end with the form of "
    "the answer.",
    "Rewrite the instructions for a smaller model: plain words, one requirement in a sentence, nothing left "
    "to be guessed.",
    "Rewrite the instructions with the steps that a careful person would take to answer, and say that the "
    "answer holds nothing but the result.",
    "Shorten the instructions to what the answer depends on; leave out everything else.",
    "Keep the meaning of the instructions and say it in other words.",
)


class Metaprompt:
    """See the module's text."""

    name = "metaprompt"
    deterministic = True
    changes = frozenset({"instructions"})

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        return conduct(Run(problem, self.name, share=0.3), _propose, changes=self.changes, train=False)


def _propose(run: Run) -> None:
    from promptmigrate.search import proposers

    problem, base = run.problem, run.base
    lm = proposers.reflection_lm(problem)
    for manner in _MANNERS[:_MOST]:
        cost = 1 + run.table.missing([base.but(instructions="")], run.screen) * problem.calls_per_row
        if run.table.left - run.reserve < cost:
            run.stop(
                "budget", f"after {run.table.calls} of {problem.calls} calls another rewrite does not fit"
            )
            return
        run.table.charge(1)
        reply = proposers.ask(lm, _request(run, manner))
        if reply is None:
            continue
        proposal = base.but(instructions=base.anatomy.instructions_in(reply[0]), origin="")
        if run.admit(proposal):
            run.table.measure([proposal], run.screen)


def _request(run: Run, manner: str) -> dict[str, str]:
    anatomy = run.base.anatomy
    kept = ", ".join(f"{{{{{name}}}}}" for name in template.variables(anatomy.instructions))
    braces = f"Keep the placeholders {kept}" if kept else "Write no placeholders in braces"
    return {
        "tried": run.refusals,
        "current_instructions": anatomy.instructions,
        "fixed_part": anatomy.frame,
        "assignment": f"{manner} {braces}.",
    }
