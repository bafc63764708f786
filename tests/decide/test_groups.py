"""Groups whose rows may break together: what the interval believes of them, and what that costs."""

import math
from typing import Any

import numpy as np
import pytest

from tests.decide.draws import draw, measure

LEVEL = 0.025
MARGIN = 0.05


def broken_groups(
    rng: np.random.Generator, groups: int, size: int, *, stray: float, margin: float = MARGIN
) -> tuple[Any, Any]:
    """A loss of ``margin`` in groups that break on every row; a share ``stray`` of rows differs each way."""
    clusters = np.repeat(np.arange(groups), size)
    fate, broken = rng.random(clusters.size), (rng.random(groups) < margin)[clusters]
    return np.where(broken | (fate < stray), -1.0, np.where(fate > 1 - stray, 1.0, 0.0)), clusters


def promotes(values: Any, clusters: Any, margin: float = MARGIN) -> bool:
    # No rule promotes a candidate that looks as bad as the margin; the quick way out is for the simulations.
    return bool(values.mean() > -margin) and measure(values, clusters).p_greater(-margin) < LEVEL


WORLDS = {
    "67 groups of 3": {"groups": 67, "size": 3, "stray": 0.03},
    "100 groups of 4": {"groups": 100, "size": 4, "stray": 0.03},
    "40 groups of 5": {"groups": 40, "size": 5, "stray": 0.03},
    "40 groups of 10": {"groups": 40, "size": 10, "stray": 0.03},
    "80 groups of 10": {"groups": 80, "size": 10, "stray": 0.03},
    "100 groups of 10, 2 points": {"groups": 100, "size": 10, "stray": 0.01, "margin": 0.02},
    "100 groups of 3, few strays": {"groups": 100, "size": 3, "stray": 0.01},
    "100 groups of 3, many strays": {"groups": 100, "size": 3, "stray": 0.05},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_simulated_level_where_whole_groups_break_among_stray_differences(name):
    """4000 runs each: a rate of 2.5 % is seen above 3.3 % with a probability of 0.1 %."""
    rng, world = np.random.default_rng(15), WORLDS[name]
    margin = world.get("margin", MARGIN)
    passed = sum(promotes(*broken_groups(rng, **world), margin) for _ in range(4000))
    assert passed / 4000 <= 0.033


def not_better(rng: np.random.Generator, groups: int, size: int, *, broken: float, rows: float) -> Any:
    """Breaks a share of the groups, on a share of their rows, and mends as many rows alone."""
    clusters = np.repeat(np.arange(groups), size)
    fate = rng.random(clusters.size)
    breaks = (rng.random(groups) < broken)[clusters] & (rng.random(clusters.size) < rows)
    mends = broken * rows / (1 - broken * rows)
    return np.where(breaks, -1.0, np.where(fate < mends, 1.0, 0.0)), clusters


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups,size,broken,rows",
    [(40, 12, 0.03, 1.0), (70, 6, 0.03, 1.0), (70, 3, 0.03, 1.0), (120, 12, 0.03, 0.6), (180, 6, 0.06, 1.0),
     (180, 12, 0.06, 1.0), (40, 6, 0.1, 1.0), (120, 3, 0.06, 0.6)],
)  # fmt: skip
def test_simulated_level_of_better_where_rows_are_mended_and_whole_groups_break(groups, size, broken, rows):
    """The first of these passed in 23 % of the runs before what is unseen counted where no loss was seen.
    3000 runs each: a rate of 2.5 % is seen above 3.5 % with a probability of 0.1 %."""
    rng = np.random.default_rng(17)
    worlds = (not_better(rng, groups, size, broken=broken, rows=rows) for _ in range(3000))
    assert sum(promotes(*world, margin=0.0) for world in worlds) / 3000 <= 0.035


@pytest.mark.slow
def test_a_gain_in_groups_is_still_proven():
    rng = np.random.default_rng(18)
    worlds = (draw(rng, 800, mean=0.1, changed=0.16, size=10.0) for _ in range(200))
    assert sum(promotes(*world, margin=0.0) for world in worlds) / 200 >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("together", [0.5, 1.0])
def test_simulated_level_where_uneven_groups_break_and_nothing_is_mended(together):
    """Groups of about six. 4000 runs each, as above."""
    rng = np.random.default_rng(16)
    worlds = (draw(rng, 400, mean=-0.1, changed=0.1, size=6.0, together=together) for _ in range(4000))
    assert sum(promotes(*world, 0.1) for world in worlds) / 4000 <= 0.033


@pytest.mark.slow
def test_few_groups_that_hide_a_break_a_little_more_often_than_stated_stay_near_the_level():
    """67 groups show no broken one 3.2 % of the time; 4000 runs, tolerated 4 %."""
    rng = np.random.default_rng(17)
    passed = sum(promotes(*broken_groups(rng, 67, 10, stray=0.01)) for _ in range(4000))
    assert passed / 4000 <= 0.04


