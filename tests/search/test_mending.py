"""Chains of rewrites: what they cost, what they show, and what they leave to validation."""

import pytest

from promptmigrate.search import strategy
from promptmigrate.search.generation import Generations
from promptmigrate.search.mending import Mending
from promptmigrate.search.state import State
from promptmigrate.types import Prompt

from . import world as worlds


def mended(world, calls=300, **changes):
    problem = world.problem(calls, **changes)
    state = State(problem)
    state.admit(state.original)
    state.table.measure([state.original], state.validation[: state.plan.block])
    Mending(state, Generations(state)).play(state.original)
    return state


def test_a_chain_teaches_what_one_rewrite_does_not():
    world = worlds.tickets(words=9, noise=0.0)
    state = mended(world)
    assert state.mended and state.improved
    assert world.true_quality(state.incumbent.variant) > world.true_quality(state.original.variant) + 0.3
    assert state.table.calls <= 300 and world.calls == state.table.calls


def test_a_second_look_is_asked_for_with_the_draft_and_the_old_answers():
    world = worlds.tickets(words=9)
    mended(world)
    reviews = [text for text in world.requests if "given before the last change" in text]
    assert reviews
    assert all("# How the model does" in text and "#### Generated Outputs" in text for text in reviews)


def test_nothing_is_tried_where_instructions_may_not_change():
    world = worlds.tickets()
    state = mended(world, may_change=frozenset({"demos"}))
    assert not world.requests and state.incumbent is state.original


def test_ends_have_shown_themselves_on_validation_before_one_leads():
    state = mended(worlds.tickets(words=9))
    assert state.incumbent is not state.original
    assert len(state.table.differences(state.incumbent, state.original, state.validation)) > 0


@pytest.mark.parametrize("editor", [lambda text, turn: None, lambda text, turn: "Say nothing."])
def test_an_editor_that_mends_nothing_ends_the_chains_early(editor):
    world = worlds.tickets()
    world.editor = editor
    state = mended(world, 1000)
    assert not state.mended
    assert world.asked["reflection"] <= 3 * 2 * 2


@pytest.mark.parametrize("calls", [40, 100, 160, 300, 500])
def test_a_search_with_chains_keeps_to_its_calls_under_failures(calls):
    world = worlds.tickets(broken=0.2, words=9)
    result = strategy("reflective").search(world.problem(calls))
    assert world.calls <= result.calls <= calls


def test_a_chain_that_gets_stuck_tries_itself_without_the_contract():
    world = worlds.tickets(words=9, noise=0.0, clumsy=0.0)
    told = world.answer

    def confused(messages, row):
        long = "Output format" in messages[0]["content"] and worlds.chance("long", row.id) < 0.4
        return "I lost the thread." if long else told(messages, row)

    world.answer = confused
    system = "Sort the ticket. Answer with only its queue: account, billing, bug or shipping."
    world.prompt = Prompt.of(
        [{"role": "system", "content": system}, {"role": "user", "content": "{{ticket}}"}]
    )
    problem = world.problem(600)
    state = State(problem)
    contract = next(c for c in state.seeds.first() if c.origin == "contract")
    for seed in (state.original, contract):
        state.admit(seed)
        state.table.measure([seed], state.free[: state.plan.block])
    state.incumbent = contract
    Mending(state, Generations(state)).play(contract)
    assert any(c.origin.endswith("- contract") for c in state.archive.values())
    assert "Output format" not in state.incumbent.instructions
    assert world.true_quality(state.incumbent.variant) > world.true_quality(contract.variant) + 0.3


def test_a_chain_whose_rows_are_all_answered_asks_further_ones():
    world = worlds.tickets(count=400, words=9, noise=0.0, clumsy=0.0)
    # So many rules at once mend all that the first rows show; rarer words stand in rows not asked yet.
    world.editor = worlds.rule_editor(clumsy=0.0, rules=9)
    state = mended(world, 600)
    rewrites = [c for c in state.archive.values() if c.origin.startswith("proposal")]
    asked = [sum(state.table.cell(c, e) is not None for e in state.train) for c in rewrites]
    assert max(asked) > 40
