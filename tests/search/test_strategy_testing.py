"""The contract finds strategies that break it."""

import math
import random
import sys
from dataclasses import replace

import pytest

from promptmigrate.errors import BudgetExceeded, UsageError
from promptmigrate.search import FrontPoint, Problem, SearchResult, run_strategy, strategy
from promptmigrate.search.anatomy import Anatomy, Demo
from promptmigrate.search.base import CHANGEABLE
from promptmigrate.search.testing import Shop, StrategyContract
from promptmigrate.types import Prompt, Request, Variant


def result(best, calls, *, quality=None, rows=0):
    return SearchResult(
        best=best, quality=quality, baseline=None, front=(), generations=(), stopped="done", code="exhausted",
        calls=calls, rows=rows,
    )  # fmt: skip


class Sloppy:
    """Measures the original on validation rows, whatever that costs."""

    name = "sloppy"
    deterministic = True

    def search(self, problem: Problem) -> SearchResult:
        rows = self.rows(problem)
        answers = problem.evaluate([problem.original], rows)
        found = [self.seen(answers.quality(problem.original, row)) for row in rows]
        found = [q for q in found if q is not None]
        quality = sum(found) / len(found) if found else None
        return result(self.best(problem), self.calls(problem), quality=quality, rows=len(found))

    def rows(self, problem):
        return problem.validation

    def seen(self, quality):
        return quality

    def best(self, problem):
        return problem.original

    def calls(self, problem):
        return len(problem.validation) * problem.calls_per_row


class CountsErrorsAsZero(Sloppy):
    def seen(self, quality):
        return quality or 0.0


class LosesPlaceholders(Sloppy):
    def best(self, problem):
        return replace(problem.original, prompt=Prompt.of("Answer."))


class InventsABest(Sloppy):
    def best(self, problem):
        prompt = Anatomy.of(problem.original.prompt).compose("Answer well.")
        return Variant(prompt=prompt, model=problem.original.model)


class Measures(Sloppy):
    """Measures a prompt of its own and gives back the original."""

    def own(self, problem):
        raise NotImplementedError

    def search(self, problem: Problem) -> SearchResult:
        problem.evaluate([self.own(problem)], problem.validation[:1])
        return super().search(problem)

    def calls(self, problem):
        return super().calls(problem) + problem.calls_per_row


class MeasuresWithoutPlaceholder(Measures):
    def own(self, problem):
        return replace(problem.original, prompt=Prompt.of("Say which shelf."))


class WritesTheFixedPartAnew(Measures):
    def own(self, problem):
        *rest, last = problem.original.prompt.messages
        changed = replace(last, content=last.content.replace("Note:", "Here is the note:"))
        return replace(problem.original, prompt=Prompt((*rest, changed), chat=problem.original.prompt.chat))


class WritesTooMuch(Measures):
    def own(self, problem):
        text = "Be brief, and be quick. " * problem.max_prompt_tokens
        return replace(problem.original, prompt=Anatomy.of(problem.original.prompt).compose(text))


class AsksAnotherModel(Measures):
    def own(self, problem):
        return replace(problem.original, model="toy/manager")


class ChangesParameters(Measures):
    def own(self, problem):
        return replace(
            problem.original, params={**problem.original.params, "api_key": "sk-SECRET1234567890abc"}
        )


class EndsWithParameters(Sloppy):
    def best(self, problem):
        return replace(problem.original, params={**problem.original.params, "temperature": 0.7})


class TellsOfParameters(Sloppy):
    def search(self, problem: Problem) -> SearchResult:
        other = replace(problem.original, params={"api_key": "sk-SECRET1234567890abc"})
        point = FrontPoint(variant=other, quality=0.5, cost_usd=None, latency_s=None, rows=1)
        return replace(super().search(problem), front=(point,))


class ShowsValidation(Sloppy):
    def calls(self, problem):
        row = problem.validation[0]
        problem.reflect(Request(model="x", messages=problem.original.prompt.render(row.inputs)))
        return super().calls(problem) + 1


class CountsTooLittle(Sloppy):
    def calls(self, problem):
        return 0


class AsksInSecret(Sloppy):
    reflects = False

    def calls(self, problem):
        problem.reflect(Request(model="x", messages=problem.original.prompt.messages))
        return super().calls(problem) + 1


class ClaimsTooMuch(Sloppy):
    changes = frozenset({"model"})


class Seeds(Sloppy):
    def best(self, problem):
        random.seed(4)
        return problem.original


class Prints(Sloppy):
    def best(self, problem):
        sys.stdout.write("hello")
        return problem.original


