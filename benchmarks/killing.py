"""A real ``promptmigrate migrate``, killed (SIGKILL) at random moments: answered calls sent again."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.worlds import WORLDS, World
from benchmarks.worlds.provider import EDITOR, PRODUCTION, TASK, Provider, Server

ROOT = Path(__file__).resolve().parent.parent
THREADS = 8
IN_FLIGHT_S = 0.05
"""An answer handed over less than this before a kill may not have been stored."""
Found = dict[str, Any]


def kill(worlds: Sequence[World], options: argparse.Namespace) -> list[Found]:
    """A migration that is killed again and again, and then left to finish."""
    world = WORLDS["hotel"]
    with tempfile.TemporaryDirectory() as folder:
        plain, killed = Path(folder) / "plain", Path(folder) / "killed"
        with Server(Provider(world)) as server:
            first = _migrate(_project(plain, world, server))
            once = Counter(server.log)
        with Server(Provider(world), latency_s=0.02) as server:
            path = _project(killed, world, server)
            unanswered: set[str] = set()
            fresh: set[str] = set()
            shares = sorted(random.Random(options.seed).sample(range(3, 97), options.kills))
            kills = most = 0
            for share in shares:
                process = subprocess.Popen(
                    _command(path),
                    cwd=path.parent,
                    env=_environment(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                while len(server.log) < once.total() * share / 100 and process.poll() is None:
                    time.sleep(0.002)
                kills += process.poll() is None
                process.send_signal(signal.SIGKILL)
                at = time.monotonic()
                process.wait()
                answered = dict(server.answered)
                waiting = {mark for mark in set(server.log) if answered.get(mark, at) >= at}
                unanswered |= waiting
                fresh |= {mark for mark, when in answered.items() if at - IN_FLIGHT_S < when < at}
                most = max(most, len(waiting))
                time.sleep(0.2)  # what was under way at the provider ends
            last = _migrate(path)
            total = Counter(server.log)
    again = {mark: count - max(1, once.get(mark, 1)) for mark, count in total.items()}
    again = {mark: count for mark, count in again.items() if count > 0}
    return [
        {
            "kills": kills, "calls, plain run": once.total(), "calls, killed run": total.total(),
            "answered and repeated": _sum(again, lambda mark: mark not in unanswered | fresh),
            "answered in the last 50 ms and repeated": _sum(again, lambda mark: mark in fresh - unanswered),
            "not yet answered and repeated": _sum(again, lambda mark: mark in unanswered),
            "most waiting at a kill": most,
            "same verdict": first.get("verdict") == last.get("verdict"), "verdict": last.get("verdict"),
            "same prompt": first.get("prompts") == last.get("prompts"),
        }
    ]  # fmt: skip


def _sum(counts: dict[str, int], of: Callable[[str], bool]) -> int:
    return sum(count for mark, count in counts.items() if of(mark))


def _project(folder: Path, world: World, server: Server) -> Path:
    """An experiment on a world, as a user would have it."""
    folder.mkdir()
    lines = [
        json.dumps({"inputs": dict(row.inputs), "reference": row.truth,
                    "expectations": {"expected_response": row.truth}})
        for row in world.rows(420, seed=0)
    ]  # fmt: skip
    (folder / "calls.jsonl").write_text("\n".join(lines) + "\n")
    path = folder / "experiment.json"
    path.write_text(
        json.dumps(
            {
                "name": "bench", "prompt": {"text": world.prompt}, "source": {"model": f"bench/{PRODUCTION}"},
                "targets": [{"model": f"bench/{TASK}", "params": {"temperature": 0}}],
                "endpoints": {"bench": {"base_url": server.base_url, "max_concurrency": THREADS}},
                "data": {"traces": {"file": "calls.jsonl"}},
                "scorers": [{"use": "label_match"}], "search": {"reflection_model": f"bench/{EDITOR}"},
                "budget": {"calls": 900}, "gate": {"margin": 0.15},
            },
            indent=2,
        )
    )  # fmt: skip
    return path


def _command(path: Path) -> list[str]:
    return [sys.executable, "-m", "promptmigrate", "migrate", str(path), "--json", "--yes"]


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "OPENAI_"))}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(ROOT)}


def _migrate(path: Path) -> Found:
    done = subprocess.run(
        _command(path),
        cwd=path.parent,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    try:
        found: Found = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(
            f"promptmigrate migrate failed ({done.returncode}):\n{done.stderr[-3000:]}"
        ) from None
    return found
