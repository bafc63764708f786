"""Which rule ships what: ours beside the rules that are in use, on real recorded pairs of answers.

    python benchmarks/gate.py [--data FILE] [--simulations 1000] [--json FILE]

1. Eighteen tasks, each prompt as production and as candidate: what each rule says of all recorded rows, and
   how often it ships a loss beyond the margin from gates of 100 rows drawn from them.
2. False promotions: gates of recorded pairs, drawn with weights under which the candidate is worse by exactly
   the margin; independent rows and rows that hang together. Then gates that are drawn, not recorded: whole
   groups break among stray differences, which few groups can hide. Apart: candidates as good as production.
3. A changed prompt on the same model, which has to be better: candidates that are no better, and that gain.
4. mlflow.genai.optimize_prompts on a scorer that tosses coins, and with a reflection model that changes
   nothing: what it registers. A local store and a local stub; no network.

The data is found by --data or PROMPTMIGRATE_DATA. Exit code 1 if ours exceeds its stated level (by more than
chance explains) or mlflow did not register.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: its scorers.py is a benchmark

from benchmarks._recorded import find, load  # noqa: E402
from promptmigrate.decide import PairedRow, Rules, bounded_mean, decide, wilson  # noqa: E402

MARGIN = 0.05
CONFIDENCE = 0.95
LEVEL = (1 - CONFIDENCE) / 2
GATE = 100
MIN_GROUPS = 5
Scores = NDArray[np.float64]
Ships = bool


@dataclass(frozen=True)
class Gate:
    """Scores of production and candidate on the rows of one gate, and each row's group."""

    production: Scores
    candidate: Scores
    groups: NDArray[np.int64]

    @property
    def delta(self) -> float:
        return float(self.candidate.mean() - self.production.mean())


# The rules. Each says whether to ship: "not worse" where a model is replaced, "better" where only the prompt
# changes.


def higher_mean(gate: Gate, better: bool, _rng: np.random.Generator) -> Ships:
    return gate.delta > 1e-12 if better else gate.delta >= -1e-12


def gepa_minibatch(gate: Gate, _better: bool, rng: np.random.Generator) -> Ships:
    """gepa's acceptance (strategies/acceptance.py): a strictly higher sum on a minibatch of three."""
    rows = rng.choice(gate.production.size, 3, replace=False)
    return bool(gate.candidate[rows].sum() > gate.production[rows].sum())


def overlapping(gate: Gate, better: bool, _rng: np.random.Generator) -> Ships:
    """Two separate 95 % intervals: not worse as long as they overlap, better where they do not."""
    rows = gate.production.size
    old = wilson(float(gate.production.sum()), rows, confidence=CONFIDENCE)
    new = wilson(float(gate.candidate.sum()), rows, confidence=CONFIDENCE)
    return new[0] > old[1] if better else new[1] >= old[0]


def mlflow_threshold(gate: Gate, better: bool, _rng: np.random.Generator) -> Ships:
    """mlflow.validate_evaluation_results as a formula; part 1 checks it against the real function.

    MLflow 3.17 has no compare_evaluations. This is the nearest that it has: a metric of the candidate against
    a number (here production's less the margin), or against production's by a least change.
    """
    return gate.delta >= (1e-9 if better else -MARGIN)


def ours(gate: Gate, better: bool, _rng: np.random.Generator) -> Ships:
    """The quality part of promptmigrate.decide; part 1 checks it against decide() itself."""
    found = bounded_mean(
        (gate.candidate - gate.production).tolist(),
        lower=-1.0,
        upper=1.0,
        clusters=[str(g) for g in gate.groups],
    )
    if found.clusters < MIN_GROUPS or (not better and gate.production.mean() <= MARGIN):
        return False
    return found.p_greater(0.0 if better else -MARGIN) < LEVEL


def paired_t(gate: Gate, better: bool, _rng: np.random.Generator) -> Ships:
    """A paired t interval that takes rows for independent."""
    from scipy.special import stdtrit

    x = gate.candidate - gate.production
    error = float(x.std(ddof=1)) / math.sqrt(x.size)
    return float(x.mean()) - float(stdtrit(x.size - 1, 1 - LEVEL)) * error > (0.0 if better else -MARGIN)


