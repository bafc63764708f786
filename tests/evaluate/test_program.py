from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dspy
import pytest

from promptmigrate.config import BudgetConfig, EndpointConfig, PriceConfig
from promptmigrate.errors import BudgetExceeded, ConfigError
from promptmigrate.evaluate import Evaluator, Measure, Program, ProgramRunner, as_variant, rehearse
from promptmigrate.lm import Door
from promptmigrate.types import Example, Outcome, Prompt, Variant
from scorers import exact_match
from tests.e2e.foreign import KEY, Foreign, note

PROMPTS = {
    "mood": Prompt.of("Name the mood, GLAD, CROSS or FLAT. Reply with only that word.\n{{note}}"),
    "check": Prompt.of("{{mood}} was said. Is it GLAD, CROSS or FLAT? Reply with only that word.\n{{note}}"),
}
Opened = Callable[..., AbstractContextManager[tuple[Evaluator, ProgramRunner]]]


def variant(**prompts: Prompt) -> Variant:
    return as_variant({**PROMPTS, **prompts}, model="f/grand", params={}, origin="")


def rows(count: int) -> list[Example]:
    made = []
    for index in range(count):
        text, mood = note(index)
        made.append(Example(id=f"e{index}", inputs={"note": text}, reference=mood))
    return made


def twice(ask: Callable[..., str], note: str) -> str:
    return ask("check", note=note, mood=ask("mood", note=note))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Foreign]:
    monkeypatch.setenv("FOREIGN_KEY", KEY)
    with Foreign() as running:
        yield running


@pytest.fixture
def opened(server: Foreign, tmp_path: Path) -> Opened:
    @contextmanager
    def make(target: Any, **options: Any) -> Iterator[tuple[Evaluator, ProgramRunner]]:
        endpoint = EndpointConfig(base_url=server.base_url, api_key_env="FOREIGN_KEY")
        prices = {"f/grand": PriceConfig(input_per_mtok=1, output_per_mtok=2)}
        options = {"cache": tmp_path / "calls.sqlite", "prices": prices, **options}
        with (
            Door.open(endpoints={"f": endpoint}, **options) as door,
            ProgramRunner(door, Program.of(target, name="m:p"), threads=8) as runner,
        ):
            yield Evaluator(door, [Measure(scorer=exact_match())], program=runner.answer), runner

    return make


def one(evaluator: Evaluator, row: Example, of: Variant | None = None) -> Outcome:
    chosen = of or variant()
    outcome = evaluator.run([chosen], [row]).outcome(chosen, row)
    assert outcome is not None
    return outcome


def test_calls_of_a_row_are_added_up_and_scored_once(opened: Opened, server: Foreign):
    with opened(twice) as (evaluator, runner):
        evaluation = evaluator.run([variant()], rows(20))
        ran = runner.ran(variant(), rows(20)[3])
    summary = evaluation.summary(variant())
    assert summary.rows == 20 and summary.quality is not None and summary.quality > 0.8
    assert server.calls == 40
    assert ran is not None and [step.component for step in ran.steps] == ["mood", "check"]
    reply = evaluation.outcomes[variant().digest, "e3", 0].reply
    parts = [step.reply for step in ran.steps]
    assert reply.text == parts[1].text
    assert reply.input_tokens == sum(part.input_tokens for part in parts)
    assert reply.latency_s == sum(part.latency_s for part in parts)
    assert reply.cost_usd == sum(part.cost_usd or 0 for part in parts) > 0


def test_a_changed_component_asks_the_others_from_the_cache(opened: Opened, server: Foreign):
    with opened(twice) as (evaluator, _):
        evaluator.run([variant()], rows(5))
        changed = variant().having(
            "check", Prompt.of("GLAD, CROSS or FLAT? Only the word. {{mood}} {{note}}")
        )
        evaluator.run([changed], rows(5))
    assert server.calls == 15
    assert changed.digest != variant().digest
    assert changed.having("mood", PROMPTS["mood"]).digest == changed.digest


class Module(dspy.Module):
    def forward(self, ask: Callable[..., str], note: str) -> Any:
        return dspy.Prediction(mood=twice(ask, note))


class Later(dspy.Module):
    async def aforward(self, ask: Callable[..., Any], note: str) -> str:
        return str(await ask("check", note=note, mood=await ask("mood", note=note)))


async def later(ask: Callable[..., Any], note: str) -> str:
    first = await asyncio.gather(ask("mood", note=note), ask("mood", note=note.upper()))
    return str(await ask("check", note=note, mood=first[0]))


