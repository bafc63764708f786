"""The README's examples are executed, so that they stay true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import scorers
from promptmigrate.cli.app import app
from promptmigrate.config import load_config, parse_config
from promptmigrate.files import parse_yaml
from tests.e2e.foreign import Foreign
from tests.e2e.harness import project

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_experiment_file_is_the_one_in_configs():
    assert blocks("yaml")[0] == (ROOT / "configs/any_server.yaml").read_text().split("\n", 1)[1]


def test_the_longer_experiment_is_valid():
    base = parse_yaml(blocks("yaml")[0])[0]
    parse_config({**base, **parse_yaml(blocks("yaml")[1])[0]})


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_is_valid(path: Path):
    load_config(path)


def test_the_data_row_is_json():
    row = json.loads(blocks("json")[0])
    assert set(row) == {"inputs", "reference", "expectations", "group"}


def test_the_scorer_examples_pass_as_tests(tmp_path: Path):
    (tmp_path / "test_scorers.py").write_text(blocks("python")[1])
    (tmp_path / "test_plugin.py").write_text(blocks("python")[2])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


@pytest.mark.slow
def test_the_python_api_runs_as_written(tmp_path: Path):
    with Foreign() as server:
        work = project(tmp_path, server)
        work.write().rename(tmp_path / "promptmigrate.yaml")
        code = blocks("python")[0].replace('{"ticket": "I was charged twice"}', '{"note": "I am thrilled"}')
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path, env=work.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PROMOTE Quality holds")
    assert len(done.stdout.splitlines()) == 2


def test_the_numbers_of_scorers_are_counted():
    judges = [name for name in scorers.names() if hasattr(getattr(scorers, name), "ask")]
    assert f"{len(scorers.names()) - len(judges)} measures and {len(judges)} judges" in README


def test_every_command_in_the_table_exists():
    named = set(re.findall(r"`promptmigrate (\w+)", README))
    known = {command.name for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    assert named <= known
    assert known <= named
