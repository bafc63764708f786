"""pytest plug-in: score outputs in tests, record the scores, and judge them by thresholds afterwards.

::

    def test_greeting(score_check):
        score_check("contains", output=reply("hi"), expected="hello")

    @pytest.mark.scored(dataset="tickets.jsonl", scorers=["label_match"], repeats=3, mean=0.9)
    def test_triage(row):
        return triage(row["ticket"])

``pytest --score-artifact scores.json --score-thresholds thresholds.yaml`` writes what was scored and fails
where the thresholds are not met; ``python -m scorers.pytest_plugin judge scores.json --thresholds x.yaml``
judges the same run again without a call. Works under pytest-xdist. A session in which no test uses it pays
for the import of this small file only.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scorers._pytest_session import Results
    from scorers._types import Score

__all__ = ["main"]

_OPTIONS = (
    ("--score-artifact", "write all scores of the run to this JSON file"),
    ("--score-thresholds", "YAML or JSON file with the thresholds that the scores must meet"),
    ("--score-record", "append the judges' paid answers to this file, for --score-replay"),
    ("--score-replay", "answer all model calls from this recording; send nothing"),
    ("--score-endpoints", "YAML or JSON file with the endpoints of judges by provider, as in an experiment"),
)
_MARKER = (
    "scored(dataset, scorers, repeats=1, threshold=None, mean=None, max_unscored=None): run once for "
    "each row of a dataset (JSONL, CSV, JSON or a list), given as 'row', and score what the test returns"
)


def _check_names(config: pytest.Config) -> None:
    """Tell of a folder or file of the user's that is called like this package.

    Raises:
        pytest.UsageError: it is what ``import scorers`` finds.
    """
    import scorers

    ours = Path(__file__).resolve().parent
    found = Path(scorers.__file__ or "").resolve()
    if found.parent != ours:
        raise pytest.UsageError(
            f"'import scorers' finds {found}, not the installed package at {ours}: rename that file or "
            "folder, or leave the plug-in out with -p no:scorers"
        )
    for folder in dict.fromkeys((config.rootpath, config.invocation_params.dir)):
        for path in (folder / "scorers.py", folder / "scorers"):
            theirs = path.is_file() or (path.is_dir() and any(path.glob("*.py")))
            if theirs and path.resolve() != ours:
                config.issue_config_time_warning(
                    pytest.PytestConfigWarning(
                        f"{path} is called like the installed package 'scorers', and 'import scorers' finds "
                        "only one of them, depending on how pytest is started: rename yours"
                    ),
                    stacklevel=2,
                )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("scorers", "scores of model outputs")
    for name, text in _OPTIONS:
        group.addoption(name, metavar="FILE", default=None, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker, and start what the options ask for."""
    _check_names(config)
    config.addinivalue_line("markers", _MARKER)
    if not hasattr(config, "workerinput"):  # pytest-xdist: results come together in the main process
        config.pluginmanager.register(_Collector(config), "scorers-collector")
    if config.getoption("--score-record") or config.getoption("--score-replay"):
        from scorers._pytest_door import start

        start(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per row of the dataset."""
    marker = metafunc.definition.get_closest_marker("scored")
    if marker is not None:
        from scorers._pytest_scored import parametrise

        parametrise(metafunc, marker)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Let a marked test yield its outputs; pytest itself refuses tests with ``yield``."""
    if inspect.isgeneratorfunction(obj) and collector.istestfunction(obj, name):
        marks = getattr(obj, "pytestmark", ())
        if any(getattr(mark, "name", None) == "scored" for mark in marks):
            return list(collector._genfunctions(name, obj))
    return None


@pytest.fixture
def score_check(request: pytest.FixtureRequest) -> Callable[..., Score]:
    """``score_check(scorer, output=..., expected=..., inputs=..., threshold=1.0)``: score, record, compare.

    The scorer is one, its name or its spec. The test fails where the value is below the threshold or there is
    none; with ``threshold=None`` it is only recorded. Gives the Score.
    """
    from scorers._pytest_check import checker

    return checker(request)


@pytest.fixture(scope="session")
def score_door(request: pytest.FixtureRequest) -> Iterator[Any]:
    """promptmigrate's door to models, for the calls of the tests: records or replays as the options say."""
    from scorers._pytest_door import door_of

    yield door_of(request.config)


class _Collector:
    """Gathers what tests recorded, from this process and from pytest-xdist's workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._records: list[dict[str, Any]] = []
        self._results: Results | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what the report of a test brings."""
        records = getattr(report, "scorers", None)
        if records:
            self._records += records

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the artifact and apply the thresholds."""
        wanted = any(self._config.getoption(f"--score-{name}") for name in ("artifact", "thresholds"))
        if not (self._records or wanted) or self._config.getoption("collectonly"):
            return
        from scorers._pytest_session import finish

        self._results = finish(self._config, self._records)
        if self._results.failed and session.exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the scores."""
        if self._results is not None:
            self._results.show(terminalreporter)


def main(arguments: list[str] | None = None) -> int:
    """Judge a recorded run: ``judge ARTIFACT [--thresholds FILE] [--json]``.

    Returns:
        0 if all thresholds are met, 100 if not, 2 if something given cannot be used.
    """
    from scorers._pytest_judge import main as judge

    return judge(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
