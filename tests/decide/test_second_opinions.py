"""Estimators beside the deciding interval: t, permutation, BCa, Wilson, Holm, repeats."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from promptmigrate.decide import (
    averaged,
    bca,
    bounded_mean,
    clustered_t,
    holm,
    permutation,
    spread,
    wilson,
)
from promptmigrate.decide.holm import bonferroni_confidence, holm_confidence
from tests.decide.draws import draw


class TestClusteredT:
    def test_alone_it_is_students_t(self):
        values = np.random.default_rng(1).normal(0.1, 0.3, size=40)
        found = clustered_t(values)
        oracle = stats.ttest_1samp(values, 0.0, alternative="greater")
        assert found.p_greater(0.0) == pytest.approx(oracle.pvalue)
        assert found.interval(0.95) == pytest.approx(stats.ttest_1samp(values, 0.0).confidence_interval(0.95))

    def test_equal_clusters_are_students_t_of_their_means(self):
        values = np.random.default_rng(2).normal(0.1, 0.3, size=60)
        means = values.reshape(20, 3).mean(axis=1)
        found = clustered_t(values, clusters=[str(k // 3) for k in range(60)])
        assert found.interval(0.9) == pytest.approx(stats.ttest_1samp(means, 0.0).confidence_interval(0.9))

    def test_without_spread_it_has_no_opinion(self):
        assert clustered_t([0.0] * 40).p_greater(-0.02) is None
        assert clustered_t([0.1, 0.2], clusters=["a", "a"]).interval(0.95) is None

    def test_simulated_coverage_in_clusters(self):
        """1500 runs: 95 % nominal, seen outside 93 to 97 % with a probability of 0.1 %."""
        rng = np.random.default_rng(3)
        covered = 0
        for _ in range(1500):
            clusters = np.repeat(np.arange(40), 4)
            values = 0.3 * rng.normal(size=40)[clusters] + 0.3 * rng.normal(size=160)
            low, high = clustered_t(values, clusters=clusters).interval(0.95)
            covered += low <= 0.0 <= high
        assert 0.93 <= covered / 1500 <= 0.97


class TestPermutation:
    def test_small_samples_are_counted_out(self):
        values = [0.5, 1.0, -0.25, 0.75, 0.0]
        found = permutation(values, clusters=list("abcde"), seed=1)
        flips = [
            sum(s * v for s, v in zip(signs, values, strict=True))
            for signs in itertools.product((1, -1), repeat=5)
        ]
        assert found.exact
        assert found.greater == pytest.approx(np.mean([total >= 2.0 for total in flips]))
        assert found.two_sided == pytest.approx(np.mean([abs(total) >= 2.0 for total in flips]))

    def test_agrees_with_scipy(self):
        values = np.random.default_rng(4).normal(0.15, 0.5, size=25)
        oracle = stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=20_000, alternative="greater", rng=1
        )
        found = permutation(values, clusters=range(25), seed=1)
        assert not found.exact
        assert found.greater == pytest.approx(oracle.pvalue, abs=0.015)

    def test_a_cluster_flips_as_one(self):
        """Twelve runs of four tasks are four observations: 1/16, not 1/4096."""
        found = permutation(
            [1.0] * 12, clusters=["a", "a", "a", "b", "b", "b", "c", "c", "c", "d", "d", "d"], seed=1
        )
        assert found.greater == 1 / 16

    def test_no_difference_is_no_evidence(self):
        assert permutation([0.0] * 30, clusters=range(30), seed=1).two_sided == 1.0

    @pytest.mark.parametrize("rows", [8, 30])
    def test_simulated_level(self, rows):
        """600 runs at 5 %: seen above 7.5 % with a probability of 0.4 %."""
        rng = np.random.default_rng(5)
        rejected = 0
        for run in range(600):
            values = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], p=[0.1, 0.15, 0.5, 0.15, 0.1], size=rows)
            rejected += permutation(values, clusters=range(rows), seed=run).greater <= 0.05
        assert rejected / 600 <= 0.075


class TestBca:
    def test_agrees_with_scipy(self):
        values = np.random.default_rng(6).exponential(0.2, size=60) - 0.2
        low, high = bca(values, confidence=0.9, seed=1, resamples=9999)
        oracle = stats.bootstrap(
            (values,), np.mean, method="BCa", confidence_level=0.9, n_resamples=9999, rng=1
        ).confidence_interval
        assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=0.006)

    def test_no_spread_no_interval(self):
        assert bca([0.0] * 30, confidence=0.95, seed=1) is None
        assert bca([0.1, 0.3], clusters=["a", "a"], confidence=0.95, seed=1) is None

    def test_simulated_coverage_with_skew_and_clusters(self):
        """250 runs: nominal 95 %; seen below 88 % with a probability under 0.1 %."""
        rng = np.random.default_rng(7)
        covered = 0
        for run in range(250):
            values, clusters = draw(
                rng, 120, mean=-0.05, changed=0.5, size=2.0, together=0.4, scores="continuous"
            )
            low, high = bca(values, clusters=clusters, confidence=0.95, seed=run, resamples=1000)
            covered += low <= -0.05 <= high
        assert covered / 250 >= 0.88


class TestWilson:
    @pytest.mark.parametrize("right,rows", [(0, 12), (3, 40), (199, 200)])
    def test_is_scipys(self, right, rows):
        oracle = stats.binomtest(right, rows).proportion_ci(0.95, method="wilson")
        assert wilson(right, rows, confidence=0.95) == pytest.approx((oracle.low, oracle.high))

    @pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
    def test_exact_coverage_is_near_nominal(self, share):
        covered = sum(
            stats.binom.pmf(k, 100, share)
            for k in range(101)
            if wilson(k, 100, confidence=0.95)[0] <= share <= wilson(k, 100, confidence=0.95)[1]
        )
        assert 0.92 <= covered <= 0.99


p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=8)


class TestHolm:
    def test_the_textbook_case(self):
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    @given(p_lists)
    def test_never_below_the_p_value_nor_above_bonferroni(self, p_values):
        for p, adjusted in zip(p_values, holm(p_values), strict=True):
            assert p <= adjusted <= min(1.0, len(p_values) * p) + 1e-12

    @given(p_lists)
    def test_intervals_exclude_exactly_what_the_test_rejects(self, p_values):
        """An interval at the given confidence excludes its null where p < (1 - confidence) / 2."""
        adjusted = holm(p_values)
        for p, together, confidence in zip(p_values, adjusted, holm_confidence(p_values, 0.95), strict=True):
            if abs(together - 0.025) > 1e-9:
                assert (p < (1 - confidence) / 2 + 1e-15) == (together < 0.025)

    def test_one_alone_is_not_widened(self):
        assert holm_confidence([0.2], 0.95) == [0.95]
        assert bonferroni_confidence(1, 0.95) == 0.95
        assert bonferroni_confidence(5, 0.95) == pytest.approx(0.99)

    def test_simulated_level_for_correlated_candidates(self):
        """2000 families of five that share half their noise: 2.5 %, above 3.6 % by chance in 0.2 %."""
        rng = np.random.default_rng(8)
        noise = math.sqrt(0.5) * rng.normal(size=(2000, 1)) + math.sqrt(0.5) * rng.normal(size=(2000, 5))
        wrong = sum(min(holm(stats.norm.sf(family))) < 0.025 for family in noise)
        assert wrong / 2000 <= 0.036


class TestRepeats:
    def test_the_mean_of_what_was_measured(self):
        assert averaged([1.0, None, 0.0]) == 0.5
        assert averaged([None, None]) is None
        assert averaged([1.0, None], least=2) is None

    def test_spread_is_pooled_within_examples(self):
        assert spread([[1.0, 0.0], [1.0, 1.0], [0.5, None]]) == pytest.approx(math.sqrt(0.5 / 2))
        assert spread([[1.0], [0.0]]) is None

    def test_repeats_of_an_example_are_not_further_rows(self):
        """Three repeats, averaged, cover; taken as rows of their own they would not."""
        rng = np.random.default_rng(9)
        covered = naive = 0
        for _ in range(400):
            easy = rng.choice([0.0, 0.2, 0.8, 1.0], size=40)
            repeats = (rng.random((40, 3)) < easy[:, None]).astype(float)
            low, high = bounded_mean([averaged(r) for r in repeats.tolist()], lower=0, upper=1).interval(0.95)
            covered += low <= 0.5 <= high
            low, high = bounded_mean(repeats.ravel(), lower=0, upper=1).interval(0.95)
            naive += low <= 0.5 <= high
        assert covered / 400 >= 0.92
        assert naive / 400 < 0.85
