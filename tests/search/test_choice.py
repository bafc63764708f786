"""Evidence of a challenger: validation rows and the trial on train rows, pooled."""

from dataclasses import replace

import pytest

from promptmigrate.search import choice
from promptmigrate.search.state import FRESH_FROM, State

from . import world as worlds

RULE = 'If the ticket mentions "voucher", the answer is billing.'
LISTED = "Answer with only one of: billing, bug, account, shipping."


def state(calls=1000, **changes):
    world = worlds.tickets(400, noise=0.0, words=3, **changes)
    found = State(world.problem(calls))
    parent = found.original.but(instructions=LISTED, origin="parent")
    child = parent.but(instructions=f"{LISTED}\n{RULE}", origin="child")
    for candidate in (parent, child):
        found.admit(candidate)
    return found, parent, child


def trial(found, parent, *, failing=6, passing=2):
    rows = found.train[:60]
    found.table.measure([parent], rows)
    bad = [e for e in rows if found.table.quality(parent, e) == 0.0 and "voucher" in e.inputs["ticket"]]
    good = [e for e in rows if found.table.quality(parent, e) == 1.0]
    return choice.Trial(
        parent=parent.key,
        failing=tuple(bad[:failing]),
        passing=tuple(good[:passing]),
        fail_share=0.3,
    )


def test_a_rule_that_mends_its_failures_counts_before_validation_can_show_it():
    found, parent, child = state()
    shown = trial(found, parent)
    rows = [e for e in found.validation if "voucher" not in e.inputs["ticket"]][:10]
    found.table.measure([parent, child], [*rows, *shown.rows])
    assert not choice.improves(found.table, child, parent, rows * 2)
    with_trial = choice.advantage(found.table, child, parent, rows, shown)
    without = choice.advantage(found.table, child, parent, rows, None)
    assert with_trial.mean > without.mean == 0.0
    assert with_trial.variance < without.variance


def test_a_trial_on_another_parent_says_nothing():
    found, parent, child = state()
    shown = trial(found, parent)
    rows = found.validation[:10]
    found.table.measure([parent, child, found.original], [*rows, *shown.rows])
    other = choice.advantage(found.table, child, found.original, rows, shown)
    assert other == choice.advantage(found.table, child, found.original, rows, None)


def test_a_rule_that_breaks_what_passed_is_held_back_by_validation():
    found, parent, _ = state()
    harmful = parent.but(instructions=f"{LISTED}\n{RULE}\nWrite a sentence.".replace("only", ""))
    shown = trial(found, parent)
    rows = found.validation[:20]
    found.table.measure([parent, harmful], [*rows, *shown.rows])
    assert choice.advantage(found.table, harmful, parent, rows, shown).mean < 0
    assert not choice.improves(found.table, harmful, parent, rows, {harmful.key: shown})


@pytest.mark.parametrize("calls", [FRESH_FROM - 1, FRESH_FROM])
def test_large_searches_race_on_rows_that_chose_nobody_yet(calls):
    found, parent, child = state(calls)
    found.incumbent = parent
    used = found.validation[:10]
    found.table.measure([parent, child], used)
    first = found.fresh()[:10]
    assert {e.id for e in first}.isdisjoint({e.id for e in used}) == (calls >= FRESH_FROM)
    assert sorted(e.id for e in found.fresh()) == sorted(e.id for e in found.validation)


def test_level_finalists_keep_their_order_and_a_shown_cheaper_one_wins():
    found, parent, child = state()
    rows = found.validation
    dear = parent.but(
        instructions=f"{LISTED}\nPlease note that this text is here to cost a little more money."
    )
    found.table.measure([parent, dear], rows[:8])
    few = choice.choose(found.problem, found.table, [dear, parent], rows)
    assert few is dear  # eight level rows do not show that the cheaper one is as good
    found.table.measure([parent, dear], rows)
    assert choice.choose(found.problem, found.table, [dear, parent], rows) is parent
    found.table.measure([child], rows)
    assert choice.choose(found.problem, found.table, [dear, parent, child], rows) is child


def test_a_rewrite_that_gained_on_its_trial_is_a_finalist_before_validation_saw_it():
    found, parent, child = state()
    found.incumbent = parent
    found.table.measure([parent], found.validation[:10])
    assert found.finalists() == [parent]
    shown = trial(found, parent)
    found.table.measure([child], shown.rows)
    found.trials[child.key] = shown
    assert found.finalists() == [parent, child]
    found.incumbent = child
    assert choice.standing(found.table, parent, child, found.validation, found.trials).mean < 0


def test_close_to_the_limit_on_cost_a_level_cheaper_one_is_taken():
    found, parent, _ = state()
    rows = found.validation[:20]
    dear = parent.but(instructions=f"{LISTED}\nPlease note that this text is here to cost a little money.")
    found.table.measure([parent, dear], rows)
    limit = found.table.cost(dear, rows)
    assert limit is not None
    free = choice.choose(found.problem, found.table, [dear, parent], rows)
    tight = replace(found.problem, max_cost_usd=limit * 1.01)
    assert free is dear and choice.choose(tight, found.table, [dear, parent], rows) is parent
