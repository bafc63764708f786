"""Tests marked ``scored``: one per row of a dataset, scored by what they return."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from scorers._bridge import answer_of, as_scorers, expected_of, score_one
from scorers._errors import ScorerSpecError, nearest
from scorers._pytest_record import record, shown
from scorers._pytest_rows import Row, read_rows
from scorers._types import Sample, Score, Scorer

_NAME = "scorers-scored"
_SETTINGS = ("dataset", "scorers", "repeats", "threshold", "mean", "max_unscored")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a marker says."""

    scorers: tuple[Scorer, ...]
    repeats: int
    threshold: float | None
    limits: Mapping[str, float]
    """``mean`` and ``max_unscored`` over all rows of the test; judged when all are there."""


_of_marks: dict[int, tuple[pytest.Mark, Settings]] = {}
"""Settings by the id of their marker, which all rows of a test share; keeping the marker keeps the id."""
_kept_key = pytest.StashKey[list[Any]]()


def parametrise(metafunc: pytest.Metafunc, marker: pytest.Mark) -> None:
    """Give the test its rows."""
    where = metafunc.definition.nodeid
    try:
        settings = _settings(marker)
        folders = (metafunc.definition.path.parent, metafunc.config.rootpath)
        rows = read_rows(marker.kwargs.get("dataset"), folders=folders)
    except (ValueError, TypeError) as error:
        raise pytest.UsageError(f"{where}: @pytest.mark.scored: {error}") from error
    if "row" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{where}: a test marked scored takes the row as its argument 'row'")
    manager = metafunc.config.pluginmanager
    if not manager.has_plugin(_NAME):
        manager.register(_Runner(), _NAME)
    _of_marks[id(marker)] = (marker, settings)
    metafunc.parametrize("row", rows, ids=[row.id for row in rows])


def _settings(marker: pytest.Mark) -> Settings:
    if marker.args:
        raise ScorerSpecError("give its settings by name: dataset=..., scorers=...")
    given = dict(marker.kwargs)
    for name in given:
        if name not in _SETTINGS:
            raise ScorerSpecError(f"there is no setting {name!r}{nearest(name, _SETTINGS)}")
    for name in ("dataset", "scorers"):
        if name not in given:
            raise ScorerSpecError(f"the setting {name!r} is missing")
    repeats = given.get("repeats", 1)
    if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1:
        raise ScorerSpecError(f"repeats must be a whole number above 0, got {repeats!r}")
    for name in ("threshold", "mean", "max_unscored"):
        value = given.get(name)
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ScorerSpecError(f"{name} must be within [0, 1], got {value!r}")
    limits = {name: float(given[name]) for name in ("mean", "max_unscored") if given.get(name) is not None}
    return Settings(
        scorers=as_scorers(given["scorers"]),
        repeats=repeats,
        threshold=given.get("threshold"),
        limits=limits,
    )


class _Runner:
    """Runs marked tests; registered when the first one is collected."""

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Keep what a coroutine returns: pytest-asyncio and its like throw it away."""
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj) and _settings_of(item):
            original, kept = item.obj, item.stash.setdefault(_kept_key, [])

            @functools.wraps(original)
            async def keeping(*args: Any, **kwargs: Any) -> None:
                kept.append(await original(*args, **kwargs))

            item.obj = keeping

    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run and score one row."""
        settings = _settings_of(pyfuncitem)
        if settings is None:
            return None
        __tracebackhide__ = True
        row: Any = pyfuncitem.funcargs["row"]
        values: dict[str, list[float]] = {scorer.name: [] for scorer in settings.scorers}
        worst: dict[str, tuple[Sample, Score]] = {}
        answers = 0
        for _ in range(settings.repeats):
            for output in _outputs(pyfuncitem, settings, row):
                for scorer in settings.scorers:
                    sample = _sample(row, scorer, answer_of(output))
                    score = score_one(scorer, sample)
                    record(
                        pyfuncitem, scorer, sample, score,
                        row=row.id, repeat=answers, limits=dict(settings.limits),
                    )  # fmt: skip
                    if score.value is not None:
                        values[scorer.name].append(score.value)
                    if _rank(score) < _rank(worst.get(scorer.name, (sample, None))[1]):
                        worst[scorer.name] = (sample, score)
                answers += 1
        if not answers:
            pytest.fail("the test yielded no output", pytrace=False)
        if settings.threshold is not None:
            _check(settings.threshold, values, worst, answers)
        return True


def _settings_of(item: pytest.Item) -> Settings | None:
    marker = item.get_closest_marker("scored")
    if marker is None:
        return None
    if id(marker) not in _of_marks:
        _of_marks[id(marker)] = (marker, _settings(marker))
    return _of_marks[id(marker)][1]


def _sample(row: Row, scorer: Scorer, output: Any) -> Sample:
    return Sample(output=output, expected=expected_of(row.expected, scorer), inputs=dict(row.inputs))


def _outputs(item: pytest.Function, settings: Settings, row: Row) -> Sequence[Any]:
    """What the test gives for its row; a test that breaks is a row that could not be scored."""
    arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    kept = item.stash.get(_kept_key, None)
    try:
        found = item.obj(**arguments)
        if inspect.isgenerator(found):
            return list(found)
        if inspect.iscoroutine(found):
            import asyncio

            asyncio.run(found)
    except Exception as error:
        for scorer in settings.scorers:
            score = Score(
                name=scorer.name,
                version=scorer.version,
                unscored="error",
                rationale=f"the test broke: {type(error).__name__}: {str(error)[:200]}",
                evidence={"kind": "error"},
            )
            record(item, scorer, _sample(row, scorer, None), score, row=row.id, limits=dict(settings.limits))
        raise
    if kept is not None:
        return [kept.pop()]
    return [found]


def _rank(score: Score | None) -> float:
    if score is None:
        return math.inf
    return -1.0 if score.value is None else score.value


def _check(
    threshold: float,
    values: Mapping[str, list[float]],
    worst: Mapping[str, tuple[Sample, Score]],
    answers: int,
) -> None:
    __tracebackhide__ = True
    failures = []
    for name, known in values.items():
        mean = math.fsum(known) / len(known) if known else None
        if mean is None or mean < threshold:
            sample, score = worst[name]
            state = f"unscored ({score.unscored})" if mean is None else f"{mean:g}"
            over = f" (mean of {len(known)} of {answers} answers; the worst is shown)" if answers > 1 else ""
            failures.append(f"{name} is {state}, below {threshold:g}{over}\n{shown(sample, score)}")
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)
