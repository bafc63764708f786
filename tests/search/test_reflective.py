import re
from dataclasses import replace

import pytest

from promptmigrate.errors import EndpointDown, StorageError
from promptmigrate.search import SearchResult, strategy
from promptmigrate.search.anatomy import Anatomy
from promptmigrate.search.reply import read
from promptmigrate.search.text import tokens_of
from promptmigrate.types import Prompt

from . import world as worlds

BUDGETS = (40, 100, 300, 1000)


def search(world, calls, **changes) -> SearchResult:
    problem = world.problem(calls, **changes)
    result = strategy("reflective").search(problem)
    assert world.calls <= result.calls <= calls
    assert world.limit is not None or world.calls == result.calls
    assert set(result.best.prompt.variables) == set(problem.original.prompt.variables)
    return result


def story(result):
    return [
        (g.phase, g.calls, g.quality, [(c.origin, c.quality, c.rows, c.fate) for c in g.candidates])
        for g in result.generations
    ]


@pytest.mark.parametrize("calls", BUDGETS)
@pytest.mark.parametrize(
    ("make", "least"),
    [
        (worlds.tickets, {40: 0.5, 100: 0.6, 300: 0.8, 1000: 0.9}),
        (lambda: worlds.tickets(chat=False), {40: 0.5, 100: 0.6, 300: 0.7, 1000: 0.9}),
        (lambda: worlds.tickets(deaf=True), {40: 0.4, 100: 0.5, 300: 0.7, 1000: 0.9}),
        (worlds.extraction, {40: 0.95, 100: 0.95, 300: 0.95, 1000: 0.95}),
        (worlds.sums, {40: 0.85, 100: 0.9, 300: 0.9, 1000: 0.9}),
    ],
    ids=["labels", "text", "deaf", "json", "sums"],
)
def test_improves_within_the_budget(make, least, calls):
    world = make()
    result = search(world, calls)
    assert world.true_quality(world.problem(1).original) <= 0.35
    assert world.true_quality(result.best) >= least[calls]
    assert result.quality is not None and result.stopped


def test_rules_from_failures_and_demos_together_beat_either():
    def found(seed: int, *may: str) -> float:
        world = worlds.tickets(words=9, noise=0.1, calm=0.3, count=300)
        best = search(world, 1000, seed=seed, may_change=frozenset(may)).best
        if "demos" not in may:
            assert all(m.role != "assistant" for m in best.prompt.messages)
        if "instructions" not in may:
            assert best.prompt.messages[0] == world.prompt.messages[0]
        return world.true_quality(best)

    def mean(*may: str) -> float:
        return sum(found(seed, *may) for seed in range(3)) / 3

    together = mean("instructions", "demos", "format")
    assert together > 0.85
    assert together > mean("demos")
    assert together > mean("instructions")


def test_runs_are_identical_whatever_the_order_of_completion():
    runs = [search(worlds.tickets(shuffle=s, broken=0.05), 300) for s in (0, 1, 2)]
    assert runs[0].best == runs[1].best == runs[2].best
    assert story(runs[0]) == story(runs[1]) == story(runs[2])
    other = search(worlds.tickets(broken=0.05), 300, seed=5)
    assert story(other) != story(runs[0])


@pytest.mark.parametrize("limit", [0, 3, 17, 60, 120, 200])
def test_a_budget_that_ends_under_way_gives_the_best_so_far(limit):
    world = worlds.tickets(limit=limit)
    result = search(world, 300)
    assert result.code == "budget" and world.calls <= limit
    if limit < 3:
        assert result.best.prompt == world.prompt and result.quality is None
    if limit >= 60:  # none of the best was compared on validation yet
        assert world.true_quality(result.best) > 0.5


def test_a_target_that_cannot_be_reached_is_said_to_be_so_early():
    world = worlds.hopeless()
    result = search(world, 1000, goal=0.95)
    assert result.code == "unreachable" and "0.95" in result.stopped
    assert result.best.prompt == world.prompt
    assert result.calls < 700


def test_a_perfect_original_stays_and_costs_little():
    world = worlds.tickets()
    world.answer = lambda messages, row: row.reference
    result = search(world, 1000)
    assert result.code == "perfect" and result.best.prompt == world.prompt
    assert world.asked["reflection"] == 0 and result.calls <= 100


def test_judges_count_in_the_price_of_a_row():
    world = worlds.tickets(calls_per_row=3)
    result = search(world, 300)
    assert world.true_quality(result.best) > 0.5


def test_errors_are_neither_scored_nor_shown():
    world = worlds.tickets(broken=0.35)
    result = search(world, 500)
    assert world.true_quality(result.best) > 0.6
    assert world.requests and all("OUTAGE" not in text for text in world.requests)


def test_a_world_that_answers_nothing_is_reported():
    result = search(worlds.tickets(broken=1.0), 300)
    assert result.code == "unmeasurable" and result.quality is None
    assert result.calls < 30


def test_an_editor_that_is_down_does_not_stop_the_seeds():
    world = worlds.tickets()
    world.editor = lambda text, turn: None
    result = search(world, 300)
    assert world.true_quality(result.best) > 0.5
    assert any("no usable reply" in c.fate for g in result.generations for c in g.candidates)


def test_only_train_rows_reach_the_reflection_model():
    world = worlds.tickets()
    search(world, 1000)
    assert world.requests
    hidden = [str(e.inputs["ticket"]) for e in (*world.validation, *world.test)]
    assert not [row for row in hidden for text in world.requests if row in text]


