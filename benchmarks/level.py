"""How often the gate ships what is worse by exactly the margin, in worlds that are drawn by lot.

    python benchmarks/level.py [--worlds 300] [--runs 1000] [--seed 1] [--json FILE]

Each world has its own number of rows and groups, group sizes (equal, geometric, lopsided, large ones beside
single rows), kind of difference (whole rows, parts of a score, rare large losses beside small noise, skewed
scores) and way of hanging together; its true mean difference is minus the margin to the last digit. Worlds
are ranked by how often they pass; the worst twenty are run again with other draws and four times as often,
since the highest of so many rates is high by selection alone. Then candidates that are as good as production:
how many pass.

Exit code 1 if a world passes more often than 3.3 % in the second look (2.5 % is stated; chance explains 3.3 %
in one of a thousand worlds).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: its scorers.py is a benchmark

from promptmigrate.decide import bounded_mean  # noqa: E402

LEVEL = 0.025
ALLOWED = 0.033
MIN_GROUPS = 5
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class World:
    """How the differences of one gate come about."""

    margin: float
    mean: float
    """True mean difference."""
    groups: int
    size: int
    sizes: str
    """``equal``, ``geometric``, ``lopsided``: a few groups hold much of the rows, or ``beside``: large groups
    hold half of the rows, and each other row is alone."""
    kind: str
    """``rows``: 0, 1 or -1; ``parts``: quarters of a score; ``rare``: large losses beside small noise;
    ``skewed``: a beta distribution with its long side below."""
    spread: float
    """Share of rows that change, above what the mean needs; for scores, how wide they are."""
    together: float
    """Chance that a row has the fate of its group instead of its own."""
    whole: float = 0.0
    """More than 0: the loss sits in groups that break, on this share of their rows; the spread is stray."""
    mended: float = 0.0
    """Where groups break: share of the other rows that is mended, for which more groups break."""

    def draw(self, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
        sizes = self._sizes(rng)
        clusters = np.repeat(np.arange(sizes.size), sizes)
        rows = clusters.size
        if self.whole:
            often = (self.mended - self.mean) / (1 + self.mended) / self.whole
            broken = (rng.random(clusters[-1] + 1) < often)[clusters] & (rng.random(rows) < self.whole)
            fate, stray = rng.random(rows), self.spread / 2
            fixed = fate > 1 - stray - self.mended
            return np.where(broken | (fate < stray), -1.0, np.where(fixed, 1.0, 0.0)), clusters
        own, shared = rng.random(rows), rng.random(sizes.size)[clusters]
        return self._law(np.where(rng.random(rows) < self.together, shared, own)), clusters

    def _sizes(self, rng: np.random.Generator) -> NDArray[np.int64]:
        if self.size == 1 or self.sizes == "equal":
            return np.full(self.groups, self.size)
        if self.sizes == "geometric":
            return rng.geometric(1 / self.size, size=self.groups)
        if self.sizes == "beside":
            # As many rows as the others have; large groups are four times their size.
            large = max(3, self.groups // 8)
            return np.concatenate(
                [np.full(large, 4 * self.size), np.ones(max(1, self.groups * self.size // 2), np.int64)]
            )
        ranks = np.arange(1, self.groups + 1) ** -0.7
        return np.maximum(1, np.rint(ranks / ranks.mean() * self.size)).astype(np.int64)

    def _law(self, fate: Floats) -> Floats:
        """Differences with the true mean, from uniform draws."""
        if self.kind == "rows":
            changed = min(1.0, abs(self.mean) + self.spread)
            broken, fixed = (changed - self.mean) / 2, (changed + self.mean) / 2
            return np.where(fate < broken, -1.0, np.where(fate > 1 - fixed, 1.0, 0.0))
        if self.kind == "parts":
            # Losses of four quarters to one, gains of one to four: the larger the rarer.
            steps = np.array([-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0])
            down, up = np.array([0.15, 0.15, 0.25, 0.45]), np.array([0.45, 0.25, 0.15, 0.15])
            each = 0.475  # the mean of each side
            changed = abs(self.mean) / each + self.spread
            worse = (changed - self.mean / each) / 2
            shares = np.concatenate([down * worse, [1 - changed], up * (changed - worse)])
            return steps[np.minimum(np.searchsorted(np.cumsum(shares), fate), 8)]
        if self.kind == "rare":
            loss = 0.4 + 0.6 * self.spread
            often = (abs(self.mean) + 0.01) / loss
            calm = (self.mean + often * loss) / (1 - often)
            noise = ((fate - often) / (1 - often) - 0.5) * 0.1
            return np.where(fate < often, -loss, calm + noise)
        from scipy.special import betaincinv

        # 1 - B with B ~ Beta(0.5, 4.5): mean 0.9, the long side below.
        width = 0.2 + self.spread
        drawn: Floats = self.mean + width * (0.1 - betaincinv(0.5, 4.5, 1 - fate))
        return drawn


def by_lot(number: int, seed: int, *, gain: bool = False) -> list[World]:
    """Worlds: at the limit, or (``gain``) as good as production."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < number:
        margin = float(rng.choice([0.02, 0.03, 0.05, 0.1]))
        size = int(rng.choice([1, 1, 2, 3, 4, 6, 10, 15]))
        rows = float(np.exp(rng.uniform(np.log(60), np.log(1200))))
        groups = max(10, int(rows / size))
        # Where no gate could pass, nothing is learnt: a candidate without differences needs 3.84 / margin.
        if groups < 2.5 / margin:
            continue
        kind = str(rng.choice(["rows", "rows", "parts", "rare", "skewed"]))
        breaks = size > 1 and bool(rng.random() < 0.5)
        found.append(
            World(
                margin=margin,
                mean=0.0 if gain else -margin,
                groups=groups,
                size=size,
                sizes=str(rng.choice(["equal", "geometric", "lopsided", "beside"])) if size > 1 else "equal",
                kind="rows" if breaks else kind,
                spread=float(rng.choice([0.0, 0.01, 0.03, 0.06, 0.1, 0.2])),
                together=float(rng.choice([0.0, 0.3, 0.6, 1.0])) if size > 1 and not breaks else 0.0,
                whole=float(rng.choice([0.6, 1.0, 1.0])) if breaks else 0.0,
                mended=float(rng.choice([0.0, 0.0, 0.03, 0.08])) if breaks else 0.0,
            )
        )
    return found


