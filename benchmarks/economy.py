"""What a search costs, and where calls are saved; all of it measured at the provider.

    python benchmarks/economy.py [--parts reach,racing,cache,cascade,minimiser,overshoot,kill]
                                 [--worlds hotel,waybill,minutes,adverts] [--seeds 2] [--kills 10]
                                 [--json FILE]

reach      calls until the test score is 95 % of the world's known optimum (runs at growing budgets)
racing     (prompt, row) pairs measured, against all rows for every prompt that was measured
cache      calls of a second run, and of a run with twice the budget, on the first one's call cache
cascade    questions to a judge with its cheap checks first, against one for each answer
minimiser  tokens of the shipped prompt, and its test score, without and with it
overshoot  calls over a budget of 100 with 8 threads: ours and the peers
kill       a real ``promptmigrate migrate`` killed (SIGKILL) at random moments: answered calls sent again
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import logging
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # not this folder: its scorers.py is a benchmark

from benchmarks import peers, search  # noqa: E402
from benchmarks.killing import kill  # noqa: E402
from benchmarks.peers import CONTENDERS, Job  # noqa: E402
from benchmarks.worlds import WORLDS, World, messages_of  # noqa: E402
from benchmarks.worlds.provider import TASK, CappedError, Provider, Server, score  # noqa: E402

GROWING = (50, 75, 100, 150, 200, 300, 400, 600, 800, 1000)
BUDGET = 100
THREADS = 8
Found = dict[str, Any]


def job(world: World, calls: int, seed: int, *, cap: int | None = None) -> Job:
    """A job with the rows of :mod:`benchmarks.search`."""
    train, validation, _ = search.split(world, seed)
    rows = search.rows_for(calls)
    return Job(
        world=world, provider=Provider(world, cap=cap), calls=calls,
        train=tuple(train[:rows]), validation=tuple(validation[:rows]), seed=seed,
    )  # fmt: skip


def tokens(source: Any) -> int:
    """Tokens that a prompt adds to each call, as characters / 4."""
    texts = [source] if isinstance(source, str) else [m["content"] for m in source]
    return sum(map(len, texts)) // 4


# --- parts --------------------------------------------------------------------------------------------------


def reach(worlds: Sequence[World], options: argparse.Namespace) -> list[Found]:
    """The first of the growing budgets at which ours reaches 95 % of the optimum."""

    def one(world: World, seed: int) -> Found:
        goal = 0.95 * search.bounds(world.name, seed)["optimum"]
        scores: dict[int, float] = {}
        for calls in GROWING:
            if calls > options.most:
                break
            task = {"optimizer": "ours", "calls": calls, "world": world.name, "seed": seed}
            scores[calls] = search.start(task)["score"] or 0.0
            if scores[calls] >= goal:
                break
        reached = next((c for c, s in scores.items() if s >= goal), None)
        return {"world": world.name, "seed": seed, "goal": round(goal, 3), "calls": reached, "scores": scores}

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(lambda pair: one(*pair), [(w, s) for w in worlds for s in range(options.seeds)]))


def racing(worlds: Sequence[World], options: argparse.Namespace) -> list[Found]:
    """Pairs measured against full evaluation of the same prompts."""
    found = []
    for world in worlds:
        work = job(world, options.calls, 0)
        result = peers.search(work)
        rows: dict[str, int] = {}
        for record in (r for generation in result.generations for r in generation.candidates):
            if record.variant is not None and record.rows:
                rows[record.variant.digest] = max(rows.get(record.variant.digest, 0), record.rows)
        measured, full = sum(rows.values()), len(rows) * len(work.validation)
        found.append(
            {
                "world": world.name, "prompts": len(rows), "pairs": measured, "all pairs": full,
                "task calls": work.provider.tasks, "saved": round(1 - measured / full, 3) if full else 0.0,
            }
        )  # fmt: skip
    return found


def cache(worlds: Sequence[World], options: argparse.Namespace) -> list[Found]:
    """The same run twice; one stopped half way that goes on; one that goes on with twice the budget."""
    from promptmigrate.config import BudgetConfig

    found = []
    for world in worlds:
        with tempfile.TemporaryDirectory() as folder:
            port = _free_port()
            # the rows of the largest budget in all of them, so that only the calls differ
            largest = job(world, options.calls * 2, 0)

            def run(kept: str, times: int = 1, limit: int | None = None) -> int:
                work = dataclasses.replace(largest, provider=Provider(world), calls=options.calls * times)  # noqa: B023
                budget = BudgetConfig(calls=limit) if limit else None
                peers.search(work, cache=Path(folder) / kept, port=port, budget=budget)  # noqa: B023
                return work.provider.tasks + work.provider.edits

            first, again, twice = run("a"), run("a"), run("a", 2)
            half = run("b", limit=first // 2)
            rest = run("b")
            fresh = run("c", 2)
        found.append(
            {
                "world": world.name, "first run": first, "the same again": again,
                "stopped at": half, "going on": rest, "repeated": half + rest - first,
                "twice the budget, new": fresh, "after the first run": twice,
                "saved there": round(1 - twice / fresh, 3),
            }
        )  # fmt: skip
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cascade(worlds: Sequence[World], options: argparse.Namespace) -> list[Found]:
    """Questions that the judge ``equivalence`` asks about answers of a poor and of a good prompt."""
    from scorers import Sample, Score, equivalence

    found = []
    for world in worlds:
        train, _, test = search.split(world, 0)
        labels = {row.truth for row in train}
        few = tuple(sorted(labels)) if len(labels) <= 12 else None
        judge = equivalence(model="bench/judge", labels=few)
        bare = equivalence(model="bench/judge", labels=few, cascade=False)
        for which, source in (("production's prompt", world.prompt), ("good prompt", world.best(train)[1])):
            asked = every = wrong = 0
            for row in test:
                answer = world.answer(messages_of(source, row.inputs), {})
                sample = Sample(output=answer, expected=row.truth, inputs=dict(row.inputs))
                settled = judge.ask(sample)
                every += not isinstance(bare.ask(sample), Score)
                asked += not isinstance(settled, Score)
                if isinstance(settled, Score):
                    wrong += (settled.value == 1.0) != (world.grade(row, answer)[0] >= 1.0)
            found.append(
                {
                    "world": world.name, "answers of": which, "answers": len(test), "questions": asked,
                    "without": every, "saved": round(1 - asked / every, 3), "settled wrong": wrong,
                }
            )  # fmt: skip
    return found


def minimiser(worlds: Sequence[World], options: argparse.Namespace) -> list[Found]:
    """The shipped prompt without and with minimisation."""
    from promptmigrate.search import Problem

    if "minimise" not in {field.name for field in dataclasses.fields(Problem)}:
        return [{"world": "-", "note": "this search has no minimiser"}]
    found = []
    for world in worlds:
        for seed in range(options.seeds):
            made: Found = {"world": world.name, "seed": seed}
            train, validation, test = search.split(world, seed)
            for name, wanted in (("without", False), ("with", True)):
                # every row and a large budget: a proof that nothing is lost needs both
                work = job(world, 2 * options.calls, seed)
                work = dataclasses.replace(work, train=tuple(train), validation=tuple(validation))
                result = peers.search(work, minimise=wanted)
                source = result.best.prompt.source
                made[f"tokens {name}"] = tokens(source)
                made[f"score {name}"] = round(score(world, source, test), 3)
                made[f"calls {name}"] = work.provider.tasks
                if wanted:
                    removed = getattr(result, "removed", None)
                    made["removed"] = len(removed) if removed is not None else None
            made["cheaper"] = round(1 - made["tokens with"] / max(1, made["tokens without"]), 3)
            found.append(made)
    return found


def overshoot(worlds: Sequence[World], options: argparse.Namespace) -> list[Found]:
    """Task calls over a budget of 100 with 8 threads, for each optimizer that has a budget."""
    found = []
    for name, run in (("ours: Door, threads", _door_threads), ("ours: Door, search", _door_search)):
        counts = [run(world, seed) for world in worlds for seed in range(options.seeds)]
        found.append(_over(name, counts))
    for name in ("dspy.GEPA", "gepa", *(() if options.quick else ("mlflow GEPA", "MIPROv2"))):
        counts = []
        for world in worlds if name != "mlflow GEPA" else worlds[:1]:
            for seed in range(options.seeds if name != "mlflow GEPA" else 1):
                work = job(world, BUDGET, seed)
                with _quiet():
                    CONTENDERS[name].run(work)
                counts.append(work.provider.tasks)
        found.append(
            _over(name if name != "MIPROv2" else "MIPROv2 (no budget: trials chosen for it)", counts)
        )
    found.append(_over("dspy.Evaluate, stopped by its metric", [_evaluate(world) for world in worlds]))
    return found


def _over(name: str, counts: Sequence[int]) -> Found:
    return {
        "optimizer": name, "runs": len(counts), "calls (mean)": round(statistics.mean(counts), 1),
        "most": max(counts), "most over": max(0, max(counts) - BUDGET),
    }  # fmt: skip


def _door_threads(world: World, seed: int) -> int:
    """Threads that ask as fast as they can."""
    from promptmigrate.config import BudgetConfig, EndpointConfig
    from promptmigrate.errors import BudgetExceeded
    from promptmigrate.lm import Door
    from promptmigrate.types import Request

    provider = Provider(world)
    rows = iter(world.rows(4 * BUDGET, seed=seed))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                row = next(rows, None)
            if row is None:
                return
            messages = tuple(messages_of(world.prompt, row.inputs))
            try:
                door.complete(Request(model=f"bench/{TASK}", messages=messages, params=peers.COLD))
            except BudgetExceeded:
                return

    with (
        Server(provider, latency_s=0.005) as server,
        Door.open(
            endpoints={"bench": EndpointConfig(base_url=server.base_url)}, budget=BudgetConfig(calls=BUDGET)
        ) as door,
    ):
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return provider.tasks


def _door_search(world: World, seed: int) -> int:
    """A search that is allowed ten times what the Door's budget pays for; tasks and edits together."""
    from promptmigrate.config import BudgetConfig

    work = dataclasses.replace(job(world, BUDGET, seed), calls=10 * BUDGET)
    peers.search(work, budget=BudgetConfig(calls=BUDGET))
    return work.provider.tasks + work.provider.edits


