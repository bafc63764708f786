import logging
import sys

import pytest

from promptmigrate.search import strategy
from promptmigrate.search.anatomy import Anatomy, Candidate
from promptmigrate.search.testing import Shop
from promptmigrate.types import Prompt

from . import world as worlds


def search(world, calls, **changes):
    result = strategy("gepa").search(world.problem(calls, **changes))
    assert world.calls <= result.calls <= calls
    assert world.limit is not None or world.calls == result.calls
    assert set(result.best.prompt.variables) == set(world.prompt.variables)
    return result


def test_improves_and_returns_a_plain_prompt_that_was_measured_as_such():
    world = worlds.tickets(chat=False)
    result = search(world, 400)
    assert world.true_quality(result.best) > 0.5
    assert result.best.prompt.source.endswith("Ticket: {{ticket}}\nQueue:")
    assert result.rows >= 20
    assert world.asked["reflection"] > 2


def test_is_deterministic():
    a, b = search(worlds.sums(), 150), search(worlds.sums(shuffle=4), 150)
    assert a.best == b.best and a.calls == b.calls


@pytest.mark.parametrize("calls", [10, 40, 100])
def test_never_overdraws(calls):
    search(worlds.tickets(), calls)


def test_refused_proposals_cost_no_evaluation():
    world = worlds.sums()
    world.editor = lambda text, turn: "Answer {{something_else}} step by step."
    result = search(world, 150)
    assert result.best.prompt == world.prompt
    assert world.true_quality(result.best) < 0.4
    assert world.asked["reflection"] == 10 and result.code == "exhausted"
    assert "10 proposals in a row" in result.stopped and "something_else" in result.stopped


def test_errors_do_not_decide():
    world = worlds.sums(broken=0.2)
    result = search(world, 300)
    assert world.true_quality(result.best) > 0.85
    assert all("OUTAGE" not in text for text in world.requests)


def test_a_budget_that_ends_under_way_gives_the_best_so_far():
    world = worlds.sums(limit=90)
    result = search(world, 300)
    assert result.code == "budget" and world.calls <= 90


def test_empty_instructions_are_a_start_too():
    world = worlds.extraction()
    world.editor = lambda text, turn: (
        'Use the keys "customer", "kind", "date" (YYYY-MM-DD), "amount". No code fence.'
    )
    result = search(world, 200)
    assert world.true_quality(result.best) > 0.9


def test_writes_nothing_to_stdout_and_leaves_logging_as_it_was(capsys):
    level = logging.getLogger("dspy").level
    search(worlds.sums(), 100)
    written = capsys.readouterr()
    assert written.out == "" and "Optimization" not in written.err
    assert logging.getLogger("dspy").level == level
    assert sys.stdout is not None


def test_the_program_sends_exactly_the_prompt():
    from promptmigrate.search.dspy_bridge import TemplateProgram
    from promptmigrate.search.proposers import reflection_lm
    from promptmigrate.types import Reply, Variant

    prompt = Prompt.of(
        [
            {"role": "system", "content": "Sort.\n  Indented."},
            {"role": "user", "content": "Ticket: {{ticket}} ({{schema}}, {{_private}})"},
        ]
    )
    sent = []

    def reflect(request):
        sent.append([dict(m) for m in request.messages])
        return Reply(kind="ok", text=" bug ")

    import dspy

    lm = reflection_lm(worlds.tickets().problem(1, reflect=reflect))
    candidate = Candidate(
        anatomy=Anatomy.of(prompt),
        base=Variant(prompt=prompt, model="toy/small"),
        instructions=Anatomy.of(prompt).instructions,
    )
    program = TemplateProgram(candidate)
    names = program.predict.names
    values = {"ticket": "It broke {{now}}", "schema": "s", "_private": "p"}
    with dspy.context(lm=lm):
        answer = program(**{names[k]: v for k, v in values.items()})
    assert answer.model_answer == " bug "
    assert sent == [list(prompt.render(values))]
    assert program.candidate().prompt == prompt
    program.predict.demos = [
        {names[k]: v for k, v in {**values, "ticket": "x"}.items()} | {"model_answer": "bug"}
    ]
    assert [m.role for m in program.candidate().prompt.messages] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "name",
    [
        *("self", "base", "instance", "program", "program_to_use", "augmented", "dspy_split", "dspy_"),
        *("instructions", "fields", "schema", "signature", "trace", "cls", "args", "kwargs"),
        *("row_id", "model_answer", "_value"),
    ],
)
def test_a_variable_may_have_a_name_that_dspy_keeps_for_itself(name):
    import dspy

    from promptmigrate.search.dspy_bridge import TemplateProgram, as_examples

    prompt = Prompt.of(f"Say where a note belongs.\n\nTongue: {{{{{name}}}}}\nNote: {{{{note}}}}\nShelf:")
    shop = Shop(prompt=prompt)
    result = strategy("fewshot").search(shop.problem(120))
    assert "broke off" not in result.stopped
    assert shop.true_quality(result.best) > shop.true_quality(shop.original) + 0.15
    anatomy = Anatomy.of(prompt)
    program = TemplateProgram(
        Candidate(anatomy=anatomy, base=shop.original, instructions=anatomy.instructions), Said()
    )
    (row,) = as_examples(shop.train[:1], program.predict.names)
    inputs = row.inputs().toDict()
    assert sorted(inputs.values()) == sorted([shop.train[0].id, "English", shop.train[0].inputs["note"]])
    assert program(**row.inputs()).said == inputs
    demo = dspy.Example(augmented=True, **inputs, model_answer="north")
    assert [dict(d.inputs) for d in program.predict.adapter.demos([demo])] == [dict(shop.train[0].inputs)]


class Said:
    """A source that tells what it was asked with."""

    def __deepcopy__(self, memo):
        return self

    def answer(self, program, **inputs):
        import dspy

        return dspy.Prediction(said=inputs)
