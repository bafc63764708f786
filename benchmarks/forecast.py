"""Whether what a run really spends lies in its forecast, which is meant to hold in 9 runs of 10.

    python benchmarks/forecast.py [--runs 40] [--seed 0] [--strategy NAME] [--json FILE]

Whole migrations on the simulator's models, each drawn by lot: task, target, rows, strategy, judge, token
counts in the data or not, and a budget in calls, USD, tokens or none. Up to 10 seconds a run. Exit code 1 if
a run went over its budget.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: its scorers.py is a benchmark

from promptmigrate.config import Config  # noqa: E402
from promptmigrate.errors import BudgetExceeded  # noqa: E402
from promptmigrate.lm import Door  # noqa: E402
from promptmigrate.pipeline import migrate  # noqa: E402
from promptmigrate.simulate import worlds  # noqa: E402
from promptmigrate.types import Prompt, Request  # noqa: E402

SCORERS = {"triage": "label_match", "extract": "json_match", "arithmetic": "numeric_match"}
TARGETS = ("triage-small", "triage-tiny", "extract-small", "extract-userturn", "arithmetic-small")
BUDGETS: tuple[dict[str, float], ...] = (
    *({"calls": calls} for calls in (300, 500, 800, 1500, 2500)),
    *({"usd": usd} for usd in (0.15, 0.3, 0.6, 1.2)),
    {"tokens": 300_000},
    {},
)
OTHERS = ("gepa", "mipro", "simba", "copro", "fewshot", "metaprompt", "random")


def production(name: str, rows: int, seed: int, path: Path, *, counted: bool) -> None:
    """Write ``rows`` answers of the simulated production model as JSON lines."""
    world = worlds()[name]
    prompt = Prompt.of(world.prompt)
    drawn = world.rows(rows, seed=seed)
    with Door.open() as door:

        async def answers() -> list[Any]:
            asked = (
                Request(model=world.source, messages=prompt.render(row.inputs), params={"temperature": 0})
                for row in drawn
            )
            return await asyncio.gather(*map(door.acomplete, asked))

        replies = door.run(answers())
    with path.open("w", encoding="utf-8") as out:
        for row, reply in zip(drawn, replies, strict=True):
            line: dict[str, Any] = {
                "inputs": dict(row.inputs),
                "reference": reply.text,
                "group": row.session,
                "expectations": {"expected_response": row.expected},
            }
            if counted:
                line["metadata"] = {
                    "input_tokens": reply.input_tokens,
                    "output_tokens": reply.output_tokens,
                }
            out.write(json.dumps(line) + "\n")


def one(seed: int, strategy: str | None, folder: Path) -> dict[str, Any]:
    """One migration drawn by ``seed``: its forecast and what it spent."""
    rng = random.Random(seed)
    target, rows, budget = rng.choice(TARGETS), rng.choice((150, 240, 400, 700)), rng.choice(BUDGETS)
    judged, counted = rng.random() < 0.2, rng.random() < 0.6
    strategy = strategy or rng.choice(["reflective"] * len(OTHERS) + list(OTHERS))
    name = target.partition("-")[0]
    world = worlds()[name]
    production(name, rows, seed, folder / "calls.jsonl", counted=counted)
    text = isinstance(world.prompt, str)
    scorers: list[dict[str, Any]] = [{"use": SCORERS[name]}]
    if judged:
        scorers.append({"use": "equivalence", "judge": "sim/judge"})
    config = Config.model_validate(
        {
            "name": "forecast",
            "prompt": {"text": world.prompt} if text else {"messages": list(world.prompt)},
            "source": {"model": world.source, "params": {"temperature": 0}},
            "targets": [{"model": f"sim/{target}", "params": {"temperature": 0}}],
            "data": {"traces": {"file": str(folder / "calls.jsonl")}},
            "scorers": scorers,
            "search": {"strategy": strategy, "reflection_model": "sim/editor", "seed": seed},
            "gate": {"margin": 0.05, "judges": "any"},
            "mlflow": {"tracking_uri": f"sqlite:///{folder}/mlflow.db"},
            **({"budget": budget} if budget else {}),
        }
    )
    drawn = {
        "seed": seed, "target": target, "rows": rows, "budget": budget, "judge": judged, "strategy": strategy,
    }  # fmt: skip
    try:
        summary = migrate(config, folder=folder, runs=folder / "runs").summary
    except BudgetExceeded as error:
        return {**drawn, "refused": str(error)}
    return {
        **drawn,
        "verdict": summary["verdict"],
        "forecast": summary["forecast"],
        "calls": sum(summary["spend"]["calls"].values()),
        "usd": summary["spend"]["usd"],
    }


def main() -> int:
    """Run, print one line a run and the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategy", help="one for all runs")
    parser.add_argument("--json", type=Path, help="keep one line a run here")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    done = []
    for seed in range(options.seed, options.seed + options.runs):
        with tempfile.TemporaryDirectory() as folder:
            found = one(seed, options.strategy, Path(folder))
        if options.json:
            with options.json.open("a", encoding="utf-8") as out:
                out.write(json.dumps(found) + "\n")
        about = f"{seed:4} {found['target']:17} {found['strategy']:11} {found['budget']!s:18}"
        if "refused" in found:
            print(f"{about} no verdict: {found['refused'][:90]}", flush=True)
            continue
        (low, high), (least, most) = found["forecast"]["usd"], found["forecast"]["calls"]
        found |= {"usd_in": low <= found["usd"] <= high, "calls_in": least <= found["calls"] <= most}
        done.append(found)
        print(
            f"{about} ${found['usd']:.4f} in {low:.4f} to {high:.4f}{' ' if found['usd_in'] else '!'}  "
            f"{found['calls']} in {least} to {most}{' ' if found['calls_in'] else '!'}  {found['verdict']}",
            flush=True,
        )
    if not done:
        return 0
    over = [
        d
        for d in done
        if d["usd"] > d["budget"].get("usd", d["usd"]) or d["calls"] > d["budget"].get("calls", d["calls"])
    ]
    upper = [d["forecast"]["usd"][1] / d["usd"] for d in done]
    print(
        f"\n{len(done)} runs: cost inside {sum(d['usd_in'] for d in done)}, calls inside "
        f"{sum(d['calls_in'] for d in done)}; upper end over real cost: median "
        f"{statistics.median(upper):.2f}, most {max(upper):.1f}; over budget: {len(over)}"
    )
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
