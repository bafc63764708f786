from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from promptmigrate.config import EndpointConfig, load_config
from promptmigrate.evaluate import Evaluator, Measure, Program, ProgramRunner, as_variant
from promptmigrate.lm import Door
from promptmigrate.pipeline.prepare import harvest_for
from promptmigrate.pipeline.program import components
from promptmigrate.pipeline.program_view import Seen, View, habits
from promptmigrate.search import Problem, strategy
from promptmigrate.types import Example, Prompt, Reply, Variant
from scorers import label_match
from tests.e2e import foreign
from tests.e2e.foreign import KEY, Foreign, note
from tests.pipeline.program_project import PROMPTS, two_steps

GIVEN = {name: Prompt.of(given["text"]) for name, given in PROMPTS.items()}


def answer(ask: Callable[..., str], note: str) -> str:
    return ask("label", feeling=ask("extract", note=note))


def variant(model: str) -> Variant:
    return as_variant(GIVEN, model=f"f/{model}", params={}, origin="original")


def rows(count: int) -> list[Example]:
    found = []
    for index in range(count):
        text, mood = note(index)
        found.append(Example(id=f"e{index}", inputs={"note": text}, reference=mood))
    return found


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Evaluator, ProgramRunner]]:
    monkeypatch.setenv("FOREIGN_KEY", KEY)
    monkeypatch.setattr(foreign, "answer", two_steps)
    with Foreign() as server:
        endpoint = EndpointConfig(base_url=server.base_url, api_key_env="FOREIGN_KEY")
        with (
            Door.open(endpoints={"f": endpoint}, cache=tmp_path / "c.sqlite") as door,
            ProgramRunner(door, Program.of(answer, name="m:answer")) as runner,
        ):
            yield Evaluator(door, [Measure(scorer=label_match())], program=runner.answer), runner


def view(bench: tuple[Evaluator, ProgramRunner], component: str, *, final: bool) -> View:
    evaluator, runner = bench
    return View(
        base=variant("petite"),
        component=component,
        final=final,
        rows={row.id: row for row in rows(6)},
        evaluator=evaluator,
        runner=runner,
    )


def test_how_a_program_uses_its_prompts_is_read_from_its_runs(bench: tuple[Evaluator, ProgramRunner]):
    evaluator, runner = bench
    production = variant("grand")
    assert habits(runner, "label", production) is None
    evaluator.run([production], rows(6))
    first, second = (habits(runner, name, production) for name in GIVEN)
    assert first is not None and second is not None
    assert (first.place, first.before, first.after, first.final) == (0, 0, 2, False)
    assert (second.place, second.before, second.after, second.final) == (1, 1, 1, True)


def test_an_earlier_step_shows_its_own_answer_and_what_became_of_it(bench: tuple[Evaluator, ProgramRunner]):
    _, runner = bench
    seen = view(bench, "extract", final=False)
    examples = seen.examples(rows(6), runner.variables(seen.base, rows(6), "extract"))
    assert [example.reference for example in examples] == [None] * 6
    assert str(rows(6)[0].reference) in str(examples[0].expected)
    better = Variant(prompt=Prompt.text("Quote it in their own words.\n\n{{note}}"), model="f/petite")
    measured = seen.evaluate([seen.original, better], examples)
    for shown, start in ((seen.original, "The customer tells"), (better, "I am ")):
        outcome = measured.outcome(shown, examples[0])
        assert outcome is not None
        text = outcome.reply.text or ""
        assert text.startswith(start)
        assert "finally gave: I would say **" in text
        assert measured.quality(shown, examples[0]) is not None
    assert measured.outcome(Variant(prompt=Prompt.text("x {{note}}"), model="f/petite"), examples[0]) is None


def test_the_step_that_answers_is_asked_with_what_the_one_before_said(
    bench: tuple[Evaluator, ProgramRunner],
):
    _, runner = bench
    seen = view(bench, "label", final=True)
    examples = seen.examples(rows(6), runner.variables(seen.base, rows(6), "label"))
    assert {example.inputs["feeling"] for example in examples} == {
        "The customer tells that something has come."
    }
    assert [example.reference for example in examples] == [row.reference for row in rows(6)]
    measured = seen.evaluate([seen.original], examples)
    assert measured.outcome(seen.original, examples[0]).reply.text == "I would say **FLAT**."  # type: ignore[union-attr]
    assert seen.known(rows(6)).quality(seen.original, examples[0]) == measured.quality(
        seen.original, examples[0]
    )


def test_no_budget_goes_into_samples_at_temperatures_that_a_program_does_not_take(
    bench: tuple[Evaluator, ProgramRunner],
):
    evaluator, runner = bench
    base = as_variant(GIVEN, model="f/petite", params={"temperature": 0}, origin="original")
    program = {row.id: row for row in rows(40)}
    found = View(
        base=base, component="extract", final=False, rows=program, evaluator=evaluator, runner=runner
    )
    seen = found.examples(rows(40), {row.id: row.inputs for row in rows(40)})
    asked: list[tuple[str, str]] = []

    def evaluate(variants: Sequence[Variant], examples: Sequence[Example]) -> Seen:
        asked.extend((variant.prompt.digest, row.id) for variant in variants for row in examples)
        return found.evaluate(variants, examples)

    result = strategy("simba").search(
        Problem(
            original=found.original,
            train=seen[:20],
            validation=seen[20:],
            evaluate=evaluate,
            reflect=lambda _: Reply(kind="provider_error", error="down"),
            reflection_model="f/writer",
            calls=150,
            may_change=frozenset({"instructions"}),
        )
    )
    assert result.calls >= len(asked) == len(set(asked)) > 0
    assert found.joint(found.original).params == base.params


def test_the_example_of_the_configs_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = Path(__file__).parents[2] / "configs" / "two_prompts"
    for name in ("experiment.yaml", "flow.py", "make_calls.py"):
        (tmp_path / name).write_text((folder / name).read_text())
    monkeypatch.syspath_prepend(tmp_path)
    import make_calls  # type: ignore[import-not-found]

    monkeypatch.setattr(make_calls, "ROWS", 60)
    make_calls.main(tmp_path)
    config = load_config(tmp_path / "experiment.yaml")
    found = components(config, tmp_path)
    assert found is not None
    assert found.program.inputs == ("ticket",)
    assert found.program.named == {"classify", "repair"} == set(found.prompts)
    dataset = harvest_for(config, found.surface, None, tmp_path).dataset
    assert found.rehearsed(dataset).calls == 2
