"""The same test rows decided on again, in real runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptmigrate.proof import verify
from tests.pipeline.triage_project import calibrated, migrated

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


def test_rows_that_were_seen_count_although_the_dataset_has_grown(tmp_path: Path):
    first = migrated(tmp_path)
    second = migrated(tmp_path, rows=190, gate={"margin": 0.2})
    grown = second.summary["rows"]["test"]
    assert grown > first.summary["rows"]["test"]
    said = "\n".join(second.summary["warnings"])
    share = f"{100 * first.summary['rows']['test'] / grown:.1f}% of these test rows"
    assert f"{share} were decided on before under other settings: gate.margin (0.1 -> 0.2)." in said
    assert second.summary["test_openings"] == 2
    report = verify(second.dir / "bundle.zip")
    assert report.ok, [str(finding) for finding in report.findings]


def test_a_price_that_is_changed_after_the_rows_were_seen_is_named(tmp_path: Path):
    dear = {"sim/triage-small": {"input_per_mtok": 0.5, "output_per_mtok": 0.5}}
    cheap = {"sim/triage-small": {"input_per_mtok": 0.25, "output_per_mtok": 0.5}}
    first, second = (migrated(tmp_path, prices=prices) for prices in (dear, cheap))
    assert first.summary["test_openings"] == 1
    said = "\n".join(second.summary["warnings"])
    assert "under other settings: prices.sim/triage-small.input_per_mtok (0.5 -> 0.25)" in said
    for run in (first, second):
        report = verify(run.dir / "bundle.zip")
        assert report.ok, [str(finding) for finding in report.findings]


def test_a_judge_that_is_calibrated_anew_after_the_rows_were_seen_is_named(tmp_path: Path):
    judge = {"use": "equivalence", "judge": "sim/judge", "params": {"temperature": 0}}
    scorers = [{**judge, "calibration": "card.json"}]
    calibrated(tmp_path, {**judge}, rows=24)
    first = migrated(tmp_path, scorers=scorers, budget={"calls": 1500})
    assert not any("settings" in warning for warning in first.summary["warnings"])
    calibrated(tmp_path, {**judge}, rows=30)
    second = migrated(tmp_path, scorers=scorers, budget={"calls": 1500})
    assert second.dir != first.dir and second.candidate == first.candidate
    said = "\n".join(second.summary["warnings"])
    assert "under other settings: calibration.true_negative (12 -> 15)" in said
    assert "calibration.true_positive (12 -> 15)" in said
    for run in (first, second):
        report = verify(run.dir / "bundle.zip")
        assert report.ok, [str(finding) for finding in report.findings]