@dataclass
class Answer:
    text: str


class Flow:
    def __call__(self, ask: Callable[..., str], note: str, tone: str = "") -> Answer:
        return Answer(twice(ask, note))

    def method(self, ask: Callable[..., str], *, note: str) -> str:
        return twice(ask, note)


@pytest.mark.parametrize(
    "target",
    [twice, later, Module, Module(), Later(), Flow, Flow(), Flow().method],
    ids=["function", "async", "dspy class", "dspy object", "dspy async", "class", "object", "method"],
)
def test_what_a_program_can_be(opened: Opened, target: Any):
    assert Program.of(target, name="m:p").inputs == ("note",)
    with opened(target) as (evaluator, _):
        outcome = one(evaluator, rows(1)[0])
    assert outcome.reply.kind == "ok"
    assert outcome.reply.text in ("GLAD", "CROSS", "FLAT", "UNSURE")


def no_inputs(ask: Any) -> str:
    return ""


def any_inputs(ask: Any, **inputs: Any) -> str:
    return ""


class Needy:
    def __init__(self, key: str) -> None:
        self.key = key


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("text", "is a str, not something that can be called"),
        (Needy, "cannot be made without arguments"),
        (no_inputs, "must name its inputs"),
        (any_inputs, "must name its inputs"),
        (lambda: "", "must take 'ask' first"),
    ],
)
def test_what_a_program_cannot_be(target: Any, said: str):
    with pytest.raises(ConfigError, match=said):
        Program.of(target, name="m:p")


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_failing_component_is_missing_data_whatever_the_program_makes_of_it(
    opened: Opened, server: Foreign, stubborn: bool
):
    def program(ask: Callable[..., str], note: str) -> str:
        mood = ask("mood", note=note)
        try:
            return ask("check", note=note, mood=mood)
        except Exception:
            if stubborn:
                return mood
            raise

    server.fault = lambda number: 400 if number == 2 else None
    with opened(program) as (evaluator, runner):
        outcome = one(evaluator, rows(1)[0])
        assert outcome.reply.kind == "provider_error"
        assert outcome.reply.error is not None and outcome.reply.error.startswith("check: ")
        assert outcome.reply.text is None
        assert outcome.scores == ()
        assert runner.ran(variant(), rows(1)[0]) is None
        assert one(evaluator, rows(1)[0]).reply.kind == "ok"  # asked again: only what failed
    assert server.calls == 3


def test_a_program_that_raises_gives_its_user_an_empty_answer(opened: Opened):
    def program(ask: Callable[..., str], note: str) -> str:
        return str(json.loads(ask("mood", note=note))["mood"])

    with opened(program) as (evaluator, runner):
        outcome = one(evaluator, rows(1)[0])
        ran = runner.ran(variant(), rows(1)[0])
    assert outcome.reply.answered
    assert outcome.reply.text == ""
    assert outcome.reply.error is not None and "JSONDecodeError" in outcome.reply.error
    assert [score.value for score in outcome.scores] == [0.0]
    assert ran is not None and ran.error == outcome.reply.error


def test_what_a_program_raises_shows_no_key(opened: Opened):
    def program(ask: Callable[..., str], note: str) -> str:
        raise ValueError("x" * 270 + " refused sk-SECRET1234567890abcdef")

    with opened(program) as (evaluator, _):
        error = one(evaluator, rows(1)[0]).reply.error
    assert error is not None and "refused [SECRET]" in error and "sk-" not in error


def test_a_program_that_gives_no_text_raises(opened: Opened):
    def program(ask: Callable[..., str], note: str) -> Any:
        ask("mood", note=note)

    with opened(program) as (evaluator, _):
        assert "gave a NoneType" in str(one(evaluator, rows(1)[0]).reply.error)


def test_the_budget_ends_the_run_even_if_the_program_catches_it(opened: Opened, server: Foreign):
    def program(ask: Callable[..., str], note: str) -> str:
        try:
            return twice(ask, note)
        except Exception:
            return "nothing"

    with opened(program, budget=BudgetConfig(calls=5)) as (evaluator, _):
        with pytest.raises(BudgetExceeded):
            evaluator.run([variant()], rows(8))
    assert server.calls <= 5


def test_the_same_question_again_is_asked_again_once_for_each_repeat(opened: Opened, server: Foreign):
    def vote(ask: Callable[..., str], note: str) -> str:
        return max([ask("mood", note=note) for _ in range(3)])

    for _ in range(2):
        with opened(vote) as (evaluator, _):
            evaluator.run([variant()], rows(2), repeats=2)
    assert server.calls == 12


