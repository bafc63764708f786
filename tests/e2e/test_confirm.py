"""In a terminal somebody is asked before money is spent."""

from __future__ import annotations

import os
import pty
import subprocess
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


def in_a_terminal(work: Project, answer: str) -> tuple[int, str]:
    """Exit code and all that was shown."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        work.command("migrate", str(work.write())),
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
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
        if b"Go on?" in shown and not asked:
            asked = True
            os.write(ours, f"{answer}\n".encode())
    os.close(ours)
    return running.wait(), shown.decode("utf-8", "replace")


def test_no_ends_the_run_before_a_call_and_yes_goes_on(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    code, shown = in_a_terminal(work, "n")
    assert code == 2, shown
    assert "forecast: " in shown
    assert "stopped before anything was spent" in shown
    assert server.calls == 0
    assert not list(tmp_path.glob("runs/moods/*/run.json"))
    code, shown = in_a_terminal(work, "y")
    assert code == 0, shown
    assert "PROMOTE" in shown
