import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from promptmigrate.decide import mcnemar, mean_ratio, quantile, quantile_ratio, rows_needed
from tests.decide.draws import draw, measure


class TestMcNemar:
    @pytest.mark.parametrize("fixed,broken", [(1, 0), (8, 2), (5, 5), (0, 12)])
    def test_is_the_exact_binomial_test(self, fixed, broken):
        assert mcnemar(fixed, broken) == pytest.approx(
            min(1.0, 2 * stats.binom.cdf(min(fixed, broken), fixed + broken, 0.5))
        )

    def test_without_discordant_rows(self):
        assert mcnemar(0, 0) == 1.0

    def test_error_rate_is_at_most_nominal(self):
        rng = np.random.default_rng(1)
        pairs = rng.multinomial(80, [0.1, 0.1, 0.8], size=1500)
        assert np.mean([mcnemar(int(a), int(b)) < 0.05 for a, b, _ in pairs]) <= 0.06


class TestRowsNeeded:
    @pytest.mark.parametrize(
        "mean,changed,size,together",
        [
            (0.0, 0.08, 1.0, 0.0),
            (0.0, 0.2, 1.0, 0.0),
            (-0.01, 0.1, 1.0, 0.0),
            (0.0, 0.1, 3.0, 0.3),
            (0.0, 0.1, 3.0, 0.0),
        ],
    )
    def test_gives_the_promised_chance(self, mean, changed, size, together):
        rng = np.random.default_rng(7)
        world = {"mean": mean, "changed": changed, "size": size, "together": together}
        # A pilot of 30 rows that knows the truth: the shares and design effect of 3000.
        known = measure(*draw(rng, 3000, **world))
        pilot = replace(
            known,
            rows=30,
            effective_rows=known.effective_rows / 100,
            effective_clusters=known.effective_clusters / 100,
        )
        rows = 30 + rows_needed(pilot, threshold=-0.05, confidence=0.95, truth=mean)
        passed = sum(measure(*draw(rng, rows, **world)).p_greater(-0.05) < 0.025 for _ in range(400))
        assert 0.72 <= passed / 400 <= 0.9

    def test_rows_without_a_difference(self):
        """The gap between 60 and the 192 at which the interval clears two points, and no more."""
        more = rows_needed(measure([0.0] * 60, range(60)), threshold=-0.02, confidence=0.95)
        assert more == pytest.approx(192 - 60, abs=4)

    def test_none_where_more_rows_would_not_help(self):
        measured = measure([-1.0] * 5 + [0.0] * 95, range(100))
        assert rows_needed(measured, threshold=-0.05, confidence=0.95) is None
        assert rows_needed(measured, threshold=-0.02, confidence=0.95) is None

    def test_zero_where_there_are_enough(self):
        measured = measure([0.0] * 400, range(400))
        assert rows_needed(measured, threshold=-0.05, confidence=0.95) == 0

    def test_clusters_cost_rows(self):
        changes = [1.0, -1.0] * 6 + [0.0] * 68
        alone = rows_needed(measure(changes, range(80)), threshold=-0.05, confidence=0.95)
        together = measure(changes, [k // 2 if k >= 12 else k // 6 for k in range(80)])
        assert rows_needed(together, threshold=-0.05, confidence=0.95) != alone
        moved = measure(sorted(changes), [k // 4 for k in range(80)])
        assert rows_needed(moved, threshold=-0.05, confidence=0.95) > 1.5 * alone


class TestRatios:
    def test_mean_ratio_is_weighted_and_exact_for_constant_costs(self):
        found = mean_ratio(
            [2.0, 4.0], [1.0, 1.0], clusters=["a", "b"], weights=[3.0, 1.0], confidence=0.95, seed=1
        )
        assert (found.baseline, found.candidate, found.ratio) == (2.5, 1.0, 0.4)
        constant = mean_ratio(
            [2.0] * 30, [1.0] * 30, clusters=range(30), weights=[1.0] * 30, confidence=0.95, seed=1
        )
        assert constant.interval == (0.5, 0.5)

    def test_quantile_is_the_inverted_distribution_function(self):
        values = np.random.default_rng(1).lognormal(size=101)
        assert quantile(values, 0.95) == np.quantile(values, 0.95, method="inverted_cdf")
        assert quantile([1.0, 2.0, 3.0], 0.5, [1.0, 1.0, 8.0]) == 3.0

    def test_bootstrap_is_the_same_every_time(self):
        rng = np.random.default_rng(2)
        a, b = rng.lognormal(size=(2, 80))
        settings = {
            "clusters": [k // 2 for k in range(80)],
            "weights": [1.0] * 80,
            "confidence": 0.9,
            "seed": 1,
        }
        assert quantile_ratio(a, b, 0.95, **settings) == quantile_ratio(a, b, 0.95, **settings)

    def test_zero_baseline_has_no_ratio(self):
        found = mean_ratio(
            [0.0] * 5, [1.0] * 5, clusters=range(5), weights=[1.0] * 5, confidence=0.95, seed=1
        )
        assert (found.ratio, found.interval) == (None, None)

    def test_clusters_widen_the_interval(self):
        rng = np.random.default_rng(4)
        effect = np.exp(0.5 * rng.normal(size=40)).repeat(5)
        a, b = rng.lognormal(sigma=0.1, size=(2, 200))
        b = b * effect
        alone = mean_ratio(a, b, clusters=range(200), weights=[1.0] * 200, confidence=0.95, seed=1).interval
        together = mean_ratio(
            a, b, clusters=[k // 5 for k in range(200)], weights=[1.0] * 200, confidence=0.95, seed=1
        ).interval
        assert together[1] - together[0] > 1.5 * (alone[1] - alone[0])

    @pytest.mark.slow
    @pytest.mark.parametrize("rows,size", [(105, 1), (200, 4)])
    def test_simulated_coverage(self, rows, size):
        """150 runs: nominal 95 %, seen below 88 % with a probability of 0.03 %."""
        rng = np.random.default_rng(3)
        clusters = np.repeat(np.arange(rows), size)[:rows]
        settings = {"clusters": clusters, "weights": np.ones(rows), "confidence": 0.95, "seed": 1}
        cost = latency = 0
        for _ in range(150):
            shared = 0.5 * rng.normal(size=rows)[clusters]
            a, b = np.exp(0.4 * (shared + rng.normal(size=(2, rows))))
            low, high = mean_ratio(a, 0.8 * b, **settings).interval
            cost += low <= 0.8 <= high
            low, high = quantile_ratio(a, 0.8 * b, 0.95, **settings).interval
            latency += low <= 0.8 <= high
        assert cost / 150 >= 0.88
        assert latency / 150 >= 0.88


def test_importing_the_gate_loads_no_heavy_library():
    code = (
        "import sys, promptmigrate.decide as d; d.decide;"
        "print(sorted({'numpy', 'scipy', 'pandas', 'mlflow'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
