"""DSPy's optimizers as strategies: what is around them, beyond the contract."""

import logging
import random
import sys

import numpy as np
import optuna
import pytest

from promptmigrate.errors import BudgetExceeded, EndpointError
from promptmigrate.search import strategy
from promptmigrate.search.strategies._optimizer import optimise
from promptmigrate.search.testing import Shop
from promptmigrate.search.testing.shop import CHAT
from promptmigrate.types import Prompt

OPTIMIZERS = ("copro", "fewshot", "fewshot-optuna", "gepa", "mipro", "simba")
ASKING = ("copro", "gepa", "metaprompt", "mipro", "simba")
UNSEEN = "(this answer was not measured)"


@pytest.mark.parametrize("name", [*OPTIMIZERS, "metaprompt", "random"])
def test_finds_a_better_prompt(name):
    shop = Shop(rows=30)
    result = strategy(name).search(shop.problem(300 if name == "simba" else 200))
    assert shop.true_quality(result.best) > shop.true_quality(shop.original) + 0.15
    assert result.baseline < result.quality
    assert result.best in [c.variant for c in result.generations[0].candidates if c.fate == "incumbent"]
    assert result.best in [point.variant for point in result.front]


@pytest.mark.parametrize("name", ["copro", "gepa", "metaprompt", "mipro"])
def test_refused_proposals_cost_no_evaluation_and_are_recorded(name):
    shop = Shop(write=lambda text, number: f"Read {{{{elsewhere}}}} and say {number}.")
    problem = shop.problem(200, may_change=frozenset({"instructions"}))
    result = strategy(name).search(problem)
    assert {digest for digest, _ in shop.given} == {shop.original.digest}
    fates = [c.fate for c in result.generations[0].candidates]
    assert any("invents the placeholder {{elsewhere}}" in fate for fate in fates)
    assert shop.reflections > 1


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("error", [BudgetExceeded("all is spent"), EndpointError("no such model")])
def test_an_error_of_the_door_ends_the_search_at_the_first_reflection(name, error):
    shop = Shop(rows=30)
    asked = []

    def reflect(request):
        asked.append(request)
        raise error

    problem = shop.problem(300, reflect=reflect)
    if isinstance(error, BudgetExceeded):
        result = strategy(name).search(problem)
        assert result.code == "budget" and "all is spent" in result.stopped
        assert result.quality is not None
    else:
        with pytest.raises(EndpointError, match="no such model"):
            strategy(name).search(problem)
    assert len(asked) == 1


def test_missing_rows_are_neither_right_nor_wrong():
    from promptmigrate.search.dspy_bridge import score_with

    score = score_with(0.4)
    missing, refused = {"cell": None, "refused": False}, {"cell": None, "refused": True}
    assert score({}, missing) == 0.4 and score({}, refused) == 0.0
    assert score({}, missing, trace=[]) is False


@pytest.mark.parametrize("name", ["simba", "gepa", "mipro"])
def test_reflection_never_sees_an_answer_that_was_not_measured(name):
    shop = Shop(rows=40, broken=0.35)
    calls = 160 if name == "gepa" else 400
    strategy(name).search(shop.problem(calls, may_change=frozenset({"instructions"})))
    assert shop.reflections > 1
    assert not any(UNSEEN in text for text in shop.requests)


def test_simba_samples_at_several_temperatures_and_ships_none_of_them():
    shop = Shop(rows=30)
    heats = set()

    def evaluate(variants, examples):
        heats.update(v.params["temperature"] for v in variants)
        return shop.evaluate(variants, examples)

    result = strategy("simba").search(shop.problem(300, evaluate=evaluate))
    assert {0, 1.0, 0.9} <= heats
    assert result.best.params == shop.original.params


def test_simba_keeps_to_the_parameters_where_no_temperature_is_set():
    shop = Shop(rows=30)
    bare = shop.original.__class__(prompt=shop.original.prompt, model=shop.original.model)
    seen = []

    def evaluate(variants, examples):
        seen.extend(dict(v.params) for v in variants)
        return shop.evaluate(variants, examples)

    fixed = frozenset({"instructions", "demos"})
    strategy("simba").search(shop.problem(200, original=bare, evaluate=evaluate, may_change=fixed))
    assert seen and not any(seen)


def test_simbas_rules_stand_before_the_input():
    shop = Shop(rows=40)
    problem = shop.problem(500, may_change=frozenset({"instructions"}))
    best = strategy("simba").search(problem).best.prompt
    assert best.messages[0].content.startswith(CHAT.messages[0].content)
    assert best.messages[0] != CHAT.messages[0] and best.messages[1] == CHAT.messages[1]


@pytest.mark.parametrize("name", ["copro", "gepa"])
def test_rows_of_an_evaluation_are_asked_for_together(name):
    shop = Shop(rows=30)
    sizes = []

    def evaluate(variants, examples):
        sizes.append(len(examples))
        return shop.evaluate(variants, examples)

    strategy(name).search(shop.problem(150, evaluate=evaluate))
    assert max(sizes) >= 10
    assert sum(sizes) / len(sizes) > 3