RULES: dict[str, Callable[[Gate, bool, np.random.Generator], Ships]] = {
    "higher mean": higher_mean,
    "gepa minibatch": gepa_minibatch,
    "overlapping": overlapping,
    "mlflow validate": mlflow_threshold,
    "paired t, no groups": paired_t,
    "ours": ours,
}


# Drawing gates from recorded pairs.

CELLS = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
"""Both right, fixed, broken, both wrong."""


def shares(pairs: Scores, delta: float | None, changed: float | None) -> Scores:
    """Shares of the four kinds of recorded pair: as they are, or weighted so that the mean difference is
    ``delta`` and a share ``changed`` of rows differ (None: as many as recorded)."""
    kinds = np.array([float((pairs == cell).all(axis=1).mean()) for cell in CELLS])
    if delta is None:
        return kinds
    differing = max(kinds[1] + kinds[2] if changed is None else changed, abs(delta))
    agreeing = kinds[0] + kinds[3]
    rest = (1 - differing) / agreeing if agreeing else 0.0
    fixed, broken = (differing + delta) / 2, (differing - delta) / 2
    found = np.array([kinds[0] * rest, fixed, broken, kinds[3] * rest])
    total: Scores = found / found.sum()
    return total


def draw(rng: np.random.Generator, kinds: Scores, rows: int, size: float, together: float) -> Gate:
    """``size``: mean rows of a group; ``together``: chance that two of its rows are the same pair."""
    groups = np.arange(rows)
    if size > 1:
        groups = np.repeat(groups, rng.geometric(1 / size, size=rows))[:rows]
    own = rng.choice(4, size=rows, p=kinds)
    shared = rng.choice(4, size=int(groups[-1]) + 1, p=kinds)[groups]
    found = CELLS[np.where(rng.random(rows) < math.sqrt(together), shared, own)]
    return Gate(found[:, 0], found[:, 1], groups)


@dataclass(frozen=True)
class World:
    """How the rows of a simulated gate come about."""

    rows: int
    size: float = 1.0
    together: float = 0.0
    changed: float | None = None

    def __str__(self) -> str:
        text = f"{self.rows} rows"
        if self.changed is not None:
            text += f", {self.changed:.0%} differ"
        if self.size > 1:
            kind = {0.0: "independent", 1.0: "the same"}.get(self.together, "alike")
            text += f", groups of ~{self.size:g} {kind}"
        return text


WORLDS = (
    World(100),
    World(200),
    World(200, changed=0.08),
    World(200, size=3),
    World(200, size=3, together=0.5),
    World(200, size=3, together=1.0),
    World(200, size=3, together=1.0, changed=0.08),
    World(400, size=6, together=0.5, changed=0.05),
)

EQUAL = (
    World(200),
    World(200, changed=0.08),
    World(400, changed=0.08),
    World(200, size=3),
    World(200, size=3, changed=0.08),
    World(400, size=3, changed=0.08),
    World(200, size=3, together=1.0),
)


