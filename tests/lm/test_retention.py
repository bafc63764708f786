"""Old runs and answers are taken out of the shared storage; what somebody works with stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptmigrate.cli import storage
from promptmigrate.errors import UsageError
from promptmigrate.lm import Door
from promptmigrate.lm.retention import prune, stored
from tests.lm.conftest import Provider, ask
from tests.postgres import Server

Opened = Callable[..., Door]


def age(postgres: Server, url: str, what: str, days: int, where: str = "true") -> None:
    table, column = what.split(".")
    postgres.execute(
        f"UPDATE promptmigrate.{table} SET {column} = {column} - {days * 86400} WHERE {where}", url
    )


def test_only_what_is_old_goes(provider: Provider, opened: Opened, postgres: Server) -> None:
    url = postgres.database()
    for run in ("old", "new"):
        with opened(storage=url, run=run) as door:
            assert door.complete(ask(run)).answered
    age(postgres, url, "spans.ended", 40, "run = 'old'")
    age(postgres, url, "replies.used", 40)
    with opened(storage=url, run="new") as door:
        assert door.complete(ask("new")).cached, "and so of use again"
    assert (stored(url).runs, stored(url).answers) == (2, 2)
    assert prune(url, days=30, dry_run=True).runs == 1
    assert stored(url).runs == 2
    gone = prune(url, days=30)
    assert (gone.runs, gone.answers) == (1, 1)
    left = stored(url)
    assert (left.runs, left.answers) == (1, 1)
    assert left.megabytes > 0
    with opened(storage=url, run="new") as door:
        assert door.complete(ask("new")).cached
        assert door.account().calls["task"] == 1


def test_nothing_of_a_running_run_goes(provider: Provider, opened: Opened, postgres: Server) -> None:
    url = postgres.database()
    door = opened(storage=url, run="long")
    assert door.complete(ask("first")).answered
    age(postgres, url, "spans.ended", 40)
    age(postgres, url, "spans.started", 40)
    age(postgres, url, "replies.used", 40)
    gone = prune(url, days=30)
    assert (gone.runs, gone.answers, gone.working) == (0, 0, 1)
    assert door.complete(ask("first")).cached
    assert door.account().calls["task"] == 1


def test_an_age_that_cannot_be_told_is_refused(postgres: Server) -> None:
    with pytest.raises(UsageError, match="1d or more"):
        prune(postgres.database(), days=0.5)


def test_the_command(
    provider: Provider, opened: Opened, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    monkeypatch.setenv("SHARED", url)
    with opened(storage=url, run="old") as door:
        door.complete(ask("x"))
    age(postgres, url, "spans.ended", 8)
    text = "name: t\nprompt: {text: 'Say {{x}}'}\ntargets: [{model: sim/echo}]\n"
    text += "data: {traces: {file: c.jsonl}}\ngate: {margin: 0.1}\n"
    (tmp_path / "e.yaml").write_text(text + "storage: {url_env: SHARED}\n")
    (tmp_path / "alone.yaml").write_text(text)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(storage.app, list(arguments))
        return result.output if result.exception is None else str(result.exception)

    assert "1 runs, 1 answers" in run("show", str(tmp_path / "e.yaml"))
    assert "would delete 1 runs" in run("prune", str(tmp_path / "e.yaml"), "--older-than", "1w", "--dry-run")
    assert "deleted 1 runs and 0 answers" in run("prune", str(tmp_path / "e.yaml"), "--older-than", "7d")
    assert "names no 'storage'" in run("show", str(tmp_path / "alone.yaml"))