class IsMoody(Sloppy):
    turns = 0

    def best(self, problem):
        IsMoody.turns += 1
        params = {"temperature": IsMoody.turns % 2}
        best = Variant(prompt=problem.original.prompt, model=problem.original.model, params=params)
        problem.evaluate([best], problem.validation)
        return best

    def calls(self, problem):
        return 2 * super().calls(problem)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Sloppy, "test_never_more_calls_than_planned"),
        (CountsTooLittle, "test_never_more_calls_than_planned"),
        (CountsErrorsAsZero, "test_infrastructure_errors_are_not_scores"),
        (LosesPlaceholders, "test_every_shape_of_prompt_keeps_its_variables_and_turns"),
        (InventsABest, "test_every_shape_of_prompt_keeps_its_variables_and_turns"),
        (MeasuresWithoutPlaceholder, "test_every_shape_of_prompt_keeps_its_variables_and_turns"),
        (WritesTheFixedPartAnew, "test_every_shape_of_prompt_keeps_its_variables_and_turns"),
        (WritesTooMuch, "test_every_shape_of_prompt_keeps_its_variables_and_turns"),
        (AsksAnotherModel, "test_every_shape_of_prompt_keeps_its_variables_and_turns"),
        (ShowsValidation, "test_every_shape_of_prompt_keeps_its_variables_and_turns"),
        (AsksInSecret, "test_says_only_what_is_true_of_itself"),
        (ClaimsTooMuch, "test_says_only_what_is_true_of_itself"),
        (Seeds, "test_shows_nothing_and_does_not_seed_what_is_global"),
        (Prints, "test_shows_nothing_and_does_not_seed_what_is_global"),
        (IsMoody, "test_the_same_problem_gives_the_same_result"),
        (IsMoody, "test_changes_only_what_it_may"),
    ],
)
def test_finds_what_is_broken(broken, test):
    contract = type("Contract", (StrategyContract,), {"strategy": broken})()
    with pytest.raises(AssertionError):
        getattr(contract, test)()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            LosesPlaceholders,
            "'sloppy' ends with a prompt that may not be tried: it lost the placeholder {{note}}",
        ),
        (MeasuresWithoutPlaceholder, "'sloppy' asks for a prompt that may not be tried: it lost"),
        (WritesTheFixedPartAnew, "it changes the fixed part"),
        (WritesTooMuch, "the limit is 4000"),
        (AsksAnotherModel, "it is for toy/manager"),
        (ChangesParameters, "it changes the parameter api_key, and no search may"),
        (EndsWithParameters, "it changes the parameter temperature, and search.may_change does not name it"),
        (TellsOfParameters, "it changes the parameter api_key, and no search may"),
    ],
)
def test_what_breaks_a_rule_is_refused_before_a_call_is_made(broken, reason):
    shop = Shop()
    with pytest.raises(UsageError) as refused:
        run_strategy(broken(), shop.problem(200, may_change=CHANGEABLE - {"temperature"}))
    assert reason in str(refused.value)
    assert "SECRET" not in str(refused.value)
    assert shop.calls == (0 if issubclass(broken, Measures) else len(shop.validation))


def rewritten(problem):
    return Anatomy.of(problem.original.prompt).compose("Answer well.")


def with_demo(problem):
    row = problem.train[0]
    demo = Demo(example=row.id, inputs=row.inputs, answer=str(row.expected))
    anatomy = Anatomy.of(problem.original.prompt)
    return anatomy.compose(anatomy.instructions, demos=[demo])


def moved(problem):
    anatomy = Anatomy.of(problem.original.prompt)
    return anatomy.compose(anatomy.instructions, placement="user")


def moved_and_rewritten(problem):
    return Anatomy.of(problem.original.prompt).compose("Answer well.", placement="user")


def handed_in(problem):
    return problem.prompts[0]


@pytest.mark.parametrize("ends", [False, True], ids=["measures", "ends with"])
@pytest.mark.parametrize(
    ("make", "needs", "reason"),
    [
        (rewritten, {"instructions"}, "it changes the instructions, and"),
        (with_demo, {"demos"}, "it has worked examples (demos), and"),
        (moved, {"format"}, "it moves the instructions to the user turn (format), and"),
        (moved_and_rewritten, {"format", "instructions"}, ", and"),
        (handed_in, {"instructions"}, "it changes the instructions, and"),
    ],
)
def test_a_prompt_changes_only_what_it_may(make, needs, reason, ends):
    made: type[Sloppy] = (
        type("Ends", (Sloppy,), {"best": lambda _, problem: replace(problem.original, prompt=make(problem))})
        if ends
        else type(
            "Asks", (Measures,), {"own": lambda _, problem: replace(problem.original, prompt=make(problem))}
        )
    )
    users = [Prompt.of([{"role": "system", "content": "Sort."}, {"role": "user", "content": "{{note}}?"}])]
    for missing in needs:
        shop = Shop()
        with pytest.raises(UsageError) as refused:
            run_strategy(made(), shop.problem(200, may_change=CHANGEABLE - {missing}, prompts=users))
        assert reason in str(refused.value) and "search.may_change does not name that" in str(refused.value)
        assert shop.calls == (len(shop.validation) if ends else 0)
    shop = Shop()
    run_strategy(made(), shop.problem(200, may_change=frozenset(needs), prompts=users))


