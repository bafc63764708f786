"""DSPy's GEPA optimizer (arXiv 2507.19457) on the template program.

GEPA runs unmodified; what differs from a plain ``dspy.GEPA`` run is around it:

- Answers and scores come from ``Problem.evaluate``, each (prompt, row) once: the prompt that is scored is the
  plain prompt that would be shipped.
- Budget: GEPA looks at its budget between iterations and may overshoot. Here it is stopped as soon as the
  calls left do not pay for a whole iteration (two minibatches, a reflection, a full validation).
- Infrastructure errors: GEPA gives a row that raised ``failure_score`` and drops it from reflection; it
  cannot leave a row out. That score is set to the original's mean, so a failed call neither helps nor harms a
  candidate on average, and the winner is compared again without such rows.
- A proposal that the guard refuses (lost placeholder, too long, copied rows) is answered with the parent's
  text, which GEPA then rejects at no cost.
- Validation is at most 20 rows while GEPA runs: each accepted candidate pays for all of them. The rest
  decides between its best candidates and the original at the end.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptmigrate import template
from promptmigrate.errors import BudgetExceeded, PromptMigrateError
from promptmigrate.search import choice
from promptmigrate.search.anatomy import Anatomy, Candidate
from promptmigrate.search.archive import front
from promptmigrate.search.base import CandidateRecord, Generation, Problem, SearchResult, StopCode
from promptmigrate.search.failures import evidence
from promptmigrate.search.guard import Guard
from promptmigrate.search.racing import race, stratified
from promptmigrate.search.state import expected_key
from promptmigrate.search.table import Table
from promptmigrate.search.text import draw

_MINIBATCH = 3
_VALIDATION = 20
_THREADS = 32


class Gepa:
    """See the module's text."""

    name = "gepa"

    def search(self, problem: Problem) -> SearchResult:
        """The best Variant found within ``problem.calls``."""
        run = _Run(problem)
        try:
            run.optimise()
            run.compare()
        except BudgetExceeded as error:
            run.stop("budget", f"the budget was exceeded: {error}")
        return run.result()


