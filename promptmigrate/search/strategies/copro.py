"""DSPy's COPRO, coordinate ascent over instructions (CA-OPRO in arXiv 2406.11695; after OPRO, 2309.03409).

The reflection model writes several instructions from the current ones; all are evaluated on train rows; the
best so far, with their scores, are shown to it for the next round.

Where it cannot hold the rules of a strategy, and what is done:

- It breaks off on any exception of a row or a proposal. Rows without an outcome count as the original's
  mean; a proposal that failed or cannot be read is the instructions as they are, which costs nothing.
- It judges on train rows only, all of them for each proposal. It is given as many as breadth and depth leave
  affordable; validation rows decide in the end.
- It also proposes a prefix of the answer, which no template has; that half of its proposals is lost.
- It sees scores, never an input or a failure.
"""

from __future__ import annotations

from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.strategies._optimizer import Session, optimise


class Copro:
    """See the module's text."""

    name = "copro"
    deterministic = True
    changes = frozenset({"instructions"})

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        return optimise(problem, self.name, _compile, changes=self.changes, share=0.3)


def _compile(session: Session) -> None:
    import dspy

    rows = min(len(session.run.train), max(3, min(40, session.left // 16)))
    proposals = max(2, session.left // (rows + 1))
    breadth = max(2, min(10, round(proposals**0.5)))
    optimizer = dspy.COPRO(
        prompt_model=session.lm,
        metric=session.score,
        breadth=breadth,
        depth=max(1, -(-proposals // breadth)),
        init_temperature=1.0,
    )
    optimizer.compile(
        session.student,
        trainset=session.train(rows),
        eval_kwargs={"num_threads": 1, "display_progress": False},
    )
