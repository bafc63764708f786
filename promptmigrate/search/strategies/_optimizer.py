"""Running an optimizer of DSPy, unmodified, as a strategy.

What an optimizer meets is the template program, answers from ``Problem.evaluate``, and the reflection model
through the door; what it may spend is counted in front of it. When it wants more, it is ended from inside,
wherever it is, and what it had measured so far is what counts.
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from promptmigrate.errors import UsageError
from promptmigrate.search.base import Problem, SearchResult
from promptmigrate.search.strategies._measurer import Measurer, Stop
from promptmigrate.search.strategies._run import Run, conduct
from promptmigrate.search.table import OutOfCallsError
from promptmigrate.search.text import draw, one_line
from promptmigrate.types import Example, Reply, Request

THREADS = 32
_BAR = ("%|", "it/s]", "Average Metric", "GEPA Optimization")
_NO_CALLS = "has no calls left for another step"


@dataclass(frozen=True, kw_only=True)
class Session:
    """What an optimizer is given."""

    run: Run
    measurer: Measurer
    student: Any
    """The program to improve."""
    lm: Any
    """The reflection model as a ``dspy.LM``; each call of a proposer is counted before it is made."""
    rows: dict[str, Example]
    """Train and validation rows by id."""

    @property
    def left(self) -> int:
        """(candidate, row) pairs that may still be measured."""
        return self.measurer.left // self.run.problem.calls_per_row

    @property
    def seed(self) -> int:
        """Not 0, which some optimizers take for none."""
        return draw(self.run.problem.seed, self.run.name) % (2**32 - 1) + 1

    @property
    def demos(self) -> bool:
        """Whether demos may be added."""
        return "demos" in self.run.problem.may_change

    @property
    def score(self) -> Any:
        """The metric; a row without an outcome counts as the original's mean."""
        from promptmigrate.search import dspy_bridge as bridge

        return bridge.score_with(self.run.baseline)

    @property
    def feedback(self) -> Any:
        """The metric with what the scorers said in words."""
        from promptmigrate.search import dspy_bridge as bridge

        return bridge.metric(self.rows, self.run.baseline)

    def train(self, count: int) -> list[Any]:
        """The first ``count`` train rows for DSPy (at least one)."""
        return self._examples(self.run.train[: max(1, count)])

    def screen(self) -> list[Any]:
        """The validation rows on which the optimizer may compare."""
        return self._examples(self.run.screen)

    def _examples(self, rows: list[Example]) -> list[Any]:
        from promptmigrate.search import dspy_bridge as bridge

        return bridge.as_examples(rows, self.student.predict.names)


def optimise(
    problem: Problem,
    name: str,
    compile_: Callable[[Session], object],
    *,
    changes: frozenset[str],
    screen: int = 20,
    share: float = 0.15,
    strict: bool = False,
) -> SearchResult:
    """Search with the optimizer that ``compile_`` runs.

    ``screen``, ``share``: see :class:`Run`. ``strict``: rows without an outcome raise (see ``Source``).
    """
    run = Run(problem, name, screen=screen, share=share)
    return conduct(run, partial(_compile, compile_=compile_, strict=strict), changes=changes)


def _compile(run: Run, *, compile_: Callable[[Session], object], strict: bool) -> None:
    import dspy

    from promptmigrate.search import dspy_bridge as bridge
    from promptmigrate.search import proposers
    from promptmigrate.search.strategies._proposers import CountedAdapter

    problem = run.problem
    measurer = Measurer(run.table, admit=run.admit, calls_per_row=problem.calls_per_row, reserve=run.reserve)
    rows = {e.id: e for e in (*run.train, *run.validation)}
    lm = proposers.reflection_lm(replace(problem, reflect=_Repeats(problem.reflect)))
    with _undisturbed():
        student = bridge.TemplateProgram(run.base, bridge.Source(measurer, rows, strict=strict))
        settings = dspy.context(
            lm=lm,  # for programs that lose their own in a copy; it is never asked for an answer
            adapter=CountedAdapter(measurer, student.predict.signature.instructions),
            callbacks=[bridge.WholeSets(measurer, rows)],
            max_errors=10**9,
        )
        try:
            with settings:
                compile_(Session(run=run, measurer=measurer, student=student, lm=lm, rows=rows))
            ended = "is done"
        except Stop:
            ended = _NO_CALLS
        except (OutOfCallsError, UsageError):
            raise
        except Exception as error:  # noqa: BLE001 - an optimizer may break on anything; what it found counts
            ended = f"broke off ({type(error).__name__}: {one_line(str(error))})"
            problem.log(f"{run.name} {ended}")
        finally:
            measurer.close()
    if measurer.failure is not None:
        raise measurer.failure
    why = f"{run.name} {ended}, after {run.table.calls} of {problem.calls} calls"
    run.stop("budget" if ended is _NO_CALLS else "exhausted", why)


class _Repeats:
    """Tells askings of the same question apart, so that several proposals differ."""

    def __init__(self, reflect: Callable[[Request], Reply]) -> None:
        self._reflect = reflect
        self._asked: Counter[str] = Counter()

    def __deepcopy__(self, memo: object) -> _Repeats:
        return self

    def __call__(self, request: Request) -> Reply:
        text = repr([dict(m) for m in request.messages])
        self._asked[text] += 1
        return self._reflect(replace(request, repeat=self._asked[text] - 1))


class _WithoutBars:
    """stderr without progress bars, which cannot be switched off everywhere; all else passes."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._in_bar = stream, False

    def write(self, text: str) -> int:
        blank = not text.strip()
        self._in_bar = any(sign in text for sign in _BAR) or (self._in_bar and blank)
        if self._in_bar:
            return len(text)
        return int(self._stream.write(text) or 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _drop(_record: logging.LogRecord) -> bool:
    return False


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Nothing of an optimizer's shows or stays: stdout (which belongs to ``--json``), bars, logs, seeds.

    Its log is dropped: what it complains of (rows without an outcome, refused proposals) is counted here.
    """
    import numpy as np
    import optuna

    loggers = [logging.getLogger(name) for name in ("dspy", "gepa")]
    levels = [logger.level for logger in loggers]
    verbosity = optuna.logging.get_verbosity()
    seeds, array_seeds = random.getstate(), np.random.get_state()
    bars: Any = _WithoutBars(sys.stderr)
    handlers = logging.getLogger("optuna").handlers[:]
    try:
        for handler in handlers:
            handler.addFilter(_drop)  # an optimizer may set Optuna's verbosity itself
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(bars):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for handler in handlers:
            handler.removeFilter(_drop)
        optuna.logging.set_verbosity(verbosity)
        random.setstate(seeds)
        np.random.set_state(array_seeds)
