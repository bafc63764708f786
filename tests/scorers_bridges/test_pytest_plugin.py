"""The pytest plug-in, in sessions of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import entry_points
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scorers import pytest_plugin
from scorers.pytest_plugin import main
from tests.lm.conftest import Provider, answer

pytest_plugins = ["pytester"]

installed = any(point.value == "scorers.pytest_plugin" for point in entry_points(group="pytest11"))
PLUGIN = () if installed else ("-p", "scorers.pytest_plugin")
"""Installed with its entry point it is loaded anyway, and a second time would be an error."""

OF_PYTEST = {"__pycache__", "runpytest-0", "runpytest-current", "stdout", "stderr"}
ROWS = """\
ROWS = [
    {"id": "a", "ticket": "charged twice", "expected": "billing"},
    {"id": "b", "ticket": "it crashes", "expected": "technical"},
    {"id": "c", "ticket": "refund", "expected": "billing"},
]
"""
TRIAGE = (
    "import pytest\n"
    + ROWS
    + """
@pytest.mark.scored(dataset=ROWS, scorers=["label_match"])
def test_triage(row):
    return "billing"
"""
)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Iterator[Any]:
    """Runs pytest with the plug-in on the given files."""

    def go(source: str, *options: str, name: str = "test_it", **files: str) -> pytest.RunResult:
        pytester.makepyfile(**{name: source})
        for file, text in files.items():
            stem, _, kind = file.rpartition("_")
            (pytester.path / f"{stem}.{kind}").write_text(text)
        given = (*PLUGIN, "-p", "no:cacheprovider", *options)
        return pytester.runpytest_subprocess(*given)

    yield go


def artifact(pytester: pytest.Pytester, name: str = "a.json") -> list[dict[str, Any]]:
    data = json.loads((pytester.path / name).read_text())
    assert data["schema"] == "scorers.artifact/1"
    found: list[dict[str, Any]] = data["records"]
    return found


def judge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The judge command, here: a process of its own takes half a second."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(["judge", *arguments])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


# --- inert


def test_nothing_happens_where_nothing_uses_it(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        "import sys\ndef test_it():\n"
        "    loaded = {m for m in sys.modules if m.startswith('scorers')}\n"
        "    assert loaded == {'scorers', 'scorers._builtin', 'scorers._types', 'scorers.pytest_plugin'}\n"
    )
    result.assert_outcomes(passed=1)
    assert "scores" not in result.stdout.str()
    assert {p.name for p in pytester.path.iterdir()} - OF_PYTEST == {"test_it.py"}


def test_objects_that_look_like_anything_are_left_alone(run: Any) -> None:
    result = run(
        "from unittest import mock\nanything = mock.MagicMock()\ntest_data = mock.sentinel.x\n"
        "def test_it(): pass\n"
    )
    result.assert_outcomes(passed=1)


def test_tests_with_yield_are_still_refused_without_the_marker(run: Any) -> None:
    result = run("def test_it():\n    yield 1\n")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*'yield' keyword is allowed in fixtures, but not in tests*"])


# --- score_check


def test_score_check(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        """
from scorers import label_match

def half(output):
    return 0.5

def test_good(score_check):
    score = score_check("label_match", output="Billing.", expected="billing")
    assert score.value == 1.0
    score_check(label_match(), output="a", expected="a")
    score_check({"use": "contains"}, output="it is a", expected="a")

def test_bad(score_check):
    score_check("label_match", output="bug", expected="billing", inputs={"ticket": "charged twice"})

def test_thresholds(score_check):
    score_check(half, output="x", threshold=0.5)
    assert score_check(half, output="x", threshold=None).value == 0.5
    score_check(half, output="x")

def test_unscored(score_check):
    assert score_check("label_match", output="x", threshold=None).unscored == "no_expected"
    score_check("label_match", output="x", threshold=0)
