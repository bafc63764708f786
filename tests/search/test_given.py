"""Prompts that a search is handed: worked examples in them that are train rows are demos again."""

from dataclasses import replace

import pytest

from promptmigrate.search import strategy
from promptmigrate.search.anatomy import Anatomy
from promptmigrate.search.demos import usable
from promptmigrate.search.given import given
from promptmigrate.search.guard import Guard
from promptmigrate.search.testing import Shop
from promptmigrate.search.testing.shop import CHAT, TEXT, TWO
from promptmigrate.types import Message, Prompt

RULES = "Say on which shelf of the shop a note belongs: one of north, south, east."


def handed_on(shop, count=6, placement="own"):
    """What the search for another model may have found."""
    demos = [demo for _, demo in usable(shop.problem(1).train)][:count]
    anatomy = Anatomy.of(shop.original.prompt)
    return anatomy.compose(RULES, demos=demos, placement=placement), [demo.example for demo in demos]


def repeated(prompt):
    shown = [message.content for message in prompt.messages if message.role == "user"]
    return len(shown) - len(set(shown))


@pytest.mark.parametrize("original", [TEXT, CHAT])
@pytest.mark.parametrize("placement", ["own", "user"])
@pytest.mark.parametrize("count", [0, 1, 6])
def test_train_rows_in_it_are_demos_and_it_stays_to_the_letter(original, placement, count):
    shop = Shop(prompt=original)
    prompt, rows = handed_on(shop, count, placement)
    (start,) = given(shop.problem(100, prompts=(prompt,)))
    assert start.prompt == prompt
    assert [demo.example for demo in start.demos] == rows
    assert start.but(demos=()).prompt == Anatomy.of(original).compose(RULES, placement=placement)


def test_turns_that_are_no_train_rows_are_a_part_of_the_prompt():
    shop = Shop()
    prompt, rows = handed_on(shop)
    own = (
        Message(role="user", content="Note: a new note\nShelf:"),
        Message(role="assistant", content="east"),
    )
    mixed = Prompt((prompt.messages[0], *own, *prompt.messages[1:]), chat=True)
    (start,) = given(shop.problem(100, prompts=(mixed,)))
    assert start.prompt == mixed
    assert [demo.example for demo in start.demos] == rows
    assert own[0] in start.anatomy.prompt.messages
    only = Prompt((prompt.messages[0], *own, prompt.messages[-1]), chat=True)
    assert [c.demos for c in given(shop.problem(100, prompts=(only, TWO)))] == [(), ()]


def test_where_demos_may_not_change_they_stay_where_they_are():
    shop = Shop()
    prompt, _ = handed_on(shop)
    (start,) = given(shop.problem(100, prompts=(prompt,), may_change=frozenset({"instructions"})))
    assert start.prompt == prompt and not start.demos


@pytest.mark.parametrize("name", ["reflective", "fewshot", "mipro", "random"])
def test_no_strategy_shows_a_row_twice(name):
    shop = Shop(rows=60)
    prompt, _ = handed_on(shop)
    result = strategy(name).search(shop.problem(300, prompts=(prompt,)))
    tried = [c.variant.prompt for g in result.generations for c in g.candidates if c.variant]
    assert prompt in tried
    assert [repeated(each) for each in tried] == [0] * len(tried)


def test_a_row_that_it_shows_may_not_be_copied_into_the_instructions():
    shop = Shop()
    problem = shop.problem(100)
    note = "The parcel of Mrs Miller stood wet before the door of her neighbour since Monday morning."
    train = (replace(problem.train[0], inputs={"note": note}), *problem.train[1:])
    (demo,) = [demo for row, demo in usable(train) if row is train[0]]
    anatomy = Anatomy.of(shop.original.prompt)
    guard = Guard.of(replace(problem, train=train, prompts=(anatomy.compose(RULES, demos=[demo]),)))
    (start,) = given(replace(problem, train=train, prompts=(anatomy.compose(RULES, demos=[demo]),)))
    assert guard.refuse(start, proposed=False) is None
    reason = guard.refuse(start.but(instructions=f"{RULES}\nFor instance: {note}"))
    assert reason is not None and "copies a training row" in reason
