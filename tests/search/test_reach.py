"""A goal that is out of reach is said to be so while most of the calls are still there."""

import math
import random
import re
from dataclasses import replace

import pytest

from promptmigrate.search import strategy
from promptmigrate.types import Prompt

from . import world as worlds


def search(world, calls, **changes):
    lines = []
    problem = world.problem(calls, log=lines.append, **changes)
    return strategy("reflective").search(problem), lines


def deaf(share):
    """A model that is right on ``share`` of the rows, whatever the prompt says."""
    world = worlds.tickets(700)
    wrong = {"billing": "bug", "bug": "account", "account": "shipping", "shipping": "billing"}

    def answer(messages, row):
        return row.reference if worlds.chance("deaf", row.id) < share else wrong[row.reference]

    world.answer = answer
    return world


def test_a_model_that_no_rewrite_helps_is_given_up_and_how_many_were_tried_is_said():
    result, _ = search(worlds.hopeless(), 500, goal=0.95)
    told = re.search(r"no rewrite mended a failure \((\d+) were tried\)", result.stopped)
    assert result.code == "unreachable" and told is not None and int(told[1]) >= 9
    tried = [
        c for g in result.generations for c in g.candidates if c.origin.startswith("proposal") and c.rows
    ]
    assert int(told[1]) >= len({c.variant.digest for c in tried})
    assert result.calls <= 350


@pytest.mark.parametrize(("calls", "most"), [(1000, 400), (3000, 750)])
def test_a_larger_budget_gives_up_after_more_and_leaves_most_of_it(calls, most):
    result, _ = search(worlds.hopeless(), calls, goal=0.95)
    assert result.code == "unreachable" and result.calls <= most


def test_a_large_budget_is_not_given_up_for_an_editor_that_finds_the_rules_late():
    world = coded(silent=0)
    writes, turns = world.editor, iter(range(10**6))

    def editor(text, turn):
        number = next(turns)
        vain = f"```\n{world.prompt.messages[0].content}\nHint {number}{number}: be careful {number}.\n```"
        return writes(text, turn) if number >= 24 else vain

    world.editor = editor
    result, _ = search(world, 3000, goal=0.95, may_change=frozenset({"instructions"}))
    assert result.code != "unreachable" and world.true_quality(result.best) > 0.9


def test_a_few_rewrites_that_could_be_tried_say_nothing_of_the_model():
    world = coded(silent=0)
    turns, instructions = iter(range(10**6)), world.prompt.messages[0].content
    world.editor = lambda text, turn: f"```\n{instructions}\nBe careful.\n```" if next(turns) < 2 else None
    result, _ = search(world, 1000, goal=0.95, may_change=frozenset({"instructions"}))
    assert result.code == "no_improvement"
    assert "only 1 rewrite could be tried, the last was refused because" in result.stopped


def coded(silent):
    """A task that only rewrites solve: codes that no seed knows. The editor is silent at first."""
    codes = {"billing": "Q7", "bug": "Q3", "account": "Q9", "shipping": "Q1"}
    world = worlds.tickets(700)
    truth = {row.id: row.reference for row in world.rows}
    world.rows = [replace(row, reference=codes[row.reference]) for row in world.rows]
    world.__post_init__()
    instructions, asked = world.prompt.messages[0].content, iter(range(10**6))

    def answer(messages, row):
        rules = re.findall(r"(\w+) is (Q\d)", messages[0]["content"])
        return dict(rules).get(truth[row.id], "Q5")

    def editor(text, turn):
        known = re.findall(r"(?:billing|bug|account|shipping) is Q\d", text)
        missing = [f"{name} is {code}" for name, code in codes.items() if f"{name} is {code}" not in known]
        if next(asked) < silent or not missing:
            return None
        return "\n".join([f"```\n{instructions}", *sorted({*known, missing[turn % len(missing)]}), "```"])

    world.answer, world.editor = answer, editor
    return world