def _evaluate(world: World) -> int:
    """How a user stops ``dspy.Evaluate``: the metric raises once the budget is used."""
    import dspy

    from benchmarks import dspy_program

    provider = Provider(world)
    dspy.configure(lm=dspy_program.lm(provider, TASK, temperature=0.0))
    grade = dspy_program.metric(world)

    def metric(gold: Any, pred: Any, trace: Any = None) -> float:
        if provider.tasks >= BUDGET:
            raise CappedError("the budget is used up")
        return float(grade(gold, pred).score)

    rows = dspy_program.examples(world.rows(4 * BUDGET, seed=0))
    evaluate = dspy.Evaluate(devset=rows, metric=metric, num_threads=THREADS, display_progress=False)
    # DSPy ends with a bare Exception after too many errors
    with _quiet(), contextlib.suppress(Exception):
        evaluate(dspy_program.WorldProgram(world))
        time.sleep(0.2)
    logging.getLogger("dspy").setLevel(logging.CRITICAL)  # threads that it leaves behind still log
    return provider.tasks


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries print and log to themselves."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


PARTS: dict[str, Callable[[Sequence[World], argparse.Namespace], list[Found]]] = {
    "reach": reach,
    "racing": racing,
    "cache": cache,
    "cascade": cascade,
    "minimiser": minimiser,
    "overshoot": overshoot,
    "kill": kill,
}


