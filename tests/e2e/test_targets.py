"""Several targets in one run, and a run folder that belongs to one experiment."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptmigrate.gateway.route import load_route
from promptmigrate.report.wording import span
from tests.e2e.foreign import Foreign
from tests.e2e.harness import Project, project

pytestmark = pytest.mark.slow

PRICES = {
    "acme/grand": {"input_per_mtok": 10, "output_per_mtok": 40},
    "acme/petite": {"input_per_mtok": 0.3, "output_per_mtok": 1},
    "acme/twin": {"input_per_mtok": 4, "output_per_mtok": 16},
    "acme/dull": {"input_per_mtok": 1, "output_per_mtok": 4},
}


@pytest.fixture
def server() -> Iterator[Foreign]:
    with Foreign() as running:
        yield running


def test_targets_share_the_yardstick_and_the_cheapest_that_holds_is_published(
    server: Foreign, tmp_path: Path
):
    work = project(tmp_path, server, calls=1600, margin=0.1)
    targets = [{"model": f"acme/{name}", "params": {"temperature": 0}} for name in ("dull", "twin", "petite")]
    result = work.run("migrate", str(work.write(targets=targets, prices=PRICES)), "--json")
    assert result.code == 0, result.err
    summary = result.json
    by_model: dict[str, Any] = {target["model"]: target for target in summary["targets"]}
    assert list(by_model) == ["acme/dull", "acme/twin", "acme/petite"]
    assert by_model["acme/dull"]["verdict"] in ("REJECT", "INCONCLUSIVE")
    assert by_model["acme/twin"]["verdict"] == "PROMOTE"
    assert by_model["acme/petite"]["verdict"] == "PROMOTE"
    assert [target["chosen"] for target in summary["targets"]] == [False, False, True]
    assert summary["candidate"]["model"] == "acme/petite"
    assert "cost per call" in by_model["acme/petite"]["switch_if"]
    assert by_model["acme/dull"]["switch_if"].startswith(("Do not switch", "Switch to acme/dull only when"))
    assert load_route(tmp_path / summary["route"]).variants["candidate"].model == "acme/petite"
    # production answered each test row once, for all three
    grand = [model for model, _ in server.log].count("grand")
    assert grand <= summary["rows"]["test"] + 3
    assert server.repeated == 0
    assert server.calls == sum(summary["spend"]["calls"].values()) <= 1600
    assert summary["test_openings"] == 1
    assert len(list((tmp_path / summary["run_dir"] / "targets").iterdir())) == 3
    page = (tmp_path / summary["run_dir"] / "report.html").read_text()
    for target in (by_model["acme/twin"], by_model["acme/petite"]):  # one interval, wherever it is shown
        low, high = target["interval"]
        assert f"{100 * low:+.1f} and {100 * high:+.1f} points" in target["switch_if"]
        assert f"<small>{span((low, high))}</small>" in page
    for target in summary["targets"]:
        assert target["model"] in page


def test_a_target_twice_and_production_that_nobody_knows_are_refused(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    twice = [{"model": "acme/petite"}, {"model": "acme/petite"}]
    result = work.run("migrate", str(work.write(targets=twice)))
    assert result.code == 2
    assert "targets.1.model" in result.err
    rows = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    for row in rows:
        del row["reference"]
    (tmp_path / "calls.jsonl").write_text("\n".join(map(json.dumps, rows)))
    del work.config["source"]
    both = [{"model": "acme/petite"}, {"model": "acme/twin"}]
    for targets in (both, both[:1]):
        result = work.run("migrate", str(work.write(targets=targets)))
        assert result.code == 2
        assert "production is no yardstick" in result.err and "name source.model" in result.err
    result = work.run("migrate", str(work.write(gate={"margin": 0.1, "baseline": "rerun"})))
    assert result.code == 2
    assert "rerun asks production again" in result.err
    assert server.calls == 0


def interrupted(work: Project, server: Foreign) -> Path:
    """A run that was killed in the middle; its folder."""
    server.latency_s = 0.05
    running = subprocess.Popen(
        work.command("migrate", str(work.write())),
        cwd=work.folder,
        env=work.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while server.calls < 80:
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    server.latency_s = 0.0
    [state] = work.folder.glob("runs/moods/*/run.json")
    return state.parent


def test_a_run_folder_goes_on_only_with_what_it_began_with(server: Foreign, tmp_path: Path):
    work = project(tmp_path, server)
    run = interrupted(work, server)
    calls = server.calls
    changed = {
        "gate.margin (0.06 -> 0.2)": {"gate": {"margin": 0.2}},
        "the production prompt": {"prompt": {"text": "Which mood is it: GLAD, CROSS or FLAT? {{note}}"}},
    }
    for said, change in changed.items():
        result = work.run("migrate", str(work.write(**change)), "--run", str(run))
        assert result.code == 2, result.err
        assert said in result.err
    rows = (tmp_path / "calls.jsonl").read_text()
    (tmp_path / "calls.jsonl").write_text(rows + rows.splitlines()[0] + "\n")
    result = work.run("migrate", str(work.write()), "--run", str(run))
    assert result.code == 2, result.err
    assert "changed since: the content of data.traces.file (calls.jsonl)." in result.err
    (tmp_path / "calls.jsonl").write_text(rows)
    whole = (run / "dataset.parquet").read_bytes()
    (run / "dataset.parquet").write_bytes(whole[:-200] + bytes(200))
    result = work.run("migrate", str(work.write()))
    assert result.code == 2, result.err
    assert "dataset.parquet" in result.err
    (run / "dataset.parquet").write_bytes(whole)
    assert server.calls == calls

    result = work.run("migrate", str(work.write()), "--run", str(run), "--json")
    assert result.code == 0, result.err
    assert result.json["run_dir"] == str(run.relative_to(tmp_path)) or result.json["run_dir"] == str(run)
    assert server.repeated <= 35  # what was in flight at the kill
