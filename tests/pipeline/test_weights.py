"""Rows that weigh more: every number of a run counts them alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.triage_project import migrated


def test_scorers_and_the_interval_of_the_old_prompt_are_weighted_as_the_quality_is(tmp_path: Path):
    shown = migrated(
        tmp_path,
        weigh=lambda index: 60.0 if index % 8 == 0 else 1.0,
        search={"strategy": "metaprompt", "reflection_model": "sim/editor"},
    ).summary
    (only,) = shown["scorers"]
    for side in ("baseline", "candidate"):
        assert only[side] == pytest.approx(shown[side]["score"])
    low, high = shown["before"]["interval"]
    assert low <= shown["before"]["score"] <= high