def test_an_original_beyond_the_cap_may_be_measured():
    shop = Shop()
    assert run_strategy(Sloppy(), shop.problem(200, max_prompt_tokens=1)).best == shop.original


def test_an_exceeded_budget_must_not_escape():
    contract = type("Contract", (StrategyContract,), {"strategy": Sloppy})()
    with pytest.raises(BudgetExceeded):
        contract.test_an_exceeded_budget_gives_the_best_so_far()


def test_what_is_not_a_strategy_is_said():
    with pytest.raises(AssertionError, match="a name and search"):
        type("Contract", (StrategyContract,), {"strategy": object()})().made()


def test_an_object_or_a_name_will_do():
    for given in (Sloppy(), Sloppy, "random"):
        contract = type("Contract", (StrategyContract,), {"strategy": given})()
        contract.test_leaves_a_perfect_original_alone()


def test_the_shop_can_be_improved():
    shop = Shop()
    best = strategy("random").search(shop.problem(200)).best
    assert shop.true_quality(best) > shop.true_quality(shop.original) + 0.2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (None, "a NoneType, not a SearchResult"),
        ({"best": "Classify."}, "best is a str, not a Variant"),
        ({"quality": math.nan}, "quality is nan"),
        ({"quality": 7.0}, "quality is 7.0"),
        ({"baseline": "0.5"}, "baseline is '0.5'"),
        ({"calls": -5}, "calls is -5"),
        ({"rows": 3.0}, "rows is 3.0"),
        ({"stopped": None}, "stopped is None"),
        (
            {"best": Variant(prompt=Prompt.of("{{note}}"), model="toy/clerk", params=None)},
            "best.params is a NoneType",
        ),
        ({"code": "bored"}, "code 'bored'"),
        ({"front": []}, "front is no tuple of FrontPoint"),
        ({"facts": (1,)}, "facts is no tuple of str"),
    ],
)
def test_a_result_of_other_types_is_refused_before_the_gate(changes, reason):
    class Odd(Sloppy):
        def search(self, problem):
            result = super().search(problem)
            return None if changes is None else replace(result, **changes)

    with pytest.raises(UsageError, match="'sloppy' gives back what cannot be used") as refused:
        run_strategy(Odd(), Shop().problem(200))
    assert reason in str(refused.value)


@pytest.mark.parametrize("error", [ZeroDivisionError("of nothing"), SystemExit(0)])
def test_a_plug_in_that_breaks_or_wants_to_end_the_process_is_named(error: BaseException):
    class Breaks(Sloppy):
        def search(self, problem):
            raise error

    with pytest.raises(UsageError, match=f"'sloppy' broke: {type(error).__name__}"):
        run_strategy(Breaks(), Shop().problem(200))


def test_what_stops_a_run_passes_a_plug_in():
    class Exceeds(Sloppy):
        def search(self, problem):
            raise BudgetExceeded("all is spent")

    with pytest.raises(BudgetExceeded):
        run_strategy(Exceeds(), Shop().problem(200))


@pytest.mark.parametrize(
    ("temperature", "fine"), [(0.5, True), (0, True), (-1, False), (math.nan, False), ("hot", False)]
)
def test_a_temperature_that_may_change_is_a_number(temperature, fine):
    class Warms(Sloppy):
        def best(self, problem):
            return replace(problem.original, params={**problem.original.params, "temperature": temperature})

    problem = Shop().problem(200, may_change=frozenset({"temperature"}))
    if fine:
        assert run_strategy(Warms(), problem).best.params["temperature"] == temperature
    else:
        with pytest.raises(UsageError, match="its temperature is no number from 0 on"):
            run_strategy(Warms(), problem)


def test_answers_may_be_sampled_at_other_temperatures_where_the_original_has_one():
    class Samples(Measures):
        def own(self, problem):
            return replace(problem.original, params={"temperature": 0.9})

    shop, closed = Shop(), frozenset({"instructions"})
    assert "temperature" in shop.original.params
    assert run_strategy(Samples(), shop.problem(200, may_change=closed)).best == shop.original
    bare = replace(shop.original, params={})
    with pytest.raises(UsageError, match="the parameter temperature"):
        run_strategy(Samples(), shop.problem(200, original=bare, may_change=closed))


def test_the_message_of_a_plug_in_shows_no_key():
    class Breaks(Sloppy):
        def search(self, problem):
            raise ValueError("401: invalid key sk-SECRET1234567890abcdef")

    with pytest.raises(UsageError, match="invalid key") as told:
        run_strategy(Breaks(), Shop().problem(200))
    assert "SECRET1234" not in str(told.value)
