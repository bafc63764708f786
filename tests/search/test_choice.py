"""Evidence of a challenger: validation rows and what train rows let hope; the final choice."""

from dataclasses import replace

import pytest

from promptmigrate.search import choice
from promptmigrate.search.belief import Belief
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
    return choice.Trial(failing=tuple(bad[:failing]), passing=tuple(good[:passing]), fail_share=0.3)


def test_a_rule_that_mends_its_failures_counts_before_validation_can_show_it():
    found, parent, child = state()
    shown = trial(found, parent)
    rows = [e for e in found.validation if "voucher" not in e.inputs["ticket"]][:10]
    found.table.measure([parent, child], [*rows, *shown.rows])
    assert found.belief.difference(child, parent).mean == pytest.approx(0.0, abs=1e-6)
    assert not found.improves(child, parent)
    hope = choice.hoped(found.table, child, parent, shown)
    assert 0 < hope < shown.fail_share
    found, parent, child = state()
    found.hopes[child.key] = hope
    assert found.belief.difference(child, parent).mean == pytest.approx(hope)


def test_a_hope_is_handed_down_but_not_up():
    found, parent, child = state()
    grandchild = child.but(instructions=f"{child.instructions}\nBe brief.")
    found.admit(grandchild)
    found.hopes[child.key] = 0.1
    assert found.hope(grandchild) == found.hope(child) == 0.1
    assert found.hope(parent) == found.hope(found.original) == 0.0


def test_a_rule_that_breaks_what_passed_is_held_back_by_validation():
    found, parent, _ = state()
    harmful = parent.but(instructions=f"{LISTED}\n{RULE}\nWrite a sentence.".replace("only", ""))
    found.admit(harmful)
    shown = trial(found, parent)
    rows = found.validation[:20]
    found.table.measure([parent, harmful], [*rows, *shown.rows])
    found.hopes[harmful.key] = choice.hoped(found.table, harmful, parent, shown)
    assert found.belief.difference(harmful, parent).mean < 0
    assert not found.improves(harmful, parent)


def test_nothing_is_better_without_a_row_that_both_answered():
    found, parent, child = state()
    found.hopes[child.key] = 0.9
    found.table.measure([parent], found.validation[:5])
    found.table.measure([child], found.validation[5:10])
    assert found.belief.difference(child, parent).mean > 0
    assert not found.improves(child, parent)


@pytest.mark.parametrize("calls", [FRESH_FROM - 1, FRESH_FROM])
def test_large_searches_race_on_rows_that_chose_nobody_yet(calls):
    found, parent, child = state(calls)
    found.incumbent = parent
    used = found.validation[:10]
    found.table.measure([parent, child], used)
    first = found.fresh()[:10]
    assert {e.id for e in first}.isdisjoint({e.id for e in used}) == (calls >= FRESH_FROM)
    assert sorted(e.id for e in found.fresh()) == sorted(e.id for e in found.validation)


def believed(found, candidates, rows):
    return Belief.of(found.table, candidates, rows, {})


def test_level_finalists_keep_their_order_and_a_shown_cheaper_one_wins():
    found, parent, child = state()
    rows = found.validation

    def chosen(*finalists):
        belief = believed(found, finalists, rows)
        return choice.choose(found.problem, found.table, finalists, rows, belief)

    dear = parent.but(
        instructions=f"{LISTED}\nPlease note that this text is here to cost a little more money."
    )
    found.table.measure([parent, dear], rows[:8])
    assert chosen(dear, parent) is dear  # eight level rows do not show that the cheaper one is as good
    found.table.measure([parent, dear], rows)
    assert chosen(dear, parent) is parent
    found.table.measure([child], rows)
    assert chosen(dear, parent, child) is child


def test_a_rewrite_that_gained_on_its_trial_is_a_finalist_before_validation_saw_it():
    found, parent, child = state()
    found.incumbent = parent
    found.table.measure([parent], found.validation[:10])
    assert found.finalists() == [parent]
    found.hopes[child.key] = 0.1
    assert found.finalists() == [parent, child]


def test_close_to_the_limit_on_cost_a_level_cheaper_one_is_taken():
    found, parent, _ = state()
    rows = found.validation[:30]
    dear = parent.but(instructions=f"{LISTED}\nPlease note that this text is here to cost a little money.")
    found.table.measure([parent, dear], rows)
    limit = found.table.cost(dear, rows)
    assert limit is not None
    belief = believed(found, [dear, parent], rows)
    tight = replace(found.problem, max_cost_usd=limit * 1.01)
    assert choice.choose(tight, found.table, [dear, parent], rows, belief) is parent
