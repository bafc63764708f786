"""DSPy's BootstrapFewShotWithRandomSearch (arXiv 2310.03714): the original prompt with worked examples.

Demo sets are drawn from train rows: labelled ones (production's answer where it is known to be good) and
bootstrapped ones (the target model's own answers that score well). Each set is evaluated on validation rows;
the best wins. The instructions stay as they are and no reflection model is asked.

Where it cannot hold the rules of a strategy, and what is done:

- It knows a number of candidates, not a budget: it is asked for more than fit, and ended between two.
- It takes a row without an outcome for 0. Such rows count as the original's mean and never become demos.
- Its draws depend on nothing but the order of the rows, which is drawn from the problem's seed.
- It bootstraps one row after the other, so wall-clock time is that of its calls in sequence.
"""

from __future__ import annotations

from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.strategies._optimizer import Session, optimise

_BOOTSTRAPPED, _LABELED = 4, 8


class FewShot:
    """See the module's text."""

    name = "fewshot"
    deterministic = True
    changes = frozenset({"demos"})
    reflects = False

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        return optimise(problem, self.name, _compile, changes=self.changes)


def _compile(session: Session) -> None:
    import dspy

    validation = session.screen()
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=session.score,
        max_bootstrapped_demos=_BOOTSTRAPPED,
        max_labeled_demos=_LABELED,
        num_candidate_programs=max(1, session.left // len(validation)),
        num_threads=1,
    )
    optimizer.compile(
        session.student,
        trainset=session.train(max(2 * _LABELED, session.left // 12)),
        valset=validation,
    )
