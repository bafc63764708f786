"""Optimizers side by side at equal task calls: test score of the plain prompt that each would ship.

    python benchmarks/search.py [--calls 100,200,500,1000] [--worlds all] [--seeds 5] [--optimizers all]
                                [--jobs 2] [--json FILE] [--quick]

Task calls are counted, and capped, where they are answered. All optimizers get the same train and validation
rows (15 / 25 / 50 / 100 of each at 100 / 200 / 500 / 1,000 calls; "V=20": at most 20 validation rows;
"all rows": 100 of each at any budget), the same grade and the same words about wrong answers. A run may go
10 % over, which is shown; then it is stopped, and the prompt that did best on its rows so far counts.
Our own budget also counts calls of the editor, so ours makes fewer task calls than it is allowed.

Each run has a process and a time limit of its own. ``--json FILE`` appends a line for each; what it holds
already, from the same worlds and (for ours) the same search, is not run again. See README.md for the worlds.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # not this folder: its scorers.py is a benchmark

from benchmarks.peers import CONTENDERS, Contender, Job  # noqa: E402
from benchmarks.worlds import WORLDS, Row, World  # noqa: E402
from benchmarks.worlds.provider import Provider, score  # noqa: E402

MOST = 100
"""Train rows, and validation rows, that there are."""
TEST = 3000
"""Test rows. The draw of 300 alone would spread the scores of a good prompt by 0.015 over seeds."""
GRACE = 0.10
SLOW = 8.0
"""A run may take this many times its forecast."""


def rows_for(calls: int) -> int:
    """Train rows, and validation rows, for a budget."""
    return next(rows for limit, rows in ((100, 15), (200, 25), (500, 50), (10**9, MOST)) if calls <= limit)


def split(world: World, seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """All train, validation and test rows of a seed."""
    rows = world.rows(2 * MOST + TEST, seed=seed)
    return rows[:MOST], rows[MOST : 2 * MOST], rows[2 * MOST :]


@functools.cache
def bounds(name: str, seed: int) -> dict[str, float]:
    """What the best prompt of whoever made the world, and production's, score on the test rows."""
    world = WORLDS[name]
    train, _, test = split(world, seed)
    best = max(score(world, source, test) for source in world.best(train))
    return {"optimum": best, "original": score(world, world.prompt, test)}


def made_of(optimizer: str) -> str:
    """Digest of the sources that a result depends on."""
    folders = ["benchmarks/worlds", *(["promptmigrate/search"] if CONTENDERS[optimizer].ours else [])]
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def forecast(contender: Contender, calls: int) -> float:
    """CPU seconds of a run."""
    return contender.start + contender.seconds * calls / 1000


# --- one run, in its own process ----------------------------------------------------------------------------


def run(task: dict[str, Any], out: Path) -> None:
    """Run one optimizer in one world and write what came of it to ``out``."""
    world, contender, calls = WORLDS[task["world"]], CONTENDERS[task["optimizer"]], task["calls"]
    train, validation, test = split(world, task["seed"])
    rows = MOST if contender.all_rows else rows_for(calls)
    job = Job(
        world=world,
        provider=Provider(world, cap=calls, grace=GRACE, on_cap=lambda: finish("cap")),
        calls=calls,
        train=tuple(train[:rows]),
        validation=tuple(validation[: min(rows, contender.rows or rows)]),
        seed=task["seed"],
    )
    started, once = time.perf_counter(), threading.Lock()

    def finish(why: str, source: Any = None) -> None:
        once.acquire()  # never given back: the process ends below
        used = os.times()
        shipped = source if source is not None else job.provider.best_so_far([*job.train, *job.validation])
        result = {
            **task,
            "score": score(world, shipped, test),
            "test_rows": len(test),
            "tasks": job.provider.tasks,
            "edits": job.provider.edits,
            "ended": why,
            "wall_s": round(time.perf_counter() - started, 2),
            "cpu_s": round(used.user + used.system, 2),
            "prompt": shipped,
        }
        out.write_text(json.dumps(result))
        os._exit(0)  # threads of a stopped optimizer would go on

    limit = SLOW * forecast(contender, calls) + 60
    timer = threading.Timer(limit, finish, ("time",))
    timer.daemon = True
    timer.start()
    try:
        shipped = contender.run(job)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises ends its run, not the comparison
        traceback.print_exc()
        finish(f"{type(error).__name__}: {str(error)[:200]}")
    else:
        finish("done", shipped)


