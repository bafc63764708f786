"""DSPy's GEPA optimizer (arXiv 2507.19457): reflection on minibatches, parents by Pareto frequency.

It picks a prompt by the validation rows on which it is best, shows the reflection model three train rows
with answers and feedback, keeps the rewrite if it does better on these three, and then evaluates it on
validation rows.

Where it cannot hold the rules of a strategy, and what is done:

- It looks at its budget between iterations and may overshoot. Here it is stopped as soon as the calls left do
  not pay for a whole iteration (two minibatches, a reflection, a full validation).
- It gives a row that raised ``failure_score`` and drops it from reflection, but cannot leave it out. That
  score is the original's mean, so a failed call neither helps nor harms a candidate on average, and the
  winner is compared again without such rows.
- A proposal that the guard refuses (lost placeholder, too long, copied rows) is answered with the parent's
  text, which GEPA then rejects at no cost. After ten of them in a row the search ends and says so.
- Validation is at most 20 rows while GEPA runs: each accepted candidate pays for all of them. The rest
  decides between its best candidates and the original at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptmigrate import template
from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.failures import evidence
from promptmigrate.search.strategies._optimizer import Session, optimise

_MINIBATCH = 3
_IN_VAIN = 10
"""Proposals in a row that give nothing to try, after which the reflection model is not asked again."""


class Gepa:
    """See the module's text."""

    name = "gepa"
    deterministic = True
    changes = frozenset({"instructions"})

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        return optimise(problem, self.name, _compile, changes=self.changes, strict=True)


def _compile(session: Session) -> None:
    import dspy

    run = session.run
    per_row = run.problem.calls_per_row
    iteration = (2 * _MINIBATCH + len(run.screen)) * per_row + 1
    idle = _Idle()

    proposer = _Proposer(session)

    def enough(_state: object) -> bool:
        if proposer.in_vain >= _IN_VAIN:
            why = [line.removeprefix("- ") for line in run.refusals.splitlines()[-1:]]
            run.stop("exhausted", " ".join([f"{_IN_VAIN} proposals in a row gave nothing to try.", *why]))
            return True
        return session.measurer.left < iteration or idle.too_long(run.table.calls)

    optimizer = dspy.GEPA(
        metric=session.feedback,
        max_metric_calls=10**9,
        reflection_minibatch_size=min(_MINIBATCH, len(run.train)),
        instruction_proposer=proposer,
        use_merge=False,  # nothing to merge in a program of one prompt
        num_threads=1,
        failure_score=run.baseline,
        warn_on_score_mismatch=False,
        seed=session.seed,
        gepa_kwargs={"stop_callbacks": [enough]},
    )
    optimizer.compile(session.student, trainset=session.train(len(run.train)), valset=session.screen())
    if session.measurer.left < iteration:
        run.stop(
            "budget",
            f"after {run.table.calls} of {run.problem.calls} calls another GEPA iteration does not fit",
        )


class _Idle:
    """Ends a run that goes on without spending: GEPA skips minibatches that are all right, for ever."""

    def __init__(self, rounds: int = 200) -> None:
        self._rounds, self._last, self._idle = rounds, -1, 0

    def too_long(self, calls: int) -> bool:
        self._idle = self._idle + 1 if calls == self._last else 0
        self._last = calls
        return self._idle >= self._rounds


class _Proposer:
    """GEPA's proposal step, in one call whatever the reflection model answers, and guarded."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.in_vain = 0
        """Proposals in a row that gave nothing to try."""

    def __call__(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        return {
            name: self._propose(candidate[name], reflective_dataset.get(name) or [])
            for name in components_to_update
        }

    def _propose(self, current: str, records: Sequence[Mapping[str, Any]]) -> str:
        from promptmigrate.errors import PromptMigrateError
        from promptmigrate.search import dspy_bridge as bridge
        from promptmigrate.search import proposers

        run, measurer = self._session.run, self._session.measurer
        if not records:
            return current
        anatomy = run.base.anatomy
        shown = bridge.plain(current, anatomy)
        measurer.charge()
        try:
            reply = proposers.ask(self._session.lm, self._inputs(shown, records))
        except PromptMigrateError as error:
            measurer.fail(error)
        text = anatomy.instructions_in(reply[0]) if reply is not None else shown
        fit = text != shown and run.admit(run.base.but(instructions=text, origin=""))
        self.in_vain = 0 if fit else self.in_vain + 1
        return text if fit else current

    def _inputs(self, current: str, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        from promptmigrate.search import dspy_bridge as bridge

        examples: list[str] = []
        for record in records:
            given = {name: value for name, value in record["Inputs"].items() if name != bridge.ROW}
            inputs = "\n".join(f"{name}: {value}" for name, value in given.items())
            if len(given) == 1:
                inputs = str(next(iter(given.values())))
            outputs = record["Generated Outputs"]
            answer = outputs[bridge.ANSWER] if isinstance(outputs, Mapping) else outputs
            wanted, _, said = str(record["Feedback"]).partition(". ")
            examples.append(
                evidence(len(examples) + 1, inputs, str(answer), f"{wanted}\nFeedback: {said or wanted}")
            )
        kept = ", ".join(f"{{{{{name}}}}}" for name in template.variables(current))
        braces = f"Keep the placeholders {kept}" if kept else "Write no placeholders in braces"
        return {
            "current_instructions": current,
            "fixed_part": self._session.run.base.anatomy.frame,
            "failure_report": "\n\n".join(examples),
            "tried": self._session.run.refusals,
            "assignment": (
                "Write new instructions with which the model would have answered these inputs as expected. "
                "Include what the examples teach about the task, and keep what works. "
                f"{braces}. Do not copy inputs from above."
            ),
        }
