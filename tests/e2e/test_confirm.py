"""In a terminal somebody is asked before money is spent."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.foreign import Foreign
from tests.e2e.harness import Project, project

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Foreign]:
    with Foreign() as running:
        yield running


HEED_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Of a shell that put the tests into the background, a process inherits that SIGINT is ignored."""


def in_a_terminal(work: Project, answer: bytes | signal.Signals) -> tuple[int, str]:
    """Exit code and all that was shown; ``answer`` is typed, or sent as Ctrl-C sends it."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", HEED_CTRL_C, *work.command("migrate", str(work.write()))],
        cwd=work.folder,
        env=work.environment(COLUMNS="200", TERM="dumb"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    asked = False
    while True:
        ready, _, _ = select.select([ours], [], [], 2.0)
        if not ready and not asked:
            continue
        if ready:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
            if b"Go on?" not in shown or asked:
                continue
            asked = True
        # What comes just before the process reads may be lost: nothing happens, and people do it again.
        if isinstance(answer, bytes):
            os.write(ours, answer)
        else:
            running.send_signal(answer)
    os.close(ours)
    return running.wait(), shown.decode("utf-8", "replace")


CTRL_D = b"\x04"


def test_no_ends_the_run_before_a_call_and_yes_goes_on(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    for answer in (b"n\n", b"\n", CTRL_D, signal.SIGINT):
        code, shown = in_a_terminal(work, answer)
        assert code == 2, shown
        assert "forecast: " in shown
        assert shown.splitlines()[-1].strip() == "promptmigrate: stopped before anything was spent"
        assert "Abort" not in shown
        assert server.calls == 0
        assert not list(tmp_path.glob("runs/moods/*/run.json"))
    code, shown = in_a_terminal(work, b"y\n")
    assert code == 0, shown
    assert "PROMOTE" in shown

    # Nobody is asked for money that will not be spent.
    calls = server.calls
    code, shown = in_a_terminal(work, b"n\n")
    assert code == 0, shown
    assert "forecast: nothing; this run has its verdict, and all its answers are kept" in shown
    assert "Go on?" not in shown
    assert server.calls == calls

    # Answers that are lost cost money again.
    for path in tmp_path.glob("runs/calls.sqlite*"):
        path.unlink()
    code, shown = in_a_terminal(work, b"n\n")
    assert code == 2, shown
    assert shown.splitlines()[-1].strip() == "promptmigrate: stopped before anything more was spent"
    assert server.calls == calls


def test_ctrl_c_in_the_search_says_that_the_same_command_goes_on(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    server.latency_s = 0.05
    running = subprocess.Popen(
        [sys.executable, "-c", HEED_CTRL_C, *work.command("migrate", str(work.write()))],
        cwd=work.folder,
        env=work.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    while server.calls < 100:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, shown = running.communicate(timeout=60)
    assert running.returncode == 130, shown
    assert shown.splitlines()[-1] == "promptmigrate: stopped; the same command goes on where it was"
    server.latency_s = 0.0
    assert work.run("migrate", "experiment.yaml").code == 0
