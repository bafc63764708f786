"""Several processes on one run: they divide the calls, and any of them may die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.foreign import Foreign
from tests.e2e.harness import Project, project
from tests.postgres import PASSWORD, Server

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Foreign]:
    with Foreign(latency_s=0.15) as running:
        yield running


def small(folder: Path, server: Foreign) -> Project:
    return project(folder, server, rows=300, calls=500, margin=0.08)


def start(work: Project, *options: str) -> subprocess.Popen[bytes]:
    with (work.folder / "stdout").open("wb") as out, (work.folder / "stderr").open("wb") as err:
        return subprocess.Popen(
            work.command("migrate", str(work.write()), "--workers", "3", *options),
            cwd=work.folder,
            env=work.environment(),
            stdout=out,
            stderr=err,
        )


def workers(folder: Path) -> dict[int, int]:
    """Worker -> process, as the operating system lists them."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            here = (entry / "cwd").readlink() == folder
        except OSError:
            continue
        if here and "--worker" in words:
            found[int(words[words.index("--worker") + 1].split("/")[0])] = int(entry.name)
    return found


def until(condition: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def paid(run: Path, worker: int) -> int:
    """Answers that ``worker`` asked for itself."""
    lines = (run / "workers" / f"{worker}.outcomes.jsonl").read_text().splitlines()
    return sum(not json.loads(line)["cached"] for line in lines)


def test_workers_divide_the_calls_and_a_dead_one_is_not_missed(server: Foreign, tmp_path: Path):
    work = small(tmp_path, server)
    running = start(work, "--json")
    until(lambda: len(workers(tmp_path)) == 2 and server.calls > 60)
    os.kill(workers(tmp_path)[2], signal.SIGKILL)
    assert running.wait(timeout=200) == 0, (tmp_path / "stderr").read_text()
    summary = json.loads((tmp_path / "stdout").read_text())
    assert summary["verdict"] == "PROMOTE"
    assert sum(summary["spend"]["calls"].values()) == server.calls <= 500
    # What the dead one had been told in the moment of its death is all that may be asked again.
    assert server.repeated <= 30
    assert paid(tmp_path / summary["run_dir"], 1) > 20
    assert workers(tmp_path) == {}


def test_a_worker_finishes_what_the_dead_leader_began(server: Foreign, tmp_path: Path):
    work = small(tmp_path, server)
    running = start(work)
    until(lambda: len(workers(tmp_path)) == 2 and server.calls > 60)
    running.kill()
    running.wait()
    until(lambda: list(tmp_path.glob("runs/moods/*/verdict.json")) and not workers(tmp_path))
    [verdict] = tmp_path.glob("runs/moods/*/verdict.json")
    assert json.loads(verdict.read_text())["verdict"] == "PROMOTE"
    assert json.loads((verdict.parent / "run.json").read_text())["state"] == "finished"
    assert server.calls <= 500
    calls = server.calls
    again = work.run("migrate", "experiment.yaml", "--json")
    assert again.code == 0, again.err
    assert again.json["verdict"] == "PROMOTE"
    assert server.calls == calls


def test_workers_cannot_record(server: Foreign, tmp_path: Path):
    work = small(tmp_path, server)
    result = work.run("migrate", str(work.write()), "--workers", "2", "--record", "tape.jsonl")
    assert result.code == 2
    assert "for one worker alone" in result.err
    assert server.calls == 0


def two_hosts(server: Foreign, folder: Path, url: str) -> list[subprocess.Popen[bytes]]:
    """One that leads in ``here`` and one that joins in ``there``."""
    running = []
    for name, option in (("here", "--quiet"), ("there", "--join")):
        place = folder / name
        place.mkdir()
        work = small(place, server)
        path = work.write(
            storage={"url_env": "SHARED"}, mlflow={"tracking_uri": f"sqlite:///{folder}/mlflow.db"}
        )
        with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
            running.append(
                subprocess.Popen(
                    work.command("migrate", str(path), option, "--json"),
                    cwd=place,
                    env=work.environment(SHARED=url),
                    stdout=out,
                    stderr=err,
                )
            )
    return running


def test_a_host_joins_by_the_database_and_finishes_for_a_dead_leader(
    server: Foreign, tmp_path: Path, postgres: Server
):
    here, there = tmp_path / "here", tmp_path / "there"
    running = two_hosts(server, tmp_path, postgres.database())
    (there / "calls.jsonl").unlink()  # its rows come from the one that leads
    until(lambda: list(there.glob("runs/moods/*/workers/1.outcomes.jsonl")) and server.calls > 120)
    running[0].kill()
    running[0].wait()
    assert running[1].wait(timeout=200) == 0, (there / "stderr").read_text()
    [verdict] = there.glob("runs/moods/*/verdict.json")
    assert json.loads(verdict.read_text())["verdict"] == "PROMOTE"
    assert json.loads((there / "stdout").read_text())["verdict"] == "PROMOTE"
    assert paid(verdict.parent, 1) > 20
    assert server.calls <= 500
    for path in [*here.rglob("*"), *there.rglob("*")]:
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_one_host_writes_the_result_though_the_database_forgot_who_leads(
    server: Foreign, tmp_path: Path, postgres: Server
):
    running = two_hosts(server, tmp_path, postgres.database())
    until(lambda: list(tmp_path.glob("there/runs/moods/*/workers/1.outcomes.jsonl")) and server.calls > 60)
    postgres.stop()
    postgres.start()
    codes = [process.wait(timeout=200) for process in running]
    said = [(tmp_path / name / "stderr").read_text() for name in ("here", "there")]
    results = [
        json.loads(text) for name in ("here", "there") if (text := (tmp_path / name / "stdout").read_text())
    ]
    assert sorted(str(result["verdict"]) for result in results)[-1] == "PROMOTE", said
    assert len(list(tmp_path.glob("*/runs/moods/*/verdict.json"))) == 1, said
    assert len(list(tmp_path.glob("*/routes/moods.yaml"))) == 1
    if codes[0]:  # the one that joined was faster
        assert "another process has brought run" in said[0]
        assert codes == [2, 0]
    assert server.calls <= 500


@pytest.mark.parametrize(
    "options", [("--workers", "2"), ("--run", "there"), ("--record", "tape"), ("--replay", "tape")]
)
def test_joining_takes_no_options_of_the_one_that_leads(
    server: Foreign, tmp_path: Path, options: tuple[str, str]
):
    work = small(tmp_path, server)
    result = work.run("migrate", str(work.write(storage={"url_env": "SHARED"})), "--join", *options)
    assert result.code == 2
    assert f"--join cannot be used with {options[0]}" in result.err
    assert server.calls == 0


def test_the_doctor_looks_at_the_database_and_never_shows_the_password(
    server: Foreign, tmp_path: Path, postgres: Server
):
    work = small(tmp_path, server)
    path = str(work.write(storage={"url_env": "SHARED"}))
    url = postgres.database()
    well = work.run("doctor", path, environment=work.environment(SHARED=url))
    assert well.code == 0, well.err
    assert "storage: the database that workers share answers" in well.err
    ill = work.run("doctor", path, environment=work.environment(SHARED=url.replace(PASSWORD, PASSWORD[::-1])))
    assert ill.code == 2
    assert "storage" in ill.err
    assert PASSWORD[::-1] not in ill.err
