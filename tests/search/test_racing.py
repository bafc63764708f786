import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.search.racing import race, stratified
from promptmigrate.search.seeds import Seeds
from promptmigrate.search.stats import paired_p, t_tail
from promptmigrate.search.table import OutOfCallsError, Table

from .world import tickets


@settings(deadline=None)  # the first example pays for importing scipy
@given(st.floats(-8, 8), st.integers(1, 200))
def test_the_t_distribution_agrees_with_scipy(t, freedom):
    stats = pytest.importorskip("scipy.stats")
    assert math.isclose(t_tail(t, freedom), float(stats.t.sf(t, freedom)), rel_tol=1e-7, abs_tol=1e-12)


def test_paired_p_without_variance_is_the_sign_test():
    assert paired_p([1.0] * 5) == 1 / 32
    assert paired_p([0.0] * 20) == 1.0
    assert paired_p([1.0, 1.0]) == 1.0
    assert paired_p([-1.0] * 5) == 1.0


def field(world, calls):
    problem = world.problem(calls)
    from promptmigrate.search.anatomy import Anatomy
    from promptmigrate.search.contract import mine

    seeds = Seeds(problem, Anatomy.of(problem.original.prompt), mine(problem.train))
    good = seeds.first()[0]
    return problem, Table(problem), [seeds.original(), good, *seeds.shots(good, 2)]


def test_the_bad_leave_early_and_the_best_wins():
    world = tickets()
    problem, table, candidates = field(world, 1000)
    standings = race(table, candidates, problem.validation, block=10, max_rows=500)
    by_origin = {s.candidate.origin: s for s in standings}
    assert not by_origin["original"].alive and by_origin["original"].rows == 10
    best = max(candidates, key=lambda c: world.true_quality(c.variant))
    assert standings[0].candidate in (best, candidates[2], candidates[3])
    assert table.calls == world.calls <= 500


def test_a_race_stays_in_its_rows_and_protects_the_incumbent():
    problem, table, candidates = field(tickets(), 1000)
    standings = race(table, candidates, problem.validation, block=10, max_rows=25, protect=candidates[0])
    assert table.calls <= 25
    protected = next(s for s in standings if s.candidate is candidates[0])
    assert protected.rows == 10


def test_missing_rows_leave_no_pair_and_a_candidate_without_answers_is_out():
    world = tickets(broken=0.3)
    problem, table, candidates = field(world, 1000)
    table.measure(candidates, problem.validation[:20])
    differences = table.differences(candidates[0], candidates[1], problem.validation[:20])
    assert 0 < len(differences) < 20
    world = tickets(broken=1.0)
    problem, table, candidates = field(world, 1000)
    standings = race(table, candidates, problem.validation, block=10, max_rows=500)
    assert all(s.quality is None for s in standings)


def test_the_table_never_overdraws_and_counts_repeats_once():
    world = tickets()
    problem, table, candidates = field(world, 12)
    table.measure(candidates[:1], problem.validation[:10])
    table.measure(candidates[:1], problem.validation[:10])
    assert table.calls == world.calls == 10
    with pytest.raises(OutOfCallsError):
        table.measure(candidates[1:2], problem.validation[:10])
    assert world.calls == 10


def test_what_was_known_before_is_free():
    world = tickets()
    problem = world.problem(100)
    known = world.evaluate([problem.original], problem.validation[:10])
    world.asked.clear()
    _, table, candidates = field(world, 100)
    table = Table(world.problem(100, known=known))
    table.measure(candidates[:1], problem.validation[:12])
    assert table.calls == world.calls == 2
    assert len(table.scored(candidates[0], problem.validation[:12])) == 12


def test_blocks_hold_all_strata_and_depend_on_the_seed_only():
    rows = list(tickets().validation)
    ordered = stratified(rows, seed=3, stratum=lambda e: e.reference or "")
    assert sorted(e.id for e in ordered) == sorted(e.id for e in rows)
    assert ordered == stratified(list(reversed(rows)), seed=3, stratum=lambda e: e.reference or "")
    assert ordered != stratified(rows, seed=4, stratum=lambda e: e.reference or "")
    assert {e.reference for e in ordered[:12]} == {e.reference for e in rows}