""",
        "--score-artifact=a.json",
    )
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "label_match is 0, below 1",
            "  input:    {'ticket': 'charged twice'}",
            "  expected: billing",
            "  output:   bug",
            "  why:      expected 'billing', got 'bug'",
            "half is 0.5, below 1",
            "label_match is unscored (no_expected), below 0",
        ]
    )
    records = artifact(pytester)
    assert [entry["row"] for entry in records if entry["test"].endswith("test_good")] == ["#1", "#2", "#3"]
    (bad,) = [entry for entry in records if entry["test"].endswith("test_bad")]
    assert (bad["value"], bad["output"], bad["expected"]) == (0.0, "bug", "billing")
    assert bad["input"] == {"ticket": "charged twice"}
    assert bad["spec"] == {"use": "label_match"}


def test_score_check_in_parametrised_tests(run: Any, pytester: pytest.Pytester) -> None:
    run(
        "import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(score_check, n):\n"
        "    score_check('exact_match', output=str(n), expected='1')\n",
        "--score-artifact=a.json",
    ).assert_outcomes(passed=1, failed=1)
    assert {(e["test"], e["row"], e["value"]) for e in artifact(pytester)} == {
        ("test_it.py::test_it", "1#1", 1.0),
        ("test_it.py::test_it", "2#1", 0.0),
    }


# --- scored


def test_a_dataset_in_the_module(run: Any, pytester: pytest.Pytester) -> None:
    result = run(TRIAGE, "--score-artifact=a.json", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_triage?c? PASSED*"])
    result.stdout.fnmatch_lines(["label_match: mean 0.6667 over 3 rows  test_it.py::test_triage"])
    result.stdout.no_fnmatch_line("*PytestReturnNotNoneWarning*")
    assert [(e["row"], e["value"], e["input"]) for e in artifact(pytester)] == [
        ("a", 1.0, {"ticket": "charged twice"}),
        ("b", 0.0, {"ticket": "it crashes"}),
        ("c", 1.0, {"ticket": "refund"}),
    ]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "d_jsonl",
            '{"inputs": {"t": "x"}, "expectations": {"queue": "X"}}\n\n{"t": "y", "expected": "Y"}\n',
        ),
        ("d_csv", 't,expected\nx,X\n"y",Y\n'),
        ("d_json", '[{"t": "x", "expected_response": "X"}, {"t": "y", "reference": "Y"}]'),
    ],
)
def test_datasets_in_files(run: Any, pytester: pytest.Pytester, file: str, text: str) -> None:
    name = file.replace("_", ".")
    result = run(
        f"import pytest\n@pytest.mark.scored(dataset={name!r}, scorers=['exact_match'])\n"
        "def test_it(row):\n    assert dict(row) == {'t': row['t']}\n    return row['t'].upper()\n",
        "--score-artifact=a.json",
        **{file: text},
    )
    result.assert_outcomes(passed=2)
    assert [e["value"] for e in artifact(pytester)] == [1.0, 1.0]


def test_repeats_are_averaged_inside_a_row(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        "import itertools, pytest\n" + ROWS + "answers = itertools.cycle(['billing', 'technical'])\n"
        "@pytest.mark.scored(dataset=ROWS[:1], scorers=['label_match'], repeats=4, threshold=0.5)\n"
        "def test_enough(row):\n    return next(answers)\n"
        "@pytest.mark.scored(dataset=ROWS[:1], scorers=['label_match'], repeats=4, threshold=0.75)\n"
        "def test_too_few(row):\n    return next(answers)\n",
        "--score-artifact=a.json",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "label_match is 0.5, below 0.75 (mean of 4 of 4 answers; the worst is shown)",
            "  output:   technical",
            "label_match: mean 0.5 over 1 row, 4 answers  test_it.py::test_enough",
        ]
    )
    assert [e["repeat"] for e in artifact(pytester)] == [0, 1, 2, 3] * 2


def test_a_test_may_yield_its_outputs(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        "import pytest\n" + ROWS + "class TestIt:\n"
        "    @pytest.mark.scored(dataset=ROWS[:1], scorers=['label_match'])\n"
        "    def test_it(self, row):\n        yield 'billing'\n        yield 'other'\n"
        "@pytest.mark.scored(dataset=ROWS[:1], scorers=['label_match'])\n"
        "def test_none(row):\n    yield from ()\n",
        "--score-artifact=a.json",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["the test yielded no output"])
    assert [e["value"] for e in artifact(pytester)] == [1.0, 0.0]


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_coroutines(run: Any, pytester: pytest.Pytester, mode: str) -> None:
    result = run(
        "import pytest, asyncio\n"
        + ROWS
        + "@pytest.mark.scored(dataset=ROWS, scorers=['label_match'], repeats=2)\n"
        "async def test_it(row):\n    await asyncio.sleep(0)\n    return 'billing'\n",
        "--score-artifact=a.json",
        f"--asyncio-mode={mode}",
    )
    result.assert_outcomes(passed=3)
    assert [e["value"] for e in artifact(pytester)] == [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]


def test_fixtures_and_other_arguments(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        "import pytest\n" + ROWS + "@pytest.fixture\ndef model(row):\n    return lambda: row.expected\n"
        "@pytest.mark.parametrize('style', ['x', 'y'])\n"
        "@pytest.mark.scored(dataset=ROWS, scorers=['exact_match'])\n"
        "def test_it(row, model, style):\n    return model()\n"
    )
    result.assert_outcomes(passed=6)


def test_a_test_that_breaks_is_a_row_without_a_score(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        "import pytest\n" + ROWS + "@pytest.mark.scored(dataset=ROWS, scorers=['label_match'], mean=0.9)\n"
        "def test_it(row):\n    if row.id == 'b':\n        raise ConnectionError('no model')\n"
        "    if row.id == 'c':\n        pytest.skip('not today')\n    return 'billing'\n",
        "--score-artifact=a.json",
    )
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    assert [(e["row"], e["unscored"]) for e in artifact(pytester)] == [("a", None), ("b", "error")]
    result.stdout.fnmatch_lines(
        ["label_match in *: 1 of 2 rows are unscored, more than 0.1 of them (first: error: the test broke: *"]
    )


def test_recorded_model_answers_are_unpacked(run: Any, pytester: pytest.Pytester) -> None:
    run(
        "import pytest\n"
        + ROWS
        + "@pytest.mark.scored(dataset=ROWS[:1], scorers=['label_match'], threshold=1)\n"
        "def test_it(row):\n"
        "    return {'choices': [{'message': {'role': 'assistant', 'content': 'billing'}}]}\n"
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("dataset=[{}], scorer=['label_match']", "there is no setting 'scorer' (did you mean 'scorers'?)"),
        ("scorers=['label_match']", "the setting 'dataset' is missing"),
        ("dataset='none.jsonl', scorers=['label_match']", "there is no dataset 'none.jsonl' (looked in *"),
        ("dataset=[], scorers=['label_match']", "dataset has no rows"),
        ("dataset=[1], scorers=['label_match']", "dataset, row 1 is not a mapping: 1"),
        ("dataset=[{'id': 1}, {'id': 1}], scorers=['label_match']", "two rows have the id '1'"),
        ("dataset=[{}], scorers=['label_mach']", "*did you mean 'label_match'*"),
        ("dataset=[{}], scorers=['label_match'], repeats=0", "repeats must be a whole number above 0, got 0"),
        ("dataset=[{}], scorers=['label_match'], mean=2", "mean must be within [[]0, 1], got 2"),
    ],
)
def test_a_wrong_marker_is_told(run: Any, marker: str, told: str) -> None:
    result = run(f"import pytest\n@pytest.mark.scored({marker})\ndef test_it(row):\n    return 1\n")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*test_it: @pytest.mark.scored: *{told}*"])


def test_a_marked_test_needs_the_argument(run: Any) -> None:
    result = run(
        "import pytest\n@pytest.mark.scored(dataset=[{}], scorers=['label_match'])\ndef test_it(): pass\n"
    )
    result.stdout.fnmatch_lines(["*takes the row as its argument 'row'*"])


# --- thresholds


def test_thresholds_are_applied_afterwards(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        TRIAGE,
        "--score-artifact=a.json",
        "--score-thresholds=t.yaml",
        t_yaml="scorers:\n  label_match: {mean: 0.9, min: 0.5}\n",
    )
    result.assert_outcomes(passed=3)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*score thresholds not met*",
            "label_match: the mean is 0.6667, below 0.9, over 3 rows",
            "  test_it.py::test_triage?b? label_match is 0",
            '    input: * {"ticket": "it crashes"}',
            "    expected:  technical",
            "    output:    billing",
            "    rationale: expected 'technical', got 'billing'",
            "label_match: the lowest row is 0, below 0.5",
        ]
    )
    # judged again without running anything
    again = judge("a.json", "--thresholds", "t.yaml")
    assert again.returncode == 100
    assert "the mean is 0.6667, below 0.9" in again.stdout
    (pytester.path / "mild.json").write_text('{"scorers": {"label_match": 0.6}}')
    mild = judge("a.json", "--thresholds", "mild.json", "--json")
    assert mild.returncode == 0
    told = json.loads(mild.stdout)
    assert told["passed"] is True
    assert told["summary"][0] == {
        "test": "test_it.py::test_triage", "scorer": "label_match", "rows": 3, "answers": 3, "unscored": {},
        "mean": pytest.approx(2 / 3), "min": 0.0, "cost_usd": None,
    }  # fmt: skip


def test_thresholds_that_are_met(run: Any) -> None:
    result = run(
        TRIAGE, "--score-thresholds=t.yaml",
        t_yaml="scorers: {label_match: 0.6}\ntests: {'test_it.py::*': {'label_*': {min_rows: 3}}}\n",
    )  # fmt: skip
    assert result.ret == 0


def test_what_was_not_measured_does_not_pass(run: Any) -> None:
    files = {"t_yaml": "scorers: {other: 0.1}\n"}
    result = run(TRIAGE, "--score-thresholds=t.yaml", **files)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["other: 0 rows have a score, and 1 are needed"])
    nothing = run("def test_it(): pass", "--score-thresholds=t.yaml", **files)
    assert nothing.ret == 1
    assert run("def test_it(): pass", "--score-thresholds=t.yaml", "--collect-only", **files).ret == 0


def test_unscored_rows_are_reported_and_limited(run: Any, pytester: pytest.Pytester) -> None:
    source = TRIAGE.replace('"expected": "technical"', '"x": 1')
    mild = run(source, "--score-artifact=a.json", "--score-thresholds=t.yaml",
               t_yaml="scorers: {label_match: {mean: 1, max_unscored: 0.4}}")  # fmt: skip
    assert mild.ret == 0
    mild.stdout.fnmatch_lines(["label_match: mean 1 over 3 rows, 1 unscored (no_expected)  *"])
    (pytester.path / "t.yaml").write_text("scorers: {label_match: 1}")
    strict = judge("a.json", "--thresholds", "t.yaml")
    assert strict.returncode == 100
    assert "1 of 3 rows are unscored, more than 0.1 of them (first: no_expected" in strict.stdout


def test_markers_state_thresholds_too(run: Any, pytester: pytest.Pytester) -> None:
    source = TRIAGE.replace("scorers=[", "mean=0.9, scorers=[")
    result = run(source, "--score-artifact=a.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["label_match in test_it.py::test_triage: the mean is 0.6667, below 0.9*"])
    assert judge("a.json").returncode == 100
    (pytester.path / "m.json").write_text('{"scorers": {"label_match": 0.6}}')
    assert judge("a.json", "--thresholds", "m.json").returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scorer: {}", "there is no key 'scorer' (did you mean 'scorers'?)"),
        ("scorers: {a: {maen: 1}}", "there is no limit 'maen' (did you mean 'mean'?)"),
        ("scorers: {a: {mean: 2}}", "mean must be within [0, 1], not 2"),
        ("scorers: {a: {min_rows: 0}}", "min_rows must be a whole number"),
        ("scorers: {a: high}", "limits are a number or a mapping"),
        ("tests: {t: 1}", "thresholds are a mapping of scorers"),
        ("scorers: {}", "has no thresholds"),
        ("[1]", "must hold a mapping"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_wrong_thresholds_are_told(pytester: pytest.Pytester, text: str, told: str) -> None:
    (pytester.path / "a.json").write_text('{"schema": "scorers.artifact/1", "records": []}')
    (pytester.path / "t.yaml").write_text(text)
    done = judge("a.json", "--thresholds", "t.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("scorers: t.yaml")
    assert told in done.stderr


def test_thresholds_that_cannot_be_read_are_not_called_unmet(run: Any) -> None:
    result = run(TRIAGE, "--score-thresholds=t.yaml", t_yaml="a: [")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*scores not judged*", "*t.yaml is not valid YAML*"])
    assert "thresholds not met" not in result.stdout.str()


def test_wrong_artifacts_are_told(run: Any, pytester: pytest.Pytester) -> None:
    assert "cannot be read" in judge("none.json").stderr
    (pytester.path / "a.json").write_text("{}")
    assert "is no artifact" in judge("a.json").stderr
    (pytester.path / "a.json").write_text('{"schema": "scorers.artifact/1", "records": []}')
    assert "give some with --thresholds" in judge("a.json").stderr
    (pytester.path / "file").write_text("")
    result = run(TRIAGE, "--score-artifact=file/a.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*file/a.json cannot be written*"])


# --- xdist, JUnit


def test_xdist_gives_the_same_artifact(run: Any, pytester: pytest.Pytester) -> None:
    files = {"t_json": '{"scorers": {"label_match": 0.9}}'}
    alone = run(TRIAGE, "--score-artifact=a.json", "--score-thresholds=t.json", **files)
    spread = run(TRIAGE, "--score-artifact=b.json", "--score-thresholds=t.json", "-n", "2", **files)
    spread.assert_outcomes(passed=3)
    assert alone.ret == spread.ret == 1
    spread.stdout.fnmatch_lines(["label_match: the mean is 0.6667, below 0.9*"])
    assert artifact(pytester) == artifact(pytester, "b.json")


def test_a_crashing_worker_does_not_take_the_others_scores(run: Any, pytester: pytest.Pytester) -> None:
    source = TRIAGE.replace(
        '    return "billing"',
        '    import os\n    if row.id == "b":\n        os._exit(3)\n    return "billing"',
    )
    result = run(source, "--score-artifact=a.json", "-n", "1", "--max-worker-restart=1")
    assert result.ret == 1
    assert {e["row"] for e in artifact(pytester)} == {"a", "c"}


def test_junit(run: Any, pytester: pytest.Pytester) -> None:
    for extra in ((), ("-n", "2")):
        run(TRIAGE.replace("scorers=[", "threshold=1, scorers=["), "--junitxml=j.xml", *extra)
        cases = {c.get("name"): c for c in ET.parse(pytester.path / "j.xml").getroot().iter("testcase")}
        values = {
            name: {p.get("name"): p.get("value") for p in case.iter("property")}
            for name, case in cases.items()
        }
        assert values["test_triage[a]"] == {"score.label_match": "1"}
        assert values["test_triage[b]"] == {"score.label_match": "0"}
        failure = cases["test_triage[b]"].find("failure")
        assert failure is not None
        assert "expected: technical" in str(failure.get("message"))


# --- judges: recorded once, replayed for nothing


JUDGED = """\
import pytest
ROWS = [{"q": "one", "expected": "first thing"}, {"q": "two", "expected": "second thing"}]

