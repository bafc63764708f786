"""Several targets in a real run on simulated models, and what its bundle proves of their table."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from promptmigrate.cli.tables import targets_table
from promptmigrate.proof import verify
from promptmigrate.report.wording import times
from tests.pipeline.triage_project import calibrated, migrated

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with three targets."""
    sizes = [("small", 0.0), ("tiny", 0.0), ("large", 0.1)]
    targets = [{"model": f"sim/triage-{size}", "params": {"temperature": heat}} for size, heat in sizes]
    return migrated(tmp_path_factory.mktemp("targets"), targets=targets).dir


def test_the_untouched_bundle_of_a_run_with_several_targets_holds(run: Path):
    report = verify(run / "bundle.zip")
    assert report.ok, [str(finding) for finding in report.findings]
    assert any("beside" in sentence for sentence in report.checked)
    assert verify(run / "bundle.zip", again=True).ok


@pytest.mark.parametrize(
    "path",
    [
        ("delta",),
        ("interval", 0),
        ("joint_interval", 1),
        ("cost_ratio", "value"),
        ("cost_ratio", "interval", 0),
        ("p95_latency_ratio", "value"),
        ("p95_latency_ratio", "interval", 1),
        ("candidate", "cost_per_call_usd"),
        ("switch_if",),
    ],
)
@pytest.mark.parametrize("place", range(3))
def test_a_number_of_the_table_beside_it_that_was_changed_is_named(
    run: Path, tmp_path: Path, path: tuple[str | int, ...], place: int
):
    shutil.copy(run / "bundle.zip", tmp_path)
    shown: dict[str, Any] = json.loads((run / "verdict.json").read_text())
    inner: Any = shown["targets"][place]
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] += " Or not." if path == ("switch_if",) else 0.01
    (tmp_path / "verdict.json").write_text(json.dumps(shown))
    report = verify(tmp_path / "bundle.zip")
    (finding,) = report.findings
    assert finding.entry == "verdict.json beside it"
    assert finding.field.startswith(f"targets[{place}].{path[0]}")


def test_the_table_and_the_report_show_the_joint_intervals_of_cost_and_latency(run: Path):
    summary: dict[str, Any] = json.loads((run / "verdict.json").read_text())
    page = (run / "report.html").read_text()
    console = Console(width=80, file=io.StringIO())
    console.print(targets_table(summary))
    written = console.file.getvalue()
    for target in summary["targets"]:
        assert target["model"] in written and target["verdict"] in written
        for ratio in (target["cost_ratio"], target["p95_latency_ratio"]):
            low, high = ratio["interval"]
            assert low <= ratio["value"] <= high
            assert f" {low:.2f} to {high:.2f}x" in written
            assert f"<small>{times(low)} to {times(high)}</small>" in page
    for target in summary["targets"]:
        if target["verdict"] == "PROMOTE":
            low, high = target["cost_ratio"]["interval"]
            assert f"({low:.2f}x to {high:.2f}x)" in target["switch_if"]


def test_where_a_judges_mistakes_are_taken_out_the_table_shows_what_decided(tmp_path: Path):
    judge = {"use": "equivalence", "judge": "sim/judge", "params": {"temperature": 0}}
    calibrated(tmp_path, judge, rows=60)
    targets = [{"model": f"sim/triage-{size}", "params": {"temperature": 0}} for size in ("small", "tiny")]
    scorers = [{**judge, "calibration": "card.json"}]
    done = migrated(tmp_path, targets=targets, scorers=scorers, budget={"calls": 2500})
    summary = json.loads((done.dir / "verdict.json").read_text())
    [chosen] = [one for one in summary["targets"] if one["chosen"]]
    assert summary["corrected"]["interval"] != summary["interval"]
    for name in ("delta", "interval"):
        assert chosen[name] == summary["corrected"][name]
    low, high = chosen["interval"]
    if summary["verdict"] == "PROMOTE":
        assert f"{100 * low:+.1f} and {100 * high:+.1f} points" in chosen["switch_if"]
    report = verify(done.dir / "bundle.zip")
    assert report.ok, [str(finding) for finding in report.findings]