def test_what_a_component_is_asked_with_takes_only_the_calls_before_it(opened: Opened, server: Foreign):
    def sometimes(ask: Callable[..., str], note: str) -> str:
        mood = ask("mood", note=note)
        return mood if mood == "GLAD" else ask("check", note=note, mood=mood)

    made = rows(12)
    with opened(sometimes) as (evaluator, runner):
        assert runner.variables(variant(), made, "mood") == {row.id: dict(row.inputs) for row in made}
        assert server.calls == 0
        asked = runner.variables(variant(), made, "check")
        assert server.calls == 12
        evaluator.run([variant()], made)
        assert server.calls == 12 + len(asked)
        assert runner.variables(variant(), made, "check") == asked
        assert {row.id for row in made} - set(asked) == {
            row.id
            for row in made
            if len(runner.ran(variant(), row).steps) == 1  # type: ignore[union-attr]
        }
    assert 0 < len(asked) < 12
    assert all(set(given) == {"note", "mood"} for given in asked.values())


def test_a_program_that_catches_everything_asks_nothing_beyond_the_component(opened: Opened, server: Foreign):
    def stubborn(ask: Callable[..., str], note: str) -> str:
        try:
            mood = ask("mood", note=note)
        except BaseException:
            mood = "FLAT"
        return ask("check", note=note, mood=mood)

    made = rows(3)
    with opened(stubborn) as (_, runner):
        assert runner.variables(variant(), made, "mood") == {row.id: dict(row.inputs) for row in made}
    assert server.calls == 0


def unknown(ask: Callable[..., str], note: str) -> str:
    parsed = json.loads(ask("mood", note=note))
    return ask("chekc", note=note, mood=parsed)


def aliased(ask: Callable[..., str], note: str) -> str:
    tell = partial(ask, "chekc")
    return tell(note=note)


def lacking(ask: Callable[..., str], note: str) -> str:
    return ask("check", note=note)


def odd(ask: Callable[..., str], note: str) -> str:
    return ask("mood", note=object())


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (unknown, "asks for 'chekc', which is not given; given are mood, check"),
        (aliased, "asks for 'chekc'"),
        (lacking, "prompts.check: variable 'mood' of the prompt has no value"),
        (odd, "prompts.mood: Object of type object"),
    ],
)
def test_mistakes_show_without_a_model(program: Any, said: str):
    with pytest.raises(ConfigError, match=said):
        rehearse(Program.of(program, name="m:p"), variant(), rows(3))


def test_a_rehearsal_counts_the_calls_and_forgives_what_stubs_cause():
    def parses(ask: Callable[..., str], note: str) -> str:
        return str(json.loads(ask("mood", note=note)))

    assert rehearse(Program.of(twice, name="m:p"), variant(), rows(3)) == 2
    assert rehearse(Program.of(later, name="m:p"), variant(), rows(3)) == 3
    assert rehearse(Program.of(parses, name="m:p"), variant(), rows(3)) == 1


def test_made_up_answers_that_never_suit_a_program_do_not_hold_up_its_rehearsal():
    def insists(ask, note):
        while True:
            with suppress(Exception):
                if ask("mood", note=note) == "what only a model says":
                    return "done"

    assert rehearse(Program.of(insists, name="m:p"), variant(), rows(3)) == 0


def test_a_prompt_that_is_only_asked_for_later_is_refused_then(opened: Opened):
    def program(ask: Callable[..., str], note: str) -> str:
        return ask("mood", note=note) + ask("".join(["o", "ther"]), note=note)

    with opened(program) as (evaluator, _):
        with pytest.raises(ConfigError, match="asks for 'other'"):
            evaluator.run([variant()], rows(1))


def test_the_digest_of_a_variant_with_one_prompt_is_what_it_was():
    single = Variant(prompt=PROMPTS["mood"], model="f/grand", params={"temperature": 0})
    assert single.digest == "sha256:0d5f3c7b8227a71e4638885e9a8e9a7d2cf22769402043360420b5fcca6f47e4"
    assert single.prompt_digest == PROMPTS["mood"].digest


def test_a_variant_whose_prompt_is_not_its_component_cannot_be_made():
    with pytest.raises(ValueError, match="not the component"):
        Variant(prompt=PROMPTS["mood"], model="f/m", components=PROMPTS, component="check")