@pytest.mark.scored(dataset=ROWS, scorers=[{"use": "correctness", "judge": "acme/judge"}], mean=1)
def test_it(row):
    return "another way to say it"
"""


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    found.default = answer("It is. VERDICT: CORRECT")
    yield found
    found.close()


def test_recorded_and_replayed(run: Any, pytester: pytest.Pytester, provider: Provider) -> None:
    files = {"e_yaml": f"acme: {{base_url: '{provider.url}'}}\n"}
    recorded = run(JUDGED, "--score-record=tape.jsonl", "--score-endpoints=e.yaml",
                   "--score-artifact=a.json", **files)  # fmt: skip
    recorded.assert_outcomes(passed=2)
    assert recorded.ret == 0, recorded.stdout.str()
    assert provider.calls == 2
    provider.close()
    for extra in ((), ("-n", "2")):
        replayed = run(JUDGED, "--score-replay=tape.jsonl", "--score-endpoints=e.yaml",
                       "--score-artifact=b.json", *extra, **files)  # fmt: skip
        assert replayed.ret == 0, replayed.stdout.str()
        assert [e["value"] for e in artifact(pytester, "b.json")] == [1.0, 1.0]
    assert provider.calls == 2


def test_a_call_that_was_not_recorded_is_unscored(
    run: Any, pytester: pytest.Pytester, provider: Provider
) -> None:
    files = {"e_yaml": f"acme: {{base_url: '{provider.url}'}}\n"}
    run(JUDGED, "--score-record=tape.jsonl", "--score-endpoints=e.yaml", **files)
    changed = JUDGED.replace("another way", "a changed way")
    result = run(changed, "--score-replay=tape.jsonl", "--score-endpoints=e.yaml",
                 "--score-artifact=a.json", **files)  # fmt: skip
    assert result.ret == 1
    assert [e["unscored"] for e in artifact(pytester)] == ["judge_failed"] * 2
    assert provider.calls == 2


def test_the_tests_own_calls_are_replayed_through_score_door(
    run: Any, pytester: pytest.Pytester, provider: Provider
) -> None:
    source = """\
