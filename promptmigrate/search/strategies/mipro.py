"""DSPy's MIPROv2 (arXiv 2406.11695): demo sets and instructions proposed first, combined by TPE.

It bootstraps demo sets from train rows, lets the reflection model write instructions from a summary of the
data, these demos and a tip, and searches the combinations on minibatches of validation rows, with a full
evaluation of the best every few trials.

Where it cannot hold the rules of a strategy, and what is done:

- It plans in trials, not in calls. As many are asked for as could fit; the budget ends it between two
  evaluations. It fails once every combination has a full evaluation, so few
  combinations get few trials.
- It has no notion of a missing row (an exception is 0). Such rows count as the original's mean, and the
  winner is compared again without them.
- It ignores ``seed=0``: the seed is derived from the problem's and never 0.
- It describes the program's source code to its proposer. There is none worth describing in a single prompt,
  so that is off, which saves two of three calls for a proposal.
- It proposes before anything is measured and never sees a failure.
"""

from __future__ import annotations

from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.strategies._optimizer import Session, optimise

_FULL_EVERY = 5
_BOOTSTRAPPED, _LABELED = 4, 8


class Mipro:
    """See the module's text."""

    name = "mipro"
    deterministic = True
    changes = frozenset({"instructions"})

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        screen = max(4, min(50, problem.calls // problem.calls_per_row // 12))
        return optimise(problem, self.name, _compile, changes=self.changes, screen=screen)


def _compile(session: Session) -> None:
    import dspy

    validation = session.screen()
    batch = max(2, len(validation) // 3)
    proposals = max(4, min(12, session.left // 40))
    combinations = proposals**2 if session.demos else proposals
    optimizer = dspy.MIPROv2(
        metric=session.score,
        prompt_model=session.lm,
        task_model=session.lm,
        auto=None,
        num_candidates=proposals,
        max_bootstrapped_demos=_BOOTSTRAPPED if session.demos else 0,
        max_labeled_demos=_LABELED if session.demos else 0,
        num_threads=1,
        seed=session.seed,
    )
    optimizer.compile(
        session.student,
        trainset=session.train(max(2 * _LABELED, session.left // 12)),
        valset=validation,
        num_trials=max(_FULL_EVERY, min(session.left // batch, _FULL_EVERY * combinations // 2)),
        minibatch=batch < len(validation),
        minibatch_size=batch,
        minibatch_full_eval_steps=_FULL_EVERY,
        program_aware_proposer=False,
    )