def start(task: dict[str, Any]) -> dict[str, Any]:
    """:func:`run` in a process of its own."""
    limit = SLOW * forecast(CONTENDERS[task["optimizer"]], task["calls"]) + 120
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "MLFLOW_"))}
    environment = {**kept, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        environment["DSPY_CACHEDIR"] = folder
        try:
            done = subprocess.run(
                [sys.executable, __file__, "--one", json.dumps(task), "--out", str(out)],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=limit, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {**task, "score": None, "ended": f"killed after {limit:.0f} s"}
        if not out.exists():
            return {**task, "score": None, "ended": done.stderr[-500:] or f"exit {done.returncode}"}
        result: dict[str, Any] = json.loads(out.read_text())
        if result["ended"] not in ("done", "cap", "time"):
            result["trace"] = done.stderr[-1500:]
        return result


# --- the comparison ---------------------------------------------------------------------------------------


def compare(tasks: Sequence[dict[str, Any]], jobs: int, file: Path | None) -> list[dict[str, Any]]:
    """Results of all tasks; those that ``file`` has are taken from it, the others are appended."""
    known = [json.loads(line) for line in file.read_text().splitlines()] if file and file.exists() else []
    made = {name: made_of(name) for name in {task["optimizer"] for task in tasks}}
    usable = [
        r
        for r in known
        if r["score"] is not None and r["made_of"] == made.get(r["optimizer"]) and r.get("test_rows") == TEST
    ]
    have = {_key(result): result for result in usable}
    missing = [task for task in tasks if _key(task) not in have]
    seconds = sum(forecast(CONTENDERS[task["optimizer"]], task["calls"]) for task in missing)
    note(
        f"{len(missing)} runs to do ({len(tasks) - len(missing)} are known): about {seconds / 60 / jobs:.0f} "
        f"minutes with {jobs} at a time on free cores; longer on busy ones"
    )
    began, writing = time.perf_counter(), threading.Lock()

    def one(task: dict[str, Any]) -> None:
        result = {**start(task), "made_of": made[task["optimizer"]]}
        with writing:
            result |= bounds(task["world"], task["seed"])
            have[_key(result)] = result
            if file:
                with file.open("a") as stream:
                    stream.write(json.dumps(result) + "\n")
            done = sum(_key(t) in have for t in missing)
            shown = "failed" if result["score"] is None else f"{result['score']:.3f}"
            passed = time.perf_counter() - began
            note(f"{done}/{len(missing)} {passed:.0f} s: {_key(task)} {shown} {result['ended']}")

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, missing))
    return [have[_key(task)] for task in tasks]


