import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.search.stats import Estimate, estimate, pooled, rows_to_exclude

differences = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0]), max_size=60)


@given(differences)
def test_swapping_the_two_turns_the_estimate_round(values):
    one, other = estimate(values), estimate([-v for v in values])
    assert one.mean == -other.mean and one.variance == other.variance > 0
    assert one.below(0.0) == pytest.approx(1 - other.below(0.0))


@given(differences, differences)
def test_pooling_is_more_precise_than_either_and_lies_between(a, b):
    one, other = estimate(a), estimate(b)
    both = pooled(one, other)
    assert both.variance < min(one.variance, other.variance)
    assert min(one.mean, other.mean) - 1e-12 <= both.mean <= max(one.mean, other.mean) + 1e-12


def test_few_pairs_that_agree_are_no_certainty():
    assert estimate([1.0, 1.0]).below(0.0) > 0.05
    assert estimate([1.0] * 12).below(0.0) < 0.001
    assert estimate([]).below(0.0) == pytest.approx(0.5)


@pytest.mark.parametrize(("loss", "confidence", "rows"), [(0.02, 0.9, 63), (0.05, 0.9, 24), (0.02, 0.95, 81)])
def test_rows_that_exclude_a_loss(loss, confidence, rows):
    assert rows_to_exclude(loss, confidence) == rows
    assert estimate([0.0] * rows).below(-loss) < 1 - confidence


@pytest.mark.parametrize(("gains", "losses"), [(0.05, 0.05), (0.2, 0.2), (0.1, 0.12)])
def test_a_loss_beyond_the_margin_is_rarely_passed(gains, losses):
    """Non-inferiority at 90 % passes what loses the margin at most one time in ten (simulated)."""
    margin, n = losses - gains or 0.0, 120
    chance = random.Random(7)
    passed = 0
    for _ in range(4000):
        draws = [chance.random() for _ in range(n)]
        values = [1.0 if d < gains else -1.0 if d < gains + losses else 0.0 for d in draws]
        passed += estimate(values).below(-margin) < 0.1
    assert passed / 4000 < 0.1 + 3 * math.sqrt(0.09 / 4000)


def test_normal_tail():
    assert Estimate(mean=1.96, variance=1.0).below(0.0) == pytest.approx(0.025, abs=1e-4)
