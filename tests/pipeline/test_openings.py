"""The same test rows decided on again, in real runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptmigrate.proof import verify
from tests.pipeline.triage_project import migrated

pytestmark = pytest.mark.slow


def test_a_margin_that_is_changed_after_the_rows_were_seen_is_named(tmp_path: Path):
    first = migrated(tmp_path)
    assert first.summary["test_openings"] == 1
    assert not any("settings" in warning for warning in first.summary["warnings"])
    second = migrated(tmp_path, gate={"margin": 0.2, "guardrails": {"cost_ratio": 5.0}})
    assert second.candidate == first.candidate
    assert sum(second.summary["spend"]["calls"].values()) == 0
    assert second.summary["test_openings"] == 2
    said = "\n".join(second.summary["warnings"])
    assert "now judged this candidate in 2 decisions" in said and "2 candidates" not in said
    assert "gate.guardrails.cost_ratio (not given -> 5.0); gate.margin (0.1 -> 0.2)." in said
    # The first command again is the first verdict again, whatever was asked since.
    again = migrated(tmp_path)
    assert again.dir == first.dir
    for key in ("verdict", "reasons", "warnings", "test_openings"):
        assert again.summary[key] == first.summary[key]
    for run in (again, second):
        report = verify(run.dir / "bundle.zip")
        assert report.ok, [str(finding) for finding in report.findings]
