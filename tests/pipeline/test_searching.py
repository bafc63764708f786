"""What the pipeline gives a search to ask with."""

from __future__ import annotations

from promptmigrate.config import EndpointConfig
from promptmigrate.lm import Door
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.searching import engine_on
from tests.lm.conftest import Provider, acme, answer, provider  # noqa: F401 - fixtures
from tests.pipeline.test_plan import config


class Notes(Listener):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_a_reflection_model_that_is_cut_short_is_told_once_and_can_be_given_more(
    provider: Provider,  # noqa: F811
    acme: dict[str, EndpointConfig],  # noqa: F811
) -> None:
    provider.default = answer("Say the", finish_reason="length")
    asked = {"reflection_model": "acme/writer", "reflection_params": {"max_tokens": 50}}
    listener = Notes()
    with Door.open(endpoints=acme) as door:
        make = engine_on(door, config(search=asked), listener)
        for question in ("one", "two"):
            assert make("acme/writer", "reflection")(question) == ["Say the"]
        make("acme/writer", "task")("three")
    assert [request.get("max_tokens") for request in provider.requests] == [50, 50, None]
    (said,) = listener.said
    assert said == (
        "an answer of acme/writer, the reflection model, was cut short, so a proposal lacks its end: raise "
        "max_tokens in search.reflection_params"
    )
