"""``promptmigrate storage``: what is wrong with the command is said before the storage is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptmigrate.cli import storage
from promptmigrate.errors import UsageError


@pytest.mark.parametrize(
    ("age", "said"),
    [("soon", "must be an age such as 30d"), ("2h", "an age of 1d or more")],
)
def test_a_bad_age_is_said_first(tmp_path: Path, age: str, said: str):
    path = str(tmp_path / "there-is-none.yaml")
    result = CliRunner().invoke(storage.app, ["prune", path, "--older-than", age])
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