def show(name: str, found: Sequence[Found]) -> None:
    columns = list(dict.fromkeys(column for one in found for column in one))
    print(f"\n### {name}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for one in found:
        print(f"| {' | '.join(str(one.get(column, '-')) for column in columns)} |")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--worlds", default="hotel,waybill,minutes,adverts", help=", ".join(WORLDS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--calls", type=int, default=500, help="budget of racing and cache; minimiser: twice it"
    )
    parser.add_argument("--most", type=int, default=1000, help="largest budget of reach")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--quick", action="store_true", help="1 world, 1 seed, 200 calls, no kill, fast peers"
    )
    options = parser.parse_args()
    if options.quick:
        options.worlds, options.seeds, options.calls, options.most = "hotel", 1, 200, 200
        options.parts = ",".join(p for p in options.parts.split(",") if p != "kill")
    names = search.chosen(options.parts, list(PARTS), "part")
    worlds = [WORLDS[name] for name in search.chosen(options.worlds, list(WORLDS), "world")]
    print(
        f"{', '.join(names)}: about {_minutes(names, worlds, options):.0f} minutes on two free cores",
        file=sys.stderr,
    )
    every = {}
    for name in names:
        every[name] = PARTS[name](worlds, options)
        show(name, every[name])
        if options.json:
            options.json.write_text(json.dumps(every, indent=2))


def _minutes(names: Sequence[str], worlds: Sequence[World], options: argparse.Namespace) -> float:
    """A forecast from the runs that each part makes (seconds a run)."""
    runs = len(worlds) * options.seeds
    one = 2 + options.calls * 0.006
    seconds: dict[str, float] = {
        "reach": 30 * runs / max(1, options.jobs),
        "racing": one * len(worlds),
        "cache": 6 * one * len(worlds),
        "cascade": 2,
        "minimiser": 2 * one * runs,
        "overshoot": 12 * runs + 40,
        "kill": 10 * options.kills + 30,
    }  # fmt: skip
    return sum(seconds[name] for name in names) / 60


if __name__ == "__main__":
    main()
