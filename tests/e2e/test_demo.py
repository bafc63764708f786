"""``promptmigrate demo``, as a newcomer runs it: no key, no network, again after a kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptmigrate.gateway.route import load_route

pytestmark = pytest.mark.slow


def started(folder: Path) -> subprocess.Popen[str]:
    kept = {key: value for key, value in os.environ.items() if not key.endswith(("_KEY", "_URI"))}
    return subprocess.Popen(
        [sys.executable, "-m", "promptmigrate", "demo"],
        cwd=folder, env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def demo(folder: Path) -> tuple[int, str]:
    """Exit code, and what it told."""
    with started(folder) as process:
        _, told = process.communicate(timeout=280)
        return process.returncode, told


def test_the_demo_tells_the_whole_story_after_one_that_was_killed(tmp_path: Path):
    with started(tmp_path) as killed:
        assert killed.stderr is not None
        assert any("2. Migration" in line for line in killed.stderr)
        killed.kill()
    assert (tmp_path / "demo/mlflow.db").exists()
    code, told = demo(tmp_path)
    assert code == 0, told
    assert "PROMOTE" in told
    assert "What changed in the prompt" in told
    assert "by candidate" in told
    assert told.count("simulated") >= 3
    assert "mlflow ui --backend-store-uri sqlite:///demo/mlflow.db" in told
    assert "1600 read, 1600 kept" in told  # it started clean: traces of the killed one are not among them
    route = load_route(tmp_path / "demo/routes/support_triage.yaml")
    assert route.revision == 1
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    report = next((tmp_path / "demo/runs").glob("support_triage/*/report.html")).read_text()
    assert "Simulated models" in report


def test_a_folder_that_is_not_a_demo_is_never_emptied(tmp_path: Path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    assert demo(tmp_path)[0] == 2
    assert (tmp_path / "demo" / "thesis.txt").read_text() == "years of work"
