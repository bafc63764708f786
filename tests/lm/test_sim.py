"""The simulated provider, in process, through the Door."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from promptmigrate.config import BudgetConfig
from promptmigrate.errors import BudgetExceeded, EndpointError
from promptmigrate.lm import Door
from promptmigrate.simulate import models, respond
from tests.lm.conftest import ask

Opened = Callable[..., Door]
NAME = next(iter(models()))


def test_an_answer_with_its_cost_and_a_latency_that_is_not_waited_for(opened: Opened) -> None:
    door = opened()
    started = time.monotonic()
    replies = [door.complete(ask("hello", model=NAME, repeat=i)) for i in range(20)]
    direct = respond(NAME, [{"role": "user", "content": "hello"}], {})
    assert {reply.text for reply in replies} == {direct.text}
    assert replies[0].latency_s == direct.latency_s > 0
    assert time.monotonic() - started < sum(reply.latency_s for reply in replies)
    price = door.price(NAME)
    assert price is not None
    assert price.source == "simulated"
    assert replies[0].cost_usd == price.cost(direct.input_tokens, direct.output_tokens)
    assert door.spend.calls["task"] == 20


def test_budgets_hold_for_it_too(opened: Opened) -> None:
    door = opened(budget=BudgetConfig(calls=1))
    door.complete(ask("a", model=NAME))
    with pytest.raises(BudgetExceeded):
        door.complete(ask("b", model=NAME))


def test_a_request_beyond_its_context_is_a_refused_one(opened: Opened) -> None:
    reply = opened().complete(ask("word " * 500_000, model=NAME))
    assert (reply.kind, reply.status, reply.attempts) == ("provider_error", 400, 1)


@pytest.mark.parametrize("way", ["preflight", "complete"])
def test_a_model_that_it_does_not_have(opened: Opened, way: str) -> None:
    door = opened()
    door.preflight([NAME])
    call: Any = door.preflight if way == "preflight" else lambda names: door.complete(ask(model=names[0]))
    with pytest.raises(EndpointError, match="'sim/nobody'"):
        call(["sim/nobody"])
