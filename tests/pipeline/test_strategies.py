"""What the strategy of an experiment needs is known before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest

from promptmigrate.config import Config
from promptmigrate.errors import ConfigError, UsageError
from promptmigrate.pipeline.habits import habit
from promptmigrate.pipeline.strategies import asked_models, check_strategy, reflection_model
from promptmigrate.search import names
from tests.pipeline.test_plan import config

WITHOUT = ("random", "fewshot", "fewshot-optuna")
EDITOR = "openai/editor"


def searching(name: str, **search: Any) -> Config:
    return config(search={"strategy": name, "reflection_model": EDITOR, **search})


@pytest.mark.parametrize("name", names())
def test_a_reflection_model_is_asked_only_where_the_strategy_wants_one(name: str):
    found = searching(name)
    wanted = name not in WITHOUT
    assert (EDITOR in asked_models(found)) == (habit(found).reflections > 0) == wanted
    assert reflection_model(found) == (EDITOR if wanted else None)


def test_a_strategy_that_is_not_there_is_taken_to_want_one():
    assert EDITOR in asked_models(searching("reflectiv"))
    with pytest.raises(UsageError, match="did you mean 'reflective'"):
        check_strategy(searching("reflectiv"))


@pytest.mark.parametrize(
    ("name", "may", "needs", "instead"),
    [
        ("copro", ["demos"], "instructions", "fewshot"),
        ("gepa", ["format"], "instructions", "random"),
        ("metaprompt", ["demos", "format"], "instructions", "simba"),
        ("mipro", ["demos"], "instructions", "reflective"),
        ("fewshot", ["instructions"], "demos", "gepa"),
        ("fewshot-optuna", ["instructions", "temperature"], "demos", "copro"),
        ("random", ["temperature"], "demos, format, instructions", "reflective"),
    ],
)
def test_a_strategy_with_nothing_to_change_is_refused(name: str, may: list[str], needs: str, instead: str):
    with pytest.raises(ConfigError) as refused:
        check_strategy(searching(name, may_change=may))
    said = str(refused.value)
    assert f"search.may_change is [{', '.join(may)}], which leaves {name} nothing to change" in said
    assert f"name one of {needs}, or use a strategy" in said and instead in said.partition("named (")[2]
    assert refused.value.key == "search.may_change"


def test_nothing_at_all_may_change():
    with pytest.raises(ConfigError, match=r"search.may_change is \[\], which leaves reflective nothing"):
        check_strategy(searching("reflective", may_change=[]))


@pytest.mark.parametrize("name", names())
def test_every_strategy_has_something_to_change_by_default(name: str):
    assert check_strategy(searching(name)) == name
