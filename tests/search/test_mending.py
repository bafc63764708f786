"""Chains of rewrites: what they cost, what they show, and what they leave to validation."""

import pytest

from promptmigrate.search import strategy
from promptmigrate.search.generation import Generations
from promptmigrate.search.mending import Mending
from promptmigrate.search.state import State

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
