"""How a host finds the run that it is to help with."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promptmigrate.errors import StorageError, UsageError
from promptmigrate.pipeline import meeting, pen
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.meeting import Meeting
from promptmigrate.pipeline.rundir import RunDir
from tests.pipeline.test_plan import PROMPT, config
from tests.postgres import Server, postgres  # noqa: F401 - a fixture


def test_a_run_is_joined_until_it_has_ended(
    tmp_path: Path,
    postgres: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(meeting, "_WAIT_S", 0.0)
    url = postgres.database()
    run = RunDir(tmp_path / "here" / "t" / "abc")
    run.path.mkdir(parents=True)
    run.dataset.write_bytes(b"rows")
    run.write_state(config_digest=config().digest, prompt_digest=PROMPT.digest, state="running")
    lead, other = Meeting(url), Meeting(url)

    def join() -> RunDir:
        return other.join(config(), PROMPT.digest, tmp_path / "there", Listener())

    try:
        with pytest.raises(UsageError, match=r"no run of .* is in the shared storage; start one"):
            join()
        lead.open(run)
        assert join().dataset.read_bytes() == b"rows"
        lead.done(run)
        with pytest.raises(UsageError, match=r"run abc of .* has ended, so nothing is left to help with"):
            join()
    finally:
        lead.close()
        other.close()


def test_who_comes_to_the_gate_first_settles_its_rows_for_all(
    tmp_path: Path,
    postgres: Server,  # noqa: F811
):
    url = postgres.database()
    here, there = RunDir(tmp_path / "here" / "abc"), RunDir(tmp_path / "there" / "abc")
    lead, other = Meeting(url), Meeting(url)
    try:
        assert other.gate(there) is None
        assert other.settle_gate(there, {"rows": 85, "short": ""}) == {"rows": 85, "short": ""}
        assert lead.gate(here) == {"rows": 85, "short": ""}
        assert lead.settle_gate(here, {"rows": 31, "short": "few"}) == {"rows": 85, "short": ""}
    finally:
        lead.close()
        other.close()


def test_one_host_writes_the_result_although_the_storage_forgot_who_leads(
    tmp_path: Path,
    postgres: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pen, "_BEAT_S", 0.05)
    monkeypatch.setattr(pen, "_STILL", 40)
    monkeypatch.setattr(meeting, "_POLL_S", 0.05)
    run = RunDir(tmp_path / "abc")
    url = postgres.database()
    lead, other = Meeting(url), Meeting(url)
    try:
        assert lead.take_over(run)
        with lead.pen(run).taken():
            postgres.stop()  # with the connection goes the lead
            postgres.start()
            with ThreadPoolExecutor() as pool:
                waiting = pool.submit(other.take_over, run)
                for _ in range(60):
                    lead.pen(run).check()
                    time.sleep(meeting._POLL_S)
                assert not waiting.done()
                lead.done(run)
                assert waiting.result() is False
    finally:
        lead.close()
        other.close()


def test_the_pen_of_a_host_that_died_is_taken_and_it_cannot_write_any_more(
    tmp_path: Path,
    postgres: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pen, "_BEAT_S", 3600.0)  # as if it had stopped
    monkeypatch.setattr(meeting, "_POLL_S", 0.01)
    run = RunDir(tmp_path / "abc")
    url = postgres.database()
    dead, other = Meeting(url), Meeting(url)
    try:
        assert dead.take_over(run)
        with dead.pen(run).taken():
            postgres.stop()
            postgres.start()
            assert other.take_over(run)
            with other.pen(run).taken():
                with pytest.raises(StorageError, match="another process writes the result of run abc now"):
                    dead.pen(run).check()
                other.done(run)
        assert not dead.take_over(run)
    finally:
        dead.close()
        other.close()
