from dataclasses import replace

import optuna
import pytest

from promptmigrate.search import strategy
from promptmigrate.search.knobs import Knobs, study_name
from promptmigrate.search.state import State

from . import world as worlds

ALL = frozenset({"instructions", "demos", "format", "temperature"})


def state(study=None, *, temperature=0.7, **changes):
    world = worlds.tickets(300, params={"temperature": temperature})
    return world, State(world.problem(600, may_change=ALL, study=study, **changes))


def turn(found, rounds=3, count=2, knobs=None):
    """Rounds of knobs around the original; the settings of each."""
    knobs = knobs or Knobs(found.problem, found.seeds)
    rows = found.validation[:10]
    found.admit(found.original)
    found.table.measure([found.original], rows)
    seen = []
    for _ in range(rounds):
        settings = knobs.ask(found.original, found.report(found.original), count)
        found.table.measure([s.candidate for s in settings], rows)
        knobs.tell(settings, found.original, found.table, rows)
        seen.append([(s.index, dict(s.params), s.candidate.key) for s in settings])
    knobs.close()
    return seen


def trials(url, found):
    study = optuna.load_study(study_name=study_name(found.problem), storage=url)
    kept = [t for t in study.get_trials() if not t.user_attrs.get("double")]
    study._storage._backend.engine.dispose()
    return kept


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'study.sqlite'}"


def test_only_what_may_change_is_turned():
    _, found = state()
    knobs = Knobs(found.problem, found.seeds)
    contract = found.original.but(instructions=f"Sort.\n\n{found.contract.rules}")
    assert {"demos", "demo_draw", "demo_hard", "placement", "temperature", "section_0"} <= set(
        knobs.space(contract)
    )
    assert not any(name.startswith("section") for name in knobs.space(found.original))
    fixed = replace(found.problem, may_change=frozenset({"temperature"}))
    assert set(Knobs(fixed, found.seeds).space(contract)) == {"temperature"}
    assert Knobs(replace(found.problem, may_change=frozenset()), found.seeds).ask(
        contract, found.report(contract), 3
    ) == []  # fmt: skip
    _, cold = state(temperature=0)
    assert "temperature" not in Knobs(cold.problem, cold.seeds).space(contract)


def test_settings_differ_and_do_what_they_say():
    _, found = state()
    knobs = Knobs(found.problem, found.seeds)
    start = found.original.but(instructions=f"Sort.\n\n{found.contract.rules}")
    settings = knobs.ask(start, found.report(start), 12)
    keys = [s.candidate.key for s in settings]
    assert len(settings) == 12 and len(set(keys)) == 12 and start.key not in keys
    for setting in settings:
        candidate, params = setting.candidate, setting.params
        assert len(candidate.demos) == params["demos"]
        assert candidate.placement == params["placement"]
        assert candidate.variant.params["temperature"] == params["temperature"]
        off = [k for k, v in params.items() if k.startswith("section") and not v]
        assert (candidate.instructions == start.instructions) == (not off)
    assert any(not all(v for k, v in s.params.items() if k.startswith("section")) for s in settings)


def test_with_and_without_storage_the_same_is_asked(url):
    plain = turn(state()[1])
    assert turn(state(url)[1]) == plain
    assert turn(state()[1]) == plain
    assert turn(state(seed=3)[1]) != plain


def test_a_killed_search_goes_on_and_asks_no_trial_twice(url):
    whole = turn(state()[1])
    _, found = state(url)
    turn(found, rounds=1)
    # killed while a round is under way: its trials were asked and never told
    knobs = Knobs(found.problem, found.seeds)
    knobs.ask(found.original, found.report(found.original), 2)
    knobs.close()
    before = [(t.number, t.params) for t in trials(url, found)]
    _, again = state(url)
    assert turn(again) == whole
    after = trials(url, again)
    assert [(t.number, t.params) for t in after][: len(before)] == before
    indices = [t.user_attrs["index"] for t in after]
    assert len(set(indices)) == len(indices)
    assert {t.state for t in after} <= {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL}
    for _, params, _ in (setting for part in whole for setting in part):
        assert params in [t.params for t in after]


def test_what_the_storage_holds_is_taken_as_it_is(url):
    _, found = state(url)
    turn(found, rounds=1, count=1)
    study = optuna.load_study(study_name=study_name(found.problem), storage=url)
    number = next(t for t in trials(url, found) if t.state == optuna.trial.TrialState.COMPLETE)
    other = {**number.params, "demos": (number.params["demos"] + 1) % 5, "placement": "user"}
    study._storage._backend.engine.dispose()
    _, fresh = state(url, seed=9)  # another search: trials of the first are not its own
    assert study_name(fresh.problem) != study_name(found.problem)
    choices = {k: optuna.distributions.CategoricalDistribution(v)
               for k, v in Knobs(fresh.problem, fresh.seeds).space(fresh.original).items()}  # fmt: skip
    planted = optuna.create_study(storage=url, study_name=study_name(fresh.problem), direction="maximize")
    planted.enqueue_trial(other, user_attrs={"index": 0})
    planted.ask(fixed_distributions=choices)
    planted._storage._backend.engine.dispose()
    (asked,) = turn(fresh, rounds=1, count=1)[0]
    assert asked[:2] == (0, other)


def test_workers_that_ask_at_once_agree(url):
    _, first = state(url)
    _, second = state(url)
    mine, theirs = Knobs(first.problem, first.seeds), Knobs(second.problem, second.seeds)
    rows = first.validation[:10]
    for found in (first, second):
        found.table.measure([found.original], rows)
    for _ in range(2):
        a = mine.ask(first.original, first.report(first.original), 2)
        b = theirs.ask(second.original, second.report(second.original), 2)
        assert [(s.index, s.params) for s in a] == [(s.index, s.params) for s in b]
        for found, knobs, settings in ((first, mine, a), (second, theirs, b)):
            found.table.measure([s.candidate for s in settings], rows)
            knobs.tell(settings, found.original, found.table, rows)
    mine.close()
    theirs.close()
    assert all(t.state.is_finished() for t in trials(url, first))


def test_costs_above_the_limit_are_constraints(url):
    _, found = state(url, max_cost_usd=1e-9, max_latency_s=100.0)
    turn(found, rounds=1)
    told = [t for t in trials(url, found) if t.state == optuna.trial.TrialState.COMPLETE]
    assert told
    for trial in told:
        assert trial.constraints["cost_usd"] > 0 > trial.constraints["latency_s"]


def test_a_search_that_is_killed_ends_with_the_same_prompt(url):
    may = frozenset({"demos", "format"})

    def run(study, limit=None):
        world = worlds.tickets(300, limit=limit)
        return strategy("reflective").search(world.problem(400, may_change=may, study=study))

    whole = run(None)
    assert any(g.phase == "knobs" for g in whole.generations)
    cut = run(url, limit=whole.generations[1].calls + 3)
    assert cut.code == "budget" and cut.calls < whole.calls
    again = run(url)
    assert again == whole
    assert run(url) == whole


def test_what_was_told_decides_what_is_asked_next():
    def asked(right):
        world = worlds.tickets(300)

        def answer(messages, row):
            demos = sum(m["role"] == "assistant" for m in messages)
            return row.reference if right(demos) else "none of them"

        world.answer = answer
        return turn(State(world.problem(600, may_change=frozenset({"demos"}))), rounds=4, count=3)

    many, few = asked(lambda demos: demos >= 4), asked(lambda demos: demos < 4)
    assert many[0] == few[0], "before anything is told, both are asked the same"
    assert many[1:] != few[1:]