@pytest.mark.slow
def test_no_better_candidate_that_mends_rows_and_breaks_groups_is_promoted_no_more_often_than_stated():
    """Mends 6 % of the rows and breaks 5 % of 60 groups. 4000 runs, as above."""
    rng = np.random.default_rng(21)
    clusters, passed = np.repeat(np.arange(60), 4), 0
    for _ in range(4000):
        fate, broken = rng.random(240), (rng.random(60) < 0.05 / 1.05)[clusters]
        values = np.where(broken | (fate < 0.01), -1.0, np.where(fate > 0.94, 1.0, 0.0))
        passed += promotes(values, clusters, 0.0)
    assert passed / 4000 <= 0.033


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups,size,margin,mended", [(276, 4, 0.1, 0.0), (488, 2, 0.03, 0.03), (130, 4, 0.1, 0.08)]
)
def test_simulated_level_where_a_few_large_groups_hide_among_many_stray_differences(
    groups, size, margin, mended
):
    """A tenth of the rows changes either way. Before losses were told from strays 4.2-5.2 % passed."""
    ranks = np.arange(1, groups + 1) ** -0.7
    clusters = np.repeat(np.arange(groups), np.maximum(1, np.rint(ranks / ranks.mean() * size)).astype(int))
    rng, passed = np.random.default_rng(23), 0
    for _ in range(4000):
        broken = (rng.random(groups) < (margin + mended) / (1 + mended))[clusters]
        fate = rng.random(clusters.size)
        values = np.where(broken | (fate < 0.1), -1.0, np.where(fate > 0.9 - mended, 1.0, 0.0))
        passed += promotes(values, clusters, margin)
    assert passed / 4000 <= 0.033


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups,size,single,margin",
    [(6, 60, 397, 0.1), (8, 25, 200, 0.05), (20, 20, 400, 0.05), (5, 40, 300, 0.2)],
)
@pytest.mark.parametrize("mended", [0.0, 0.05])
def test_simulated_level_where_large_groups_stand_beside_single_rows(groups, size, single, margin, mended):
    """Single rows break as often, and tell nothing on whether rows of a group break together. Before they
    were not counted as groups for that, 10-30 % of these passed. 2000 runs each: a rate of 2.5 % is seen
    above 3.6 % with a probability of 0.1 %."""
    rng = np.random.default_rng(29)
    clusters = np.repeat(np.arange(groups + single), [size] * groups + [1] * single)
    passed = 0
    for _ in range(2000):
        broken = (rng.random(groups + single) < (margin + mended) / (1 + mended))[clusters]
        values = np.where(broken, -1.0, np.where(rng.random(clusters.size) < mended, 1.0, 0.0))
        passed += promotes(values, clusters, margin)
    assert passed / 2000 <= 0.036


def test_single_rows_beside_large_groups_settle_nothing_that_the_groups_leave_open():
    """Eight groups of 25: one that breaks for one user in twenty is unseen with a chance of two in three."""
    for single in (200, 2000):
        clusters = np.repeat(np.arange(8 + single), [25] * 8 + [1] * single)
        assert promotes(np.zeros(clusters.size), clusters) == (single == 2000)


@pytest.mark.slow
@pytest.mark.parametrize("rows,changed,kept", [(201, 0.06, 0.68), (300, 0.08, 0.85)])
def test_independent_rows_in_triples_keep_most_of_their_power(rows, changed, kept):
    """Relative to the same rows known to be independent, which pass 73 % and 81 % of the time; 1000 runs."""
    rng = np.random.default_rng(18)
    alone = in_triples = 0
    for _ in range(1000):
        values, clusters = draw(rng, rows, mean=0.0, changed=changed)
        alone += promotes(values, clusters)
        in_triples += promotes(values, clusters // 3)
    assert alone > 650
    assert in_triples >= kept * alone


def test_groups_of_one_row_are_independent_rows_bit_for_bit():
    rng = np.random.default_rng(19)
    for rows in (2, 7, 150):
        values, clusters = draw(rng, rows, mean=-0.05, changed=0.3)
        measured = measure(values, clusters)
        effect = measured.inflation
        assert effect.seen == effect.losses == effect.gains == pytest.approx(rows / (rows - 1.0))
        for mean in (-0.3, -0.05, 0.2):
            plain = measured.null_variance(mean) * effect.seen / rows
            assert measured.standard_error(mean) == math.sqrt(plain)


def test_one_group_that_broke_whole_outweighs_many_stray_rows():
    clusters = np.repeat(np.arange(80), 10)
    stray = np.zeros(800)
    stray[5:300:12] = -1.0
    stray[307:600:12] = 1.0
    alone = measure(stray, clusters).inflation
    assert alone.losses < 1.5 and alone.gains < 1.5
    whole = stray.copy()
    whole[790:] = -1.0
    found = measure(whole, clusters).inflation
    assert found.losses > 7.0 and found.gains < found.losses / 2
    assert found.cluster == found.group == found.mean_group == 10.0


def test_what_was_not_seen_counts_less_with_more_groups():
    """How much further down the interval reaches than for independent rows, relative to its length."""
    costs = []
    for groups in (20, 40, 80, 160, 320):
        clusters = np.repeat(np.arange(groups), 5)
        values = np.zeros(5 * groups)
        values[::50], values[27::50] = -1.0, 1.0
        low, _ = measure(values, clusters).interval(0.95)
        alone, _ = measure(values, np.arange(values.size)).interval(0.95)
        costs.append(low / alone - 1)
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 1.0 and costs[-1] < 0.25


def test_continuous_scores_in_many_groups_cost_little():
    rng = np.random.default_rng(20)
    clusters = np.repeat(np.arange(300), 4)
    values = np.clip(0.2 * rng.normal(size=1200), -1, 1)
    low, high = measure(values, clusters).interval(0.95)
    jackknife = measure(values, clusters).standard_error()
    assert 1.0 <= (high - low) / (2 * 1.968 * jackknife) <= 1.1