def note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _key(result: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(result[name] for name in ("optimizer", "calls", "world", "seed"))


def show(results: Sequence[dict[str, Any]]) -> None:
    """The tables."""
    good = [r for r in results if r["score"] is not None]
    budgets = sorted({r["calls"] for r in good})
    names = [name for name in CONTENDERS if any(r["optimizer"] == name for r in good)]
    worlds = [name for name in WORLDS if any(r["world"] == name for r in good)]
    print(
        "| optimizer | calls | mean | worst world | sd of seeds | below optimum | task calls (most) | edits |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for calls in budgets:
        for name in names:
            runs = [r for r in good if r["optimizer"] == name and r["calls"] == calls]
            if runs:
                print(_line(name, calls, runs))
    for calls in budgets:
        print(
            f"\n{calls} calls, mean by world (best in **bold**; o: known optimum, p: production's prompt)\n"
        )
        print(f"| world | o | p | {' | '.join(names)} |\n|{'---|' * (len(names) + 3)}")
        for world in worlds:
            runs = [r for r in good if r["world"] == world and r["calls"] == calls]
            means = {n: _mean([r["score"] for r in runs if r["optimizer"] == n]) for n in names}
            best = max((m for m in means.values() if m is not None), default=0.0)
            cells = [_cell(means[n], best) for n in names]
            shared = [f"{_mean([r[key] for r in runs]) or 0:.3f}" for key in ("optimum", "original")]
            print(f"| {world} | {' | '.join([*shared, *cells])} |")
    print()
    for line in _verdicts(good, budgets, names, worlds):
        print(line)
    for result in results:
        if result["score"] is None or result["ended"] != "done":
            print(f"not to its own end: {_key(result)}: {str(result['ended'])[:160]}")


def _line(name: str, calls: int, runs: Sequence[dict[str, Any]]) -> str:
    by_world = defaultdict(list)
    for r in runs:
        by_world[r["world"]].append(r["score"])
    means = {world: statistics.mean(scores) for world, scores in by_world.items()}
    worst = min(means, key=lambda world: means[world])
    spread = _spread(runs)
    below = statistics.mean(r["optimum"] - r["score"] for r in runs)
    return (
        f"| {name} | {calls} | {statistics.mean(r['score'] for r in runs):.3f} | "
        f"{means[worst]:.3f} ({worst}) | "
        f"{'-' if spread is None else f'{spread:.3f}'} | {below:+.3f} | "
        f"{statistics.mean(r['tasks'] for r in runs):.0f} ({max(r['tasks'] for r in runs)}) | "
        f"{statistics.mean(r['edits'] for r in runs):.0f} |"
    )


def _spread(runs: Sequence[dict[str, Any]]) -> float | None:
    """Standard deviation of the score over seeds, in the mean of the worlds."""
    by_world = defaultdict(list)
    for r in runs:
        by_world[r["world"]].append(r["score"])
    found = [statistics.stdev(scores) for scores in by_world.values() if len(scores) > 1]
    return statistics.mean(found) if found else None


def _verdicts(
    good: Sequence[dict[str, Any]], budgets: Sequence[int], names: Sequence[str], worlds: Sequence[str]
) -> list[str]:
    """Who is first where, and where ours is not."""
    lines = []
    for calls in budgets:
        table: dict[str, dict[str, float]] = {}
        for name in names:
            by_world = {
                w: _mean(
                    [r["score"] for r in good if (r["optimizer"], r["calls"], r["world"]) == (name, calls, w)]
                )
                for w in worlds
            }
            table[name] = {w: mean for w, mean in by_world.items() if mean is not None}
        full = {name: scores for name, scores in table.items() if len(scores) == len(worlds)}
        if not full:
            continue
        mean = max(full, key=lambda n: statistics.mean(full[n].values()))
        worst = max(full, key=lambda n: min(full[n].values()))
        lines.append(f"{calls} calls: first in the mean is {mean}; first in the worst world is {worst}.")
        if "ours" not in full:
            continue
        spreads = {n: _spread([r for r in good if (r["optimizer"], r["calls"]) == (n, calls)]) for n in full}
        gepas = {n: s for n, s in spreads.items() if "gepa" in n.lower() and s}
        if (own := spreads["ours"]) is not None and gepas:
            shares = ", ".join(f"{own / s:.2f} of {n}" for n, s in gepas.items())
            lines.append(f"  spread over seeds {own:.3f}: {shares}")
        peers = {n: s for n, s in table.items() if not n.startswith("ours")}
        for world in worlds:
            best = max(((s[world], n) for n, s in peers.items() if world in s), default=None)
            if best and best[0] > full["ours"][world]:
                lines.append(
                    f"  ours is behind in {world}: {full['ours'][world]:.3f}, {best[1]} has {best[0]:.3f}"
                )
    return lines


def _mean(values: Sequence[float]) -> float | None:
    return statistics.mean(values) if values else None


def _cell(value: float | None, best: float) -> str:
    if value is None:
        return "-"
    return f"**{value:.3f}**" if value >= best - 5e-4 else f"{value:.3f}"


def chosen(given: str, known: Sequence[str], what: str) -> list[str]:
    names = list(known) if given == "all" else [name.strip() for name in given.split(",")]
    for name in names:
        if name not in known:
            raise SystemExit(f"there is no {what} {name!r}; known are {', '.join(known)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", default="100,200,500,1000")
    parser.add_argument("--worlds", default="all", help=", ".join(WORLDS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--optimizers", default="all", help=", ".join(CONTENDERS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="2 worlds, 1 seed, 100 and 200 calls")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run(json.loads(options.one), options.out)
        return
    if options.quick:
        options.calls, options.worlds, options.seeds = "100,200", "hotel,codes", 1
    tasks = [
        {"optimizer": name, "calls": int(calls), "world": world, "seed": seed}
        for calls in options.calls.split(",")
        for seed in range(options.seeds)
        for world in chosen(options.worlds, list(WORLDS), "world")
        for name in chosen(options.optimizers, list(CONTENDERS), "optimizer")
    ]
    show(compare(tasks, max(1, options.jobs), options.json))


if __name__ == "__main__":
    main()
