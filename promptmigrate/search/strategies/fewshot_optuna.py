"""DSPy's BootstrapFewShotWithOptuna: the one worked example that helps most, chosen by TPE.

Demos are bootstrapped once, as in ``fewshot``; then Optuna tries them one at a time on validation rows.

Where it cannot hold the rules of a strategy, and what is done:

- It makes a study whose sampler has no seed, so that two runs would choose different demos. Before its first
  trial the study is given the same sampler with one.
- Its prompts have exactly one demo, whatever ``max_demos`` says. The prompt that it bootstraps with has up to
  16 labelled ones; it was measured, so it is compared in the end as well.
- It fails where there is nothing to choose from; labelled rows fill up what was not bootstrapped.
- Budget and rows without an outcome: as in ``fewshot``.
"""

from __future__ import annotations

from typing import Any

from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.strategies._optimizer import Session, optimise

_BOOTSTRAPPED, _LABELED = 8, 16


class FewShotOptuna:
    """See the module's text."""

    name = "fewshot-optuna"
    deterministic = True
    changes = frozenset({"demos"})
    reflects = False

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        return optimise(problem, self.name, _compile, changes=self.changes)


def _compile(session: Session) -> None:
    import dspy
    import optuna

    validation = session.screen()
    optimizer = dspy.BootstrapFewShotWithOptuna(
        metric=session.score,
        max_labeled_demos=_LABELED,
        num_candidate_programs=max(1, session.left // len(validation)),
        num_threads=1,
    )
    objective = optimizer.objective

    def seeded(trial: Any) -> Any:
        if trial.number == 0:
            trial.study.sampler = optuna.samplers.TPESampler(seed=session.seed)
        return objective(trial)

    optimizer.objective = seeded
    optimizer.compile(
        session.student,
        max_demos=_BOOTSTRAPPED,
        trainset=session.train(max(_LABELED, session.left // 12)),
        valset=validation,
    )