def passes(world: World, runs: int, seed: Sequence[int]) -> float:
    """Share of gates whose lower limit lies above minus the margin."""
    rng = np.random.default_rng(seed)
    passed = 0
    for _ in range(runs):
        values, clusters = world.draw(rng)
        # No rule passes a mean below the limit: the quick way out is for the simulation only.
        if values.mean() > -world.margin and clusters[-1] + 1 >= MIN_GROUPS:
            found = bounded_mean(np.round(values, 12), lower=-1.0, upper=1.0, clusters=clusters)  # type: ignore[arg-type]
            passed += found.p_greater(-world.margin) < LEVEL
    return passed / runs


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=300)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write every world and its rate to this file")
    options = parser.parse_args()
    started = time.perf_counter()
    limit = by_lot(options.worlds, options.seed)
    first = [passes(w, options.runs, (options.seed, 1, n)) for n, w in enumerate(limit)]
    ranked = sorted(range(len(limit)), key=lambda n: -first[n])[:20]
    again = {n: passes(limit[n], 4 * options.runs, (options.seed, 2, n)) for n in ranked}
    good = by_lot(options.worlds // 3, options.seed + 1000, gain=True)
    power = [passes(w, max(100, options.runs // 5), (options.seed, 3, n)) for n, w in enumerate(good)]
    print(f"{'once':>7s}{'again':>7s}  world")
    for n in sorted(ranked, key=lambda n: -again[n]):
        print(f"{first[n]:7.1%}{again[n]:7.1%}  {_told(limit[n])}")
    beyond = sum(rate > ALLOWED for rate in first) / len(first)
    print(
        f"worse by the margin, {len(limit)} worlds, {options.runs} runs each: {np.mean(first):.2%} pass on "
        f"average, {max(first):.1%} in the worst ({max(again.values()):.1%} again), above {ALLOWED:.1%} in "
        f"{beyond:.1%} of the worlds\nas good as production, {len(good)} worlds: {np.mean(power):.1%} pass\n"
        f"seconds: {time.perf_counter() - started:.0f}"
    )
    if options.json:
        found: dict[str, Any] = {
            "limit": [{**asdict(w), "once": first[n], "again": again.get(n)} for n, w in enumerate(limit)],
            "good": [{**asdict(w), "pass": rate} for w, rate in zip(good, power, strict=True)],
        }
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if max(again.values()) <= ALLOWED else 1


def _told(world: World) -> str:
    rows = f"{world.groups} rows" if world.size == 1 else _groups(world)
    way = f"together {world.together:g}"
    if world.whole:
        way = f"groups break on {world.whole:.0%} of their rows, {world.mended:.0%} of rows mended"
    return f"margin {world.margin:g}, {rows}, {world.kind}, spread {world.spread:g}, {way}"


def _groups(world: World) -> str:
    sizes = world._sizes(np.random.default_rng(0))
    if world.sizes == "beside":
        return f"{(sizes > 1).sum()} groups of {sizes[0]} beside {(sizes == 1).sum()} single rows"
    return f"{world.groups} {world.sizes} groups of {world.size}"


if __name__ == "__main__":
    raise SystemExit(main())