def test_proposals_of_one_asking_are_told_apart_at_the_door():
    from promptmigrate.lm.engine import dspy_lm

    shop = Shop(rows=30)
    asked = []

    class FakeDoor:
        def complete(self, request):
            asked.append((request.messages[-1]["content"], request.repeat))
            return shop.reflect(request)

    def make(model, purpose):
        return dspy_lm(FakeDoor(), model, purpose=purpose)

    result = strategy("copro").search(shop.problem(200, dspy_lm=make))
    assert len(asked) == len(set(asked)) > len({text for text, _ in asked})
    assert shop.calls == result.calls


def test_starts_from_a_given_prompt_that_does_better():
    good = Prompt.of(f"{CHAT.messages[0].content}\nAnswer with only the shelf.\n\nNote: {{{{note}}}}\nShelf:")
    shop = Shop(write=lambda text, number: None)
    result = strategy("copro").search(shop.problem(200, prompts=(good,)))
    assert result.best.prompt == good and result.best.origin == "given prompt 1"


def searched(compile_, calls=120, **changes):
    shop = Shop(**changes)
    result = optimise(shop.problem(calls), "stubborn", compile_, changes=frozenset({"instructions", "demos"}))
    assert shop.calls <= result.calls <= calls
    return shop, result


def stubborn(session):
    """Goes on for ever, whatever is raised."""
    import dspy

    number = 0
    evaluate = dspy.Evaluate(devset=session.screen(), metric=session.score, num_threads=1)
    while True:
        number += 1
        program = session.student.deepcopy()
        said = f"{CHAT.messages[0].content} Attempt {number}: only the shelf."
        program.predict.signature = program.predict.signature.with_instructions(said)
        try:
            evaluate(program)
        except Exception:
            continue


def test_an_optimizer_that_never_ends_is_ended_with_the_best_so_far():
    shop, result = searched(stubborn)
    assert result.code == "budget"
    assert shop.true_quality(result.best) > shop.true_quality(shop.original)


def test_an_optimizer_that_ends_by_the_budget_of_the_door_keeps_the_best_so_far():
    shop, result = searched(stubborn, limit=50)
    assert result.code == "budget" and "50 calls are spent" in result.stopped
    assert shop.true_quality(result.best) > shop.true_quality(shop.original)


def test_an_optimizer_that_breaks_off_is_said_and_what_it_found_counts():
    def breaks(session):
        try:
            session.measurer.need(0)
            program = session.student.deepcopy()
            said = f"{CHAT.messages[0].content} Answer with only the shelf."
            program.predict.signature = program.predict.signature.with_instructions(said)
            for item in session.screen():
                program(**item.inputs())
        finally:
            raise KeyError("{who} knows")

    shop, result = searched(breaks)
    assert "broke off (KeyError" in result.stopped and result.code == "exhausted"
    assert shop.true_quality(result.best) > shop.true_quality(shop.original)


def test_a_mistake_in_evaluating_is_not_swallowed():
    def evaluate(variants, examples):
        raise ZeroDivisionError("a mistake of ours")

    shop = Shop()
    problem = shop.problem(100)
    first = [problem.evaluate]

    def once(variants, examples):
        return (first.pop() if first else evaluate)(variants, examples)

    with pytest.raises(ZeroDivisionError):
        strategy("mipro").search(shop.problem(100, evaluate=once))


def test_empty_and_default_instructions_propose_nothing():
    def empties(session):
        program = session.student.deepcopy()
        program.predict.signature = program.predict.signature.with_instructions("")
        assert program.candidate().key == session.run.original.key

    searched(empties)


def test_what_an_optimizer_sets_globally_is_set_back(capsys):
    def meddles(session):
        random.seed(3)
        np.random.seed(3)
        optuna.logging.set_verbosity(optuna.logging.DEBUG)
        logging.getLogger("dspy").warning("a warning")
        sys.stdout.write("to stdout")

    state, arrays = random.getstate(), np.random.get_state()
    level, verbosity = logging.getLogger("dspy").level, optuna.logging.get_verbosity()
    searched(meddles)
    assert random.getstate() == state
    assert np.array_equal(np.random.get_state()[1], arrays[1])
    assert (logging.getLogger("dspy").level, optuna.logging.get_verbosity()) == (level, verbosity)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", [*OPTIMIZERS, "metaprompt", "random", "reflective"])
def test_no_bars_and_no_logs(name, capsys):
    strategy(name).search(Shop().problem(120))
    assert capsys.readouterr() == ("", "")


def test_what_is_not_a_bar_passes(capsys):

    def talks(session):
        sys.stderr.write("half done\n")
        sys.stderr.write("\r 50%|#####     | 5/10 [00:01<00:01]")
        sys.stderr.write("\n")
        sys.stderr.write("\n")
        sys.stderr.write("done\n")

    searched(talks)
    assert capsys.readouterr().err == "half done\ndone\n"
