"""``promptmigrate verify``: exit codes, and one line for each thing that does not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from promptmigrate.cli.verify import verify
from promptmigrate.errors import DataError, RouteError
from promptmigrate.proof import write_bundle
from promptmigrate.proof.archive import pack
from promptmigrate.publish import write_route
from promptmigrate.types import Prompt, Variant
from tests.proof.builder import entries, evidence, forge

app = typer.Typer()
app.command()(verify)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle.zip", evidence(judge=True))
    return tmp_path / "bundle.zip"


@pytest.fixture
def tampered(bundle: Path) -> Path:
    def change(parsed: dict[str, Any]) -> None:
        parsed["verdict.json"]["verdict"] = "PROMOTE\x1b[2J"

    path = bundle.with_name("tampered.zip")
    path.write_bytes(forge(entries(bundle.read_bytes()), change))
    return path


def test_the_name_of_a_scorer_does_not_steer_the_terminal(bundle: Path):
    def change(parsed: dict[str, Any]) -> None:
        parsed["scorers.json"][1].update(name="\x1b[2J\u202ename", spec=None)

    path = bundle.with_name("named.zip")
    path.write_bytes(forge(entries(bundle.read_bytes()), change))
    told = run(path)
    assert "\\u001b[2J\\u202ename were not recomputed" in told.stderr
    assert "\x1b" not in told.output and "\u202e" not in told.output


def route(folder: Path, *, bundle: str | None, candidate: Variant | None = None) -> Path:
    known = evidence(judge=True)
    return write_route(
        folder / "route.yaml",
        name="tickets",
        production=known.production,
        candidate=candidate or known.candidate,
        candidate_uri=None,
        evidence={"verdict": "PROMOTE", **({"bundle": bundle} if bundle else {})},
    )


def test_a_bundle_that_holds(bundle: Path):
    result = run(bundle)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "holds: INCONCLUSIVE" in " ".join(result.stderr.split())
    assert "--rerun" in result.stderr
    assert "run again from the recorded calls" in run(bundle, "--rerun").stderr


def test_one_line_for_each_finding(tampered: Path):
    result = run(tampered)
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith("verdict.json verdict: says") and '"INCONCLUSIVE"' in line
    assert "\x1b" not in result.output
    assert "does not hold: 1 finding" in result.stderr


def test_json_is_one_object_on_stdout(bundle: Path, tampered: Path):
    good, bad = run(bundle, "--json"), run(tampered, "--json")
    assert json.loads(good.stdout)["ok"] is True and good.exit_code == 0
    found = json.loads(bad.stdout)
    assert found["findings"][0]["entry"] == "verdict.json" and bad.exit_code == 1


def test_what_is_no_bundle_is_a_usage_error(tmp_path: Path):
    (tmp_path / "x.zip").write_text("hello")
    for path in (tmp_path / "x.zip", tmp_path / "nowhere.zip"):
        result = run(path)
        assert isinstance(result.exception, DataError) and result.exception.exit_code == 2


class TestRoute:
    def digest(self, bundle: Path) -> str:
        return str(json.loads(run(bundle, "--json").stdout)["digest"])

    def test_the_digest_that_it_seals(self, bundle: Path, tmp_path: Path):
        sealed = route(tmp_path, bundle=self.digest(bundle))
        assert run(bundle, "--route", sealed).exit_code == 0
        repacked = entries(bundle.read_bytes())
        bundle.write_bytes(pack({**repacked, "costs.json": b"{}\n"}))
        result = run(bundle, "--route", sealed)
        assert result.exit_code == 1 and "is sealed" in result.stdout

    def test_what_it_serves_is_what_was_judged(self, bundle: Path, tmp_path: Path):
        other = Variant(prompt=Prompt.of("Sort {{ticket}}"), model="sim/triage-small")
        sealed = route(tmp_path, bundle=self.digest(bundle), candidate=other)
        result = run(bundle, "--route", sealed)
        assert result.exit_code == 1 and "is not what is served" in result.stdout

    def test_without_a_bundle_in_its_evidence(self, bundle: Path, tmp_path: Path):
        result = run(bundle, "--route", route(tmp_path, bundle=None))
        assert isinstance(result.exception, RouteError) and "names no bundle" in str(result.exception)
