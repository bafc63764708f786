"""A search that has ended is not made again, also by a strategy that would come to something else."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.coin import installed
from tests.e2e.foreign import Foreign
from tests.e2e.harness import Project, Result, project

pytestmark = pytest.mark.slow
COIN = {"reflection_model": "acme/writer", "strategy": "coin"}


@pytest.fixture
def server() -> Iterator[Foreign]:
    with Foreign() as running:
        yield running


@pytest.fixture
def found(tmp_path: Path) -> dict[str, str]:
    """The environment in which the package with the strategy is found."""
    return installed(tmp_path / "site")


def again(work: Project, found: dict[str, str], *options: str) -> Result:
    return work.run("migrate", "experiment.yaml", "--json", *options, environment=work.environment(**found))


def marks(run: Path) -> list[tuple[Any, ...]]:
    """What the log of outcomes holds."""
    lines = [json.loads(line) for line in (run / "outcomes.jsonl").read_text().splitlines()]
    return sorted((line["variant"], line["example"], line["repeat"], line["phase"]) for line in lines)


def test_the_same_command_after_the_verdict_pays_nothing_and_says_the_same(
    server: Foreign, found: dict[str, str], tmp_path: Path
):
    work = project(tmp_path, server)
    work.write(search=COIN)
    first = again(work, found)
    assert first.code == 0, first.err
    assert "  search: the coin has fallen" in first.err.splitlines()
    calls = server.calls
    logged = marks(tmp_path / first.json["run_dir"])
    for options in ((), ("--run", first.json["run_dir"]), ("--workers", "2")):
        second = again(work, found, *options)
        assert second.code == 0, second.err
        assert server.calls == calls
        assert second.json["test_openings"] == 1
        for key in ("verdict", "delta", "interval", "baseline", "candidate", "before", "prompts", "search"):
            assert second.json[key] == first.json[key], key
        assert marks(tmp_path / first.json["run_dir"]) == logged
    refused = again(work, found, "--record", "tape.jsonl")
    assert refused.code == 2
    assert "--record needs the search from its beginning" in refused.err
    assert server.calls == calls


def test_a_run_that_dies_in_the_gate_keeps_its_winner(server: Foreign, found: dict[str, str], tmp_path: Path):
    work = project(tmp_path, server)
    path = work.write(search=COIN)
    server.latency_s = 0.05
    running = subprocess.Popen(
        work.command("migrate", str(path)),
        cwd=work.folder,
        env=work.environment(**found),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list(tmp_path.glob("runs/moods/*/searches/0.json")):
        assert running.poll() is None
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait()
    server.latency_s = 0.0
    [kept] = tmp_path.glob("runs/moods/*/searches/0.json")
    assert not (kept.parent.parent / "verdict.json").exists()
    data = json.loads(kept.read_text())
    winner = data["variants"][data["found"]["best"]]["prompt"]
    result = again(work, found)
    assert result.code == 0, result.err
    assert result.json["prompts"]["candidate"] == winner
    assert result.json["test_openings"] == 1
    assert server.repeated <= 35  # what was in flight at the kill


def test_workers_agree_on_the_first_result(server: Foreign, found: dict[str, str], tmp_path: Path):
    work = project(tmp_path, server)
    work.write(search=COIN)
    server.latency_s = 0.05
    result = again(work, found, "--workers", "3")
    assert result.code == 0, result.err
    # three draws of ten rows each, contact and a look before: the gate asked about one of the draws only
    rows = result.json["rows"]
    asked = [model for model, _ in server.log].count("petite")
    assert asked <= rows["test"] + 3 * 10 + 80 + 3
    assert result.json["test_openings"] == 1


def test_a_kept_search_that_cannot_be_read_is_named_with_what_to_do(
    server: Foreign, found: dict[str, str], tmp_path: Path
):
    work = project(tmp_path, server)
    work.write(search=COIN)
    first = again(work, found)
    assert first.code == 0, first.err
    [kept] = tmp_path.glob("runs/moods/*/searches/0.json")
    calls, whole = server.calls, kept.read_bytes()
    other = json.loads(whole) | {"run": "sha256:0"}
    for broken, said in (
        (whole[:-40], "cannot be read"),
        (b"", "cannot be read"),
        (b"\xd8\x00" + whole, "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"schema": 7}', "was written by another version"),
        (json.dumps(other).encode(), "is the search of another run"),
        (whole.replace(b"mood", b"food", 1), "is not as it was written"),
        (whole.replace(b'"rows": ', b'"rows": 1', 1), "is not as it was written"),
    ):
        assert broken != whole
        kept.write_bytes(broken)
        result = again(work, found)
        assert result.code == 2, result.err
        assert "0.json" in result.err and said in result.err and "delete it" in result.err
    assert server.calls == calls