def test_rows_that_were_not_asked_show_their_answers_to_the_reflection_model():
    world = worlds.tickets()
    search(world, 120)
    told = world.requests[0].split("# What is expected for other inputs\n")[1].split("\n# ")[0]
    shown = [e for e in world.problem(120).train if e.inputs["ticket"] in told]
    assert len(shown) >= 15
    for row in shown:
        assert f"Input: {row.inputs['ticket']}\nExpected answer: {row.expected}" in told
    failures = (
        world.requests[0].split("# How the model does with the current instructions\n")[1].split("\n# ")[0]
    )
    assert not [row for row in shown if row.inputs["ticket"] in failures], "each row once"


def test_what_a_step_of_a_program_should_answer_is_not_made_up():
    world = worlds.tickets()
    unknown = {"final answer of the whole program": "x", "this prompt": "is not known"}
    train = tuple(replace(e, reference=None, expectations=unknown) for e in world.problem(1).train)
    search(world, 150, train=train, validation=train[:10])
    assert world.requests and not any("What is expected for other inputs" in text for text in world.requests)


def test_proposals_without_their_placeholder_cost_no_evaluation():
    world = worlds.tickets(chat=False)
    world.editor = lambda text, turn: f"```\nSort {{{{everything}}}} anew, way {turn}.\n```"
    result = search(world, 500)
    fates = [c.fate for g in result.generations for c in g.candidates if c.origin.startswith("proposal")]
    assert fates and all(f.startswith("refused: ") for f in fates)


@pytest.mark.parametrize("name", ["reflective", "gepa", "metaprompt"])
@pytest.mark.parametrize("chat", [True, False])
def test_a_fixed_part_that_was_written_anew_costs_no_evaluation(name, chat):
    world = worlds.tickets(chat=chat)
    world.editor = lambda text, turn: f"Look well, {turn}.\n\nHere is the thing: {{{{ticket}}}}"
    measured = []

    def evaluate(variants, examples):
        measured.extend(str(variant.prompt) for variant in variants)
        return world.evaluate(variants, examples)

    strategy(name).search(world.problem(200, evaluate=evaluate))
    assert measured and not [prompt for prompt in measured if "the thing" in prompt]
    assert "it writes {{ticket}} itself" in world.requests[-1], "the next proposal is told"


def test_the_whole_prompt_with_its_fixed_part_is_as_good_as_the_instructions():
    def best(add):
        world = worlds.tickets(chat=False)
        write = world.editor
        world.editor = lambda text, turn: f"```\n{read(write(text, turn)).text}{add}\n```"
        return search(world, 300).best.prompt

    frame = Anatomy.of(worlds.tickets(chat=False).prompt).frame
    assert best("") == best(f"\n\n{frame}") != worlds.tickets(chat=False).prompt


def test_prompts_of_the_user_are_seeds():
    world = worlds.tickets()
    better = "Answer with only one of: billing, bug, account, shipping."
    given = Prompt.of([{"role": "system", "content": better}, {"role": "user", "content": "{{ticket}}"}])
    result = search(world, 100, prompts=(given,))
    assert "given prompt 1" in {c.origin for g in result.generations for c in g.candidates}


def test_a_cost_limit_rules_out_dear_variants():
    world = worlds.tickets()
    free = search(world, 500)
    dear = next(p for p in free.front if p.variant == free.best)
    assert dear.cost_usd is not None
    limited = search(worlds.tickets(), 500, max_cost_usd=dear.cost_usd * 0.6)
    point = next(p for p in limited.front if p.variant == limited.best)
    assert point.cost_usd is not None and point.cost_usd <= dear.cost_usd * 0.6


def test_the_front_is_not_dominated():
    result = search(worlds.tickets(), 500)
    assert result.best in [point.variant for point in result.front]
    for a in result.front:
        for b in result.front:
            if a is not b and a.cost_usd is not None and b.cost_usd is not None:
                assert a.quality > b.quality or a.cost_usd < b.cost_usd


def test_the_token_cap_holds():
    world = worlds.tickets()
    result = search(world, 500, max_prompt_tokens=80)
    for generation in result.generations:
        for c in generation.candidates:
            if c.variant and not c.fate.startswith("refused"):
                assert tokens_of(c.variant.prompt) <= 80


@pytest.mark.parametrize("train", [0, 1, 3])
@pytest.mark.parametrize("validation", [1, 4])
def test_tiny_splits_work(train, validation):
    world = worlds.tickets()
    problem = world.problem(100)
    problem = replace(problem, train=problem.train[:train], validation=problem.validation[:validation])
    result = strategy("reflective").search(problem)
    assert world.calls == result.calls <= 100


def test_nothing_may_change():
    world = worlds.tickets()
    result = search(world, 100, may_change=frozenset())
    assert result.best.prompt == world.prompt


@pytest.mark.parametrize("error", [StorageError("the call cache cannot be written"), EndpointDown("gone")])
def test_what_must_stop_a_run_is_not_a_failed_call(error):
    world = worlds.tickets()

    def broken(_request):
        raise error

    with pytest.raises(type(error)):
        search(world, 300, reflect=broken)


def test_demos_are_tried_on_the_original_and_on_the_contract():
    result = search(worlds.tickets(), 300)
    origins = {c.origin for c in result.generations[0].candidates}
    assert any(o.startswith("original + ") for o in origins)
    assert any("contract" in o and o.endswith("demos") for o in origins)


def test_the_editor_of_a_long_prompt_may_leave_it_as_long_as_it_is():
    world = worlds.tickets()
    rules = " ".join(f"Rule {n} is that topic {n} is nothing special." for n in range(300))
    first, *rest = world.prompt.messages
    world.prompt = replace(
        world.prompt, messages=(replace(first, content=f"{first.content}\n\n{rules}"), *rest)
    )
    search(world, 150, max_prompt_tokens=2 * tokens_of(world.prompt))
    asked = [int(said[1]) for text in world.requests if (said := re.search(r"Use at most (\d+) words", text))]
    assert asked and min(asked) >= 2700