def rates(
    tasks: Mapping[str, Scores], world: World, delta: float, *, better: bool, simulations: int, seed: int
) -> dict[str, float]:
    """How often each rule ships, over gates from all tasks in both directions."""
    rng = np.random.default_rng(seed)
    names = sorted(tasks)
    shipped = dict.fromkeys(RULES, 0)
    for number in range(simulations):
        pairs = tasks[names[number % len(names)]]
        kinds = shares(pairs[:, :: 1 if number // len(names) % 2 else -1], delta, world.changed)
        gate = draw(rng, kinds, world.rows, world.size, world.together)
        for name, rule in RULES.items():
            shipped[name] += rule(gate, better, rng)
    return {name: count / simulations for name, count in shipped.items()}


def hidden(size: int, *, rows: int, stray: float, simulations: int, seed: int) -> dict[str, float]:
    """How often each rule ships where a loss of ``MARGIN`` sits in groups that break on every row, while
    a share ``stray`` of all rows breaks and as many are fixed by chance. Drawn, not recorded."""
    rng = np.random.default_rng(seed)
    groups = np.arange(rows) // size
    shipped = dict.fromkeys(RULES, 0)
    for _ in range(simulations):
        fate, failed = rng.random(rows), (rng.random(rows // size) < MARGIN)[groups]
        fixed = (fate > 1 - stray) & ~failed
        broken = (fate < stray) | failed
        gate = Gate(np.where(fixed, 0.0, 1.0), np.where(broken, 0.0, 1.0), groups)
        for name, rule in RULES.items():
            shipped[name] += rule(gate, False, rng)
    return {name: count / simulations for name, count in shipped.items()}


# 1. All recorded rows.


def recorded(tasks: Mapping[str, Scores]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    lines = []
    wrong, missed = dict.fromkeys(RULES, 0), dict.fromkeys(RULES, 0)
    bad = good = 0
    real = mlflow_says()
    for task, pairs in tasks.items():
        for candidate in (0, 1):
            sides = pairs[:, :: -1 if candidate == 0 else 1]
            whole = Gate(sides[:, 0], sides[:, 1], np.arange(len(sides)))
            ships = {name: rule(whole, False, rng) for name, rule in RULES.items()}
            if ships["mlflow validate"] != real(whole):
                raise SystemExit(f"mlflow's own answer on {task} is not the formula's")
            verdict = decide(rows_of(whole), Rules(margin=MARGIN)).verdict
            if ships["ours"] != (verdict == "PROMOTE"):
                raise SystemExit(f"decide() says {verdict} on {task}, and the simulated rule {ships['ours']}")
            name = ("direct answer", "chain of thought")[candidate]
            lines.append(
                {"task": task, "candidate": name, "delta": whole.delta, "ships": ships, "ours": verdict}
            )
            for _ in range(10):
                rows = rng.choice(len(sides), GATE, replace=False)
                gate = Gate(sides[rows, 0], sides[rows, 1], np.arange(GATE))
                for name, rule in RULES.items():
                    shipped = rule(gate, False, rng)
                    wrong[name] += shipped and whole.delta <= -MARGIN
                    missed[name] += not shipped and whole.delta >= 0
            bad += 10 * (whole.delta <= -MARGIN)
            good += 10 * (whole.delta >= 0)
    return {
        "tasks": lines,
        "ships_a_loss": {name: count / bad for name, count in wrong.items()},
        "ships_no_loss": {name: 1 - count / good for name, count in missed.items()},
        "gates": {"loss": bad, "no loss": good},
    }


def rows_of(gate: Gate) -> list[PairedRow]:
    columns = zip(gate.production.tolist(), gate.candidate.tolist(), gate.groups.tolist(), strict=True)
    return [
        PairedRow(example=str(n), cluster=str(group), baseline=old, candidate=new)
        for n, (old, new, group) in enumerate(columns)
    ]


def mlflow_says() -> Callable[[Gate], bool]:
    """The real mlflow.validate_evaluation_results on two mean scores."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import logging

    import mlflow
    from mlflow.models import MetricThreshold
    from mlflow.models.evaluation import EvaluationResult
    from mlflow.models.evaluation.validation import ModelValidationFailedException

    logging.getLogger("mlflow").setLevel(logging.ERROR)

    def ships(gate: Gate) -> bool:
        old, new = float(gate.production.mean()), float(gate.candidate.mean())
        limit = MetricThreshold(threshold=old - MARGIN, greater_is_better=True)
        results = [EvaluationResult(metrics={"quality": mean}, artifacts={}) for mean in (new, old)]
        try:
            mlflow.validate_evaluation_results({"quality": limit}, *results)
        except ModelValidationFailedException:
            return False
        return True

    return ships


def optimize_apart() -> list[dict[str, Any]]:
    """What :mod:`benchmarks.optimize_null` prints; in its own process, since it configures libraries."""
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("optimize_null.py"))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    if run.returncode:
        sys.exit(f"mlflow.genai.optimize_prompts ended with {run.returncode}:\n{run.stderr[-2000:]}")
    found: list[dict[str, Any]] = json.loads(run.stdout.strip().splitlines()[-1])
    return found


# Output.


def table(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    print(f"\n{title}\n{'':48s}" + "".join(f"{name:>21s}" for name in RULES))
    for label, found in rows.items():
        print(f"{label:48s}" + "".join(f"{found[name]:21.1%}" for name in RULES))


def show(found: Mapping[str, Any]) -> None:
    first = found["recorded"]
    print(f"1. All recorded rows; a candidate may be at most {MARGIN:.0%} worse (x: the rule ships it)")
    print(f"{'task':42s}{'candidate':18s}{'difference':>10s}  " + "".join(f"{name:>21s}" for name in RULES))
    for line in first["tasks"]:
        marks = [
            line["ours"] if name == "ours" else "x" if ships else "" for name, ships in line["ships"].items()
        ]
        print(
            f"{line['task']:42s}{line['candidate']:18s}{line['delta']:+10.1%}  "
            + "".join(f"{mark:>21s}" for mark in marks)
        )
    table(
        f"   Gates of {GATE} of these rows; truth is all of them",
        {
            f"ships, truly worse by the margin ({first['gates']['loss']} gates)": first["ships_a_loss"],
            f"ships, truly not worse ({first['gates']['no loss']} gates)": first["ships_no_loss"],
        },
    )
    count = found["simulations"]
    table(
        f"2. False promotions: worse by exactly the margin ({count} gates each; stated: {LEVEL:.1%})",
        found["null"],
    )
    table("   Drawn: whole groups break, 3% stray differences each way", found["hidden"])
    table("   Just as good as production (shipping is right here)", found["equal"])
    table(f"3. Same model, has to be better. No better at all (stated: {LEVEL:.1%})", found["no gain"])
    table("   Better by 10 points", found["gain"])
    print("\n4. mlflow.genai.optimize_prompts where nothing can be gained")
    for line in found["mlflow"]:
        print(
            f"   {line['case']:10s} score {line['before']:.2f} -> {line['after']:.2f}, "
            f"{'registered' if line['registered'] else 'not registered'}, "
            f"text {'changed' if line['changed'] else 'unchanged'}"
        )
    print(f"\nseconds: {found['seconds']:.0f}, of CPU {found['cpu_seconds']:.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", help="the recorded pairs (default: PROMPTMIGRATE_DATA)")
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    started = time.perf_counter()
    tasks = {name: np.array(pairs) for name, pairs in load(find(options.data)).items()}
    count = options.simulations

    def over(worlds: tuple[World, ...], delta: float, better: bool, seed: int) -> dict[str, dict[str, float]]:
        return {
            str(world): rates(tasks, world, delta, better=better, simulations=count, seed=seed + n)
            for n, world in enumerate(worlds)
        }

    found: dict[str, Any] = {
        "margin": MARGIN,
        "level": LEVEL,
        "simulations": count,
        "recorded": recorded(tasks),
        "null": over(WORLDS, -MARGIN, False, 100),
        "hidden": {
            f"{rows} rows, groups of {size}": hidden(
                size, rows=rows, stray=0.03, simulations=count, seed=500 + size
            )
            for rows, size in ((201, 3), (400, 4), (200, 5), (400, 10), (800, 10))
        },
        "equal": over(EQUAL, 0.0, False, 200),
        "no gain": over((WORLDS[1], WORLDS[2], WORLDS[5]), 0.0, True, 300),
        "gain": over((WORLDS[1], World(200, changed=0.2), World(400, changed=0.2)), 0.1, True, 400),
        "mlflow": optimize_apart(),
    }
    found["seconds"] = time.perf_counter() - started
    used = os.times()
    found["cpu_seconds"] = used.user + used.system + used.children_user + used.children_system
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    most = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / count)
    worst = max(rates_["ours"] for part in ("null", "hidden", "no gain") for rates_ in found[part].values())
    print(
        f"ours: at most {worst:.1%} false promotions, stated {LEVEL:.1%} (chance explains up to {most:.1%})"
    )
    return 0 if worst <= most and all(line["registered"] for line in found["mlflow"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
