"""promptmigrate evaluate against an endpoint that is not what one hoped for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.foreign import Foreign
from tests.e2e.harness import project

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Foreign]:
    with Foreign() as running:
        yield running


def test_why_rows_are_missing_is_told_and_only_these_are_asked_again(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, rows=60)
    server.fault = lambda number: 400 if number % 5 == 0 else None
    path = str(work.write())
    first = work.run("evaluate", path, "--json")
    assert first.code == 0, first.err
    assert "for instance provider_error: " in first.err
    missing = sum(row["missing"] for row in first.json["variants"])
    assert missing == server.calls // 5
    server.fault = None
    again = work.run("evaluate", path, "--json")
    assert again.json["spend"]["calls"]["task"] == first.json["spend"]["calls"]["task"] + missing
    assert [row["complaint"] for row in again.json["variants"]] == [None, None]
    assert server.repeated == 0


def test_a_model_of_which_nothing_can_be_measured_is_no_success(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, rows=60)
    server.fault = lambda _: 400
    result = work.run("evaluate", str(work.write()), "--limit", "5", "--json")
    assert result.code == 2
    assert "none of 5 answers of acme/grand could be measured: provider_error: " in result.err
    assert [row["score"] for row in result.json["variants"]] == [None, None]


def test_why_no_row_is_usable_is_told_also_where_nothing_else_is(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server, rows=60)
    row = {"inputs": {"note": "I am well"}, "expectations": {"expected_response": "good"}}
    rows = [row, {**row, "expectations": {"expected_response": "bad"}}]
    (tmp_path / "both.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    path = str(work.write(data={"traces": {"file": "both.jsonl"}}))
    for command in ("evaluate", "migrate"):
        result = work.run(command, path, "--json", "--quiet")
        assert result.code == 2
        assert "no usable row: 1 inputs whose right answers contradict each other" in result.err
    assert server.calls == 0
