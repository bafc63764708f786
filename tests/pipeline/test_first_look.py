"""A judge whose answers cannot be used ends a run before the search is paid; calls that fail do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from promptmigrate.config import EndpointConfig
from promptmigrate.errors import ConfigError
from promptmigrate.evaluate import Evaluation, Evaluator, Measure
from promptmigrate.lm import Door
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.first_look import before, contact
from promptmigrate.pipeline.plan import plan
from promptmigrate.types import Dataset, Example, Prompt, Variant
from scorers import equivalence, exact_match
from tests.e2e.foreign import KEY, Foreign, note
from tests.e2e.harness import MOOD_PROMPT
from tests.pipeline.test_plan import config

CRITIC = Measure(scorer=equivalence(model="f/critic"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Foreign]:
    monkeypatch.setenv("FOREIGN_KEY", KEY)
    with Foreign() as running:
        yield running


def looked(
    server: Foreign,
    folder: Path,
    *measures: Measure,
    target: str = "petite",
    first: bool = False,
    strategy: str = "reflective",
) -> Evaluation | None:
    """The first look at the old prompt on ``target``, or only the ``first`` rows of it."""
    prompt = Prompt.of(MOOD_PROMPT)
    rows = []
    for index in range(120):
        text, truth = note(index)
        inputs = {"note": text}
        rows.append(Example(id=Example.content_id(inputs), inputs=inputs, reference=truth))
    names = ("train", "validation", "test")
    dataset = Dataset(examples=tuple(rows), splits={e.id: names[i % 3] for i, e in enumerate(rows)})  # type: ignore[misc]
    endpoint = EndpointConfig(base_url=server.base_url, api_key_env="FOREIGN_KEY")
    with Door.open(endpoints={"f": endpoint}, cache=folder / "calls.sqlite") as door:
        planned = plan(config(budget={"calls": 1200}), dataset, prompt, 2, door)
        evaluator = Evaluator(door, measures)
        original = Variant(prompt=prompt, model=f"f/{target}")
        if first:
            alone = replace(planned, rerun=False)
            experiment = config(search={"strategy": strategy, "reflection_model": "f/writer"})
            contact(experiment, original, original, dataset, evaluator, door, alone)
        return before(original, dataset, evaluator, planned, Listener())


def test_a_judge_without_verdicts_is_named_with_the_rows_and_an_answer(server: Foreign, tmp_path: Path):
    with pytest.raises(ConfigError) as refused:
        looked(server, tmp_path, CRITIC)
    said = str(refused.value)
    assert "the answers of f/critic cannot be used: equivalence has no score on" in said
    assert "of 40 rows (for instance, off_menu: " in said and "have their charms" in said
    assert "name another judge or give it more max_tokens" in said
    assert refused.value.key == "scorers"


def test_so_is_one_that_gives_empty_answers(server: Foreign, tmp_path: Path):
    server.blocked = lambda model, _text: model == "critic"
    with pytest.raises(ConfigError, match=r"40 of 40 rows .*the judge gave an empty answer"):
        looked(server, tmp_path, CRITIC)


def test_where_it_fails_on_the_very_first_rows_it_is_named_too(server: Foreign, tmp_path: Path):
    server.blocked = lambda model, _text: model == "critic"
    with pytest.raises(ConfigError, match=r"f/critic cannot be used: .* 2 of 2 rows"):
        looked(server, tmp_path, CRITIC, first=True)
    assert server.calls == 6


def test_calls_to_a_judge_that_fail_are_missing_data(server: Foreign, tmp_path: Path):
    server.fault = lambda number: 400 if server.log[number - 1][0] == "critic" else None
    found = looked(server, tmp_path, CRITIC)
    assert found is not None
    assert found.summary(found.variants[0]).errors == {"unscored: judge_failed": 40}


def test_a_few_answers_without_a_verdict_are_no_reason_to_stop(server: Foreign, tmp_path: Path):
    # What is said as production said it needs no judge.
    found = looked(server, tmp_path, CRITIC, target="dull")
    assert found is not None
    assert 0 < found.summary(found.variants[0]).errors["unscored: off_menu"] <= 20


def test_a_judge_that_weighs_nothing_does_not_stop_a_run(server: Foreign, tmp_path: Path):
    found = looked(server, tmp_path, Measure(scorer=exact_match()), Measure(scorer=CRITIC.scorer, weight=0))
    assert found is not None
    assert found.summary(found.variants[0]).rows == 40


@pytest.mark.parametrize(("strategy", "asked"), [("reflective", 1), ("random", 0), ("fewshot", 0)])
def test_a_reflection_model_is_asked_only_where_it_is_used(
    server: Foreign, tmp_path: Path, strategy: str, asked: int
):
    looked(server, tmp_path, Measure(scorer=exact_match()), first=True, strategy=strategy)
    assert [model for model, _ in server.log].count("writer") == asked
