"""DSPy's SIMBA: from rows whose sampled answers differ most, a demo is added or a rule is written.

Each step samples several answers to a minibatch of train rows, sorts the rows by how much the answers differ
in score, and for the most varied ones appends the good answer as a demo, or advice that the reflection model
writes from the good and the bad answer. (There is no paper; see dspy.ai/api/optimizers/SIMBA.)

Where it cannot hold the rules of a strategy, and what is done:

- It samples one LM several times at temperature 1; here a (Variant, row) is evaluated once. Samples are
  Variants of the same prompt at temperatures 1.0, 0.9, ..., where the temperature may be set (the original
  sets one, or ``may_change`` names it); elsewhere all samples of one prompt are the same answer, and it
  learns only from the differences between prompts.
- It plans in steps. A step starts only if its worst case fits in the calls that are left, so its final
  evaluation is not reached; the comparison of the exported prompts on validation rows stands for it.
- It takes a row without an outcome for 0. Such rows count as the original's mean, and no advice is asked for
  from them.
- It judges on the train rows that its demos are from. Only validation rows decide here.
- It appends rules to the instructions. They have a slot before the input, so rules never follow the input.
"""

from __future__ import annotations

from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.strategies._optimizer import THREADS, Session, optimise

_STEPS = 1000
"""More than any budget pays."""
_IDLE = 3


class Simba:
    """See the module's text."""

    name = "simba"
    deterministic = True
    changes = frozenset({"instructions", "demos"})

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        return optimise(problem, self.name, _compile, changes=self.changes, share=0.3)


def _compile(session: Session) -> None:
    import dspy

    from promptmigrate.search.dspy_bridge import Sampling

    problem = session.run.problem
    samples = 3 if session.left < 600 else 6
    batch = min(len(session.run.train), max(2, min(32, session.left // 25)))
    step = (2 * samples + 1) * batch * problem.calls_per_row + samples + 1
    spent: list[int] = []

    def another_step() -> None:
        session.measurer.need(step)
        spent.append(session.run.table.calls)
        if len(spent) > _IDLE and spent[-1] == spent[-_IDLE - 1]:
            session.run.stop("exhausted", f"{_IDLE} steps of simba had nothing new to measure")
            session.measurer.need(problem.calls + 1)

    hot = "temperature" in problem.may_change or "temperature" in problem.original.params
    session.student.set_lm(Sampling(another_step, hot=hot))
    optimizer = dspy.SIMBA(
        metric=session.feedback,
        bsize=batch,
        num_candidates=samples,
        max_steps=_STEPS,
        max_demos=4 if session.demos else 0,
        prompt_model=session.lm,
        num_threads=min(THREADS, batch * samples),
    )
    optimizer.compile(session.student, trainset=session.train(len(session.run.train)), seed=session.seed)
