"""``promptmigrate demo``, as a newcomer runs it: no key, no network, twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptmigrate.gateway.route import load_route

pytestmark = pytest.mark.slow


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.endswith(("_KEY", "_URI"))}
    return subprocess.run(
        [sys.executable, "-m", "promptmigrate", "demo"],
        cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip


def test_the_demo_tells_the_whole_story_twice(tmp_path: Path):
    first, second = demo(tmp_path), demo(tmp_path)
    for done in (first, second):
        assert done.returncode == 0, done.stderr
        assert "PROMOTE" in done.stderr
        assert "What changed in the prompt" in done.stderr
        assert "by candidate" in done.stderr
        assert done.stderr.count("simulated") >= 3
        assert "mlflow ui --backend-store-uri sqlite:///demo/mlflow.db" in done.stderr
    route = load_route(tmp_path / "demo/routes/support_triage.yaml")
    assert route.revision == 1  # the second demo started clean
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    report = next((tmp_path / "demo/runs").glob("support_triage/*/report.html")).read_text()
    assert "Simulated models" in report


def test_a_folder_that_is_not_a_demo_is_never_emptied(tmp_path: Path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    done = demo(tmp_path)
    assert done.returncode == 2
    assert (tmp_path / "demo" / "thesis.txt").read_text() == "years of work"
