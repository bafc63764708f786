from __future__ import annotations

from typing import Any

import pytest

from promptmigrate.config import Config, parse_config, unknown_params
from promptmigrate.errors import ConfigError


def config(reflection: dict[str, Any] | None = None, **params: Any) -> Config:
    return parse_config(
        {
            "search": {"reflection_params": reflection or {}},
            "name": "t",
            "prompt": {"text": "Say {{x}}"},
            "targets": [{"model": "sim/triage-small", "params": params}],
            "data": {"traces": {"file": "x.jsonl"}},
            "gate": {"margin": 0.05},
        }
    )


def test_known_parameters_and_those_of_an_endpoint() -> None:
    known = config(
        temperature=0,
        max_tokens=9,
        stop=["x"],
        logprobs=True,
        response_format={"type": "json_object"},
        seed=None,
    )
    assert unknown_params(known) == []
    (line,) = unknown_params(config(guided_json={}))
    assert line.startswith("targets.0.params.guided_json is not widely known")


def test_parameters_of_the_reflection_model_are_looked_at_too() -> None:
    assert unknown_params(config({"max_tokens": 9000})) == []
    with pytest.raises(ConfigError, match=r"'search.reflection_params.max_token'.*did you mean 'max_tokens'"):
        config({"max_token": 9000})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"temprature": 0}, "'targets.0.params.temprature'.*did you mean 'temperature'"),
        ({"Max_Token": 9}, "did you mean 'max_tokens'"),
        ({"temperature": "nine"}, "must be a number, got 'nine'"),
        ({"max_tokens": 9.5}, "must be a whole number"),
        ({"seed": True}, "must be a whole number"),
        ({"stop": 3}, "must be a text or a list of texts"),
    ],
)
def test_misspelt_parameters_and_wrong_values_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**params)