class _Run:
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.table = Table(problem)
        self.original = Candidate(
            anatomy=Anatomy.of(problem.original.prompt),
            base=problem.original,
            instructions=Anatomy.of(problem.original.prompt).instructions,
            origin="original",
        )
        self.guard = Guard(problem.original.prompt, max_tokens=problem.max_prompt_tokens, train=problem.train)
        self.validation = stratified(problem.validation, seed=problem.seed, stratum=expected_key)
        rows = max(0, problem.calls) // problem.calls_per_row
        self.known = self.validation[: max(3, min(_VALIDATION, rows // 5))]
        self.candidates: list[Candidate] = [self.original]
        self.code: StopCode | None = None
        self.stopped = ""

    def optimise(self) -> None:
        """Run GEPA on the train rows and the first validation rows."""
        per_row = self.problem.calls_per_row
        iteration = (2 * _MINIBATCH + len(self.known)) * per_row + 1
        if "instructions" not in self.problem.may_change or not self.problem.train:
            self.stop("exhausted", "gepa changes instructions by train rows; it may not, or there are none")
            return
        if not self.table.affordable([self.original], self.known):
            self.stop(
                "budget", f"{self.problem.calls} calls do not pay for {len(self.known)} validation rows"
            )
            return
        self.table.measure([self.original], self.known)
        baseline = self.table.mean(self.original, self.known)
        if baseline is None:
            self.stop("unmeasurable", f"none of the first {len(self.known)} rows could be evaluated")
            return
        if baseline >= 1.0 and len(self.known) == len(self.validation):
            self.stop("perfect", "the original answers every validation row well")
            return
        failure = self._compile(baseline, iteration)
        if failure is not None:
            raise failure
        self.stop(
            "budget",
            f"after {self.table.calls} of {self.problem.calls} calls another GEPA iteration does not fit",
        )

    def _compile(self, baseline: float, iteration: int) -> PromptMigrateError | None:
        import dspy

        from promptmigrate.search import dspy_bridge as bridge
        from promptmigrate.search import proposers

        rows = {e.id: e for e in (*self.problem.train, *self.validation)}
        measurer = bridge.Measurer(self.table)
        student = bridge.TemplateProgram(self.original, measurer=measurer, rows=rows)
        names = student.predict.names
        idle = _Idle()

        def enough(_state: object) -> bool:
            self.problem.log(f"gepa: {self.table.calls} of {self.problem.calls} calls")
            return (
                measurer.failure is not None
                or self.table.left < iteration + self._reserve()
                or idle.too_long(self.table.calls)
            )

        optimizer = dspy.GEPA(
            metric=bridge.metric(rows),
            max_metric_calls=10**9,
            reflection_minibatch_size=min(_MINIBATCH, len(self.problem.train)),
            instruction_proposer=_Proposer(self, proposers, measurer),
            use_merge=False,  # nothing to merge in a program of one prompt
            num_threads=min(_THREADS, max(len(self.known), _MINIBATCH)),
            failure_score=baseline,
            track_stats=True,
            warn_on_score_mismatch=False,
            seed=draw(self.problem.seed, "gepa") % 2**32,
            gepa_kwargs={"stop_callbacks": [enough]},
        )
        with _quiet():
            program = optimizer.compile(
                student,
                trainset=bridge.as_examples(self.problem.train, names),
                valset=bridge.as_examples(self.known, names),
            )
        self._gather(program)
        return measurer.failure

    def _reserve(self) -> int:
        """Calls kept for the comparison of the exported prompts."""
        rest = len(self.validation) - len(self.known)
        rows = max(0, self.problem.calls) // self.problem.calls_per_row
        return min(2 * rest, round(0.15 * rows)) * self.problem.calls_per_row

    def _gather(self, program: Any) -> None:
        found = getattr(program, "detailed_results", None)
        for number, one in enumerate(found.candidates if found else [program]):
            candidate = one.candidate()
            if candidate.key not in {c.key for c in self.candidates}:
                self.candidates.append(candidate.but(origin=f"gepa candidate {number}"))

    def compare(self) -> None:
        """The exported prompts of the best candidates, and the original, on further validation rows."""
        if self.code in ("unmeasurable", "exhausted", "perfect"):
            return
        ranked = sorted(self.candidates[1:], key=lambda c: (-(self.table.mean(c, self.known) or 0.0), c.key))
        finalists = [self.original, *ranked[:2]]
        race(
            self.table, finalists, self.validation, block=max(5, len(self.known)),
            max_rows=self.table.rows_left, halve=False,
        )  # fmt: skip

    def stop(self, code: StopCode, why: str) -> None:
        """Remember why the search ends (the first reason counts)."""
        if self.code is None:
            self.code, self.stopped = code, why

    def result(self) -> SearchResult:
        """The final choice among the exported prompts."""
        rows = self.validation
        measured = [c for c in self.candidates if self.table.scored(c, rows)]
        most = max((len(self.table.scored(c, rows)) for c in measured), default=0)
        finalists = [c for c in measured if 2 * len(self.table.scored(c, rows)) >= most]
        best = choice.choose(self.problem, self.table, finalists, rows) if finalists else self.original
        records = tuple(
            CandidateRecord(
                variant=c.variant,
                origin=c.origin,
                parent=c.parent,
                quality=self.table.mean(c, rows),
                rows=len(self.table.scored(c, rows)),
                fate="incumbent" if c is best else "kept",
            )
            for c in self.candidates
        )
        quality = self.table.mean(best, rows)
        generation = Generation(
            index=0,
            phase="proposals",
            candidates=records,
            best=best.variant,
            quality=quality,
            calls=self.table.calls,
        )
        return SearchResult(
            best=best.variant,
            quality=quality,
            baseline=self.table.mean(self.original, rows),
            front=front(self.table, self.candidates, rows, min_rows=max(1, most // 2)),
            generations=(generation,),
            stopped=self.stopped or "the search ended",
            code=self.code or "exhausted",
            calls=self.table.calls,
            rows=len(self.table.scored(best, rows)),
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

    def __init__(self, run: _Run, proposers: Any, measurer: Any) -> None:
        self._run, self._proposers, self._measurer = run, proposers, measurer

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
        from promptmigrate.search import dspy_bridge as bridge

        run = self._run
        if self._measurer.failure is not None or not records or run.table.left < 1:
            return current
        shown = bridge.plain(current, run.original.anatomy)
        run.table.charge(1)
        try:
            reply = self._proposers.ask(
                self._proposers.reflection_lm(run.problem), self._inputs(shown, records)
            )
        except PromptMigrateError as error:
            self._measurer.failure = error
            return current
        if reply is None:
            return current
        anatomy = run.original.anatomy
        text = anatomy.strip_frame(reply[0]) or reply[0]
        proposal = run.original.but(instructions=text)
        return current if run.guard.refuse(proposal) else text

    def _inputs(self, current: str, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        from promptmigrate.search import dspy_bridge as bridge

        examples: list[str] = []
        for record in records:
            inputs = "\n".join(f"{k}: {v}" for k, v in record["Inputs"].items())
            if len(record["Inputs"]) == 1:
                inputs = str(next(iter(record["Inputs"].values())))
            outputs = record["Generated Outputs"]
            answer = outputs[bridge.ANSWER] if isinstance(outputs, Mapping) else outputs
            wanted, _, said = str(record["Feedback"]).partition(". ")
            examples.append(
                evidence(len(examples) + 1, inputs, str(answer), f"{wanted}\nFeedback: {said or wanted}")
            )
        anatomy = self._run.original.anatomy
        kept = template.variables(current)
        return {
            "current_instructions": current,
            "fixed_part": anatomy.frame,
            "failure_report": "\n\n".join(examples),
            "assignment": (
                "Write new instructions with which the model would have answered these inputs as expected. "
                "Include what the examples teach about the task, and keep what works. "
                + (
                    "Keep the placeholders " + ", ".join(f"{{{{{k}}}}}" for k in kept)
                    if kept
                    else "Write no placeholders in braces"
                )
                + ". Do not copy inputs from above."
            ),
        }


class _WithoutBars:
    """stderr without the progress bars of DSPy and GEPA, which cannot be switched off; all else passes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if not text.strip() or "GEPA Optimization" in text or "Average Metric" in text:
            return len(text)
        return int(self._stream.write(text) or 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep DSPy's progress bars off stdout, which belongs to ``--json``, and its log at errors."""
    loggers = [logging.getLogger(name) for name in ("dspy", "gepa")]
    levels = [logger.level for logger in loggers]
    bars: Any = _WithoutBars(sys.stderr)
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(bars):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