def test_an_editor_that_is_down_at_first_says_nothing_of_the_model():
    world = coded(silent=12)
    result, _ = search(world, 1000, goal=0.95, may_change=frozenset({"instructions"}))
    assert result.code != "unreachable" and world.true_quality(result.best) > 0.9


def test_where_no_rewrite_could_be_tried_that_is_the_reason():
    result, _ = search(coded(silent=10**6), 1000, goal=0.95, may_change=frozenset({"instructions"}))
    assert result.code == "no_improvement" and result.calls < 500
    assert "no rewrite could be tried" in result.stopped
    assert "the reflection model gave no usable reply; the best prompt is at 0.00" in result.stopped


def test_a_model_that_stays_where_it_is_is_given_up_by_its_pace():
    result, _ = search(deaf(0.6), 3000, goal=0.95)
    assert result.code == "unreachable" and result.calls < 1500
    assert "0.95" in result.stopped and "does not seem to get there" in result.stopped


def test_what_is_close_or_gets_better_is_not_given_up():
    assert search(deaf(0.88), 1500, goal=0.95)[0].code != "unreachable"
    result, _ = search(worlds.tickets(700), 1500, goal=0.95)
    assert result.code != "unreachable"


def test_a_limit_on_cost_below_what_the_inputs_alone_cost_ends_the_search_after_the_seeds():
    result, _ = search(worlds.tickets(700), 1500, max_cost_usd=1e-6)
    assert result.code == "unreachable" and result.calls <= 200
    assert "a call costs $" in result.stopped and "without any instructions" in result.stopped
    assert "within the gate's limits" in result.stopped


def test_a_limit_on_cost_that_a_shorter_prompt_could_keep_is_said_and_the_search_goes_on():
    world = worlds.tickets(700)
    system, user = (m.content for m in world.prompt.messages)
    said = " ".join(f"Mind that queue {n} is read by somebody in the north office." for n in range(40))
    world.prompt = Prompt.of(
        [{"role": "system", "content": f"{system}\n{said}"}, {"role": "user", "content": user}]
    )
    result, lines = search(world, 300, max_cost_usd=2e-4)
    assert any("only a shorter prompt can pass" in line for line in lines)
    assert result.calls > 200 and "within the gate's limits" in result.stopped


@pytest.mark.parametrize("seed", [2, 6, 11, 19])
def test_a_few_long_inputs_among_the_first_rows_are_no_reason_to_give_up(seed):
    world, chance = worlds.tickets(400), random.Random(seed)
    long = []
    for row in world.rows:
        text = f"{row.inputs['ticket']} {'lorem ' * int(math.exp(chance.gauss(5.5, 0.9)))}"
        inputs = {**row.inputs, "ticket": text}
        long.append(replace(row, id=type(row).content_id(inputs), inputs=inputs))
    world.rows = long
    world.__post_init__()
    original = world.problem(300).original
    measured = world.evaluate([original], world.train)
    costs = [measured.outcome(original, row).reply.cost_usd for row in world.train]
    result, _ = search(world, 300, seed=seed, max_cost_usd=1.05 * sum(costs) / len(costs))
    assert "without any instructions" not in result.stopped, "the original keeps to it on average"


def test_a_limit_on_latency_that_no_seed_comes_near_ends_the_search_after_the_seeds():
    result, _ = search(worlds.tickets(700), 1500, max_p95_latency_s=0.1)
    assert result.code == "unreachable" and result.calls <= 200 and "0.1 s" in result.stopped


def test_a_mean_latency_above_that_of_production_alone_is_no_reason_to_give_up():
    # Production is quick, but for one call in ten: the gate compares the slow ones.
    result, _ = search(worlds.tickets(700), 300, max_latency_s=0.1, max_p95_latency_s=5.0)
    assert result.code != "unreachable"


def test_without_limits_nothing_is_said_of_them():
    result, lines = search(worlds.tickets(700), 600)
    assert not any("where the gate" in line for line in lines)
    assert "limits" not in result.stopped