from promptmigrate.types import Request

def test_it(score_check, score_door):
    request = Request(model="acme/m", messages=({"role": "user", "content": "hi"},))
    score_check("contains", output=score_door.complete(request).text, expected="VERDICT")
"""
    files = {"e_yaml": f"acme: {{base_url: '{provider.url}'}}\n"}
    run(source, "--score-record=tape.jsonl", "--score-endpoints=e.yaml", **files).assert_outcomes(passed=1)
    run(source, "--score-replay=tape.jsonl", "--score-endpoints=e.yaml", **files).assert_outcomes(passed=1)
    assert provider.calls == 1


def test_wrong_options_are_told(run: Any) -> None:
    both = run("def test_it(): pass", "--score-record=a", "--score-replay=b")
    both.stderr.fnmatch_lines(["*exclude each other*"])
    missing = run("def test_it(): pass", "--score-replay=b")
    missing.stderr.fnmatch_lines(["*there is no recording b*"])
    endpoints = run("def test_it(score_door): pass", "--score-endpoints=e.yaml", e_yaml="acme: {base: x}")
    endpoints.stdout.fnmatch_lines(["*--score-endpoints: *"])


def test_help_and_markers(run: Any) -> None:
    shown = run("def test_it(): pass", "--markers")
    shown.stdout.fnmatch_lines(["@pytest.mark.scored(dataset, scorers, repeats=1*"])


def test_hostile_outputs_are_recorded(run: Any, pytester: pytest.Pytester) -> None:
    result = run(
        "import pytest\nfrom scorers.testing import hostile_values\n"
        "def test_it(score_check):\n    for value in hostile_values():\n"
        "        given = {'output': value, 'expected': value, 'inputs': {'v': value}}\n"
        "        score_check('exact_match', **given, threshold=None)\n",
        "--score-artifact=a.json",
    )
    result.assert_outcomes(passed=1)
    assert len(artifact(pytester)) > 30
    assert (pytester.path / "a.json").stat().st_size < 10_000_000


def test_without_the_option_no_artifact_is_written(run: Any, pytester: pytest.Pytester) -> None:
    run(TRIAGE)
    assert {p.name for p in pytester.path.iterdir()} - OF_PYTEST == {"test_it.py"}


def test_the_judge_is_a_command(pytester: pytest.Pytester) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scorers.pytest_plugin", "judge", "none.json"],
        capture_output=True, text=True, cwd=pytester.path, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("scorers: the artifact none.json cannot be read")


def test_a_folder_of_the_users_with_our_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    config: Any = SimpleNamespace(
        rootpath=tmp_path,
        invocation_params=SimpleNamespace(dir=tmp_path),
        issue_config_time_warning=lambda warning, stacklevel: said.append(str(warning)),
    )
    (tmp_path / "scorers").mkdir()
    pytest_plugin._check_names(config)  # a folder without Python code cannot be imported before ours
    assert said == []
    (tmp_path / "scorers" / "__init__.py").touch()
    (tmp_path / "scorers.py").touch()
    pytest_plugin._check_names(config)
    assert len(said) == 2
    assert all("rename yours" in text and str(tmp_path / "scorers") in text for text in said)
    monkeypatch.setattr("scorers.__file__", str(tmp_path / "scorers" / "__init__.py"))
    with pytest.raises(pytest.UsageError, match=f"finds {tmp_path}.*rename that file or folder"):
        pytest_plugin._check_names(config)
