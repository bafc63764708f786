"""DSPy through the Door."""

from __future__ import annotations

import asyncio
import copy
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy
from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMInvalidRequestError,
    LMProviderError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
)

from promptmigrate.config import BudgetConfig, EndpointConfig
from promptmigrate.errors import BudgetExceeded, EndpointError
from promptmigrate.lm import Door
from promptmigrate.lm.engine import dspy_lm
from tests.lm.conftest import Provider, answer, raw, slow, status

Opened = Callable[..., Door]
CHAT = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with dspy.context(lm=None, adapter=None, disable_history=True):
        yield


def lm_of(door: Door, **params: Any) -> Any:
    return dspy_lm(door, "acme/large", purpose="reflection", params=params)


def test_predict(provider: Provider, opened: Opened) -> None:
    provider.default = answer(CHAT)
    door = opened()
    with dspy.context(lm=lm_of(door, temperature=0.5, max_tokens=50, custom={"a": 1})):
        predict = dspy.Predict("question -> answer")
        assert predict(question="capital of France?").answer == "Paris"
        assert predict(question="capital of France?").answer == "Paris"
    assert provider.calls == 1  # the second came from our cache
    sent = provider.requests[0]
    assert sent["model"] == "large"
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert "capital of France?" in sent["messages"][1]["content"]
    assert (sent["temperature"], sent["max_tokens"], sent["custom"]) == (0.5, 50, {"a": 1})
    assert door.spend.calls == {"task": 0, "judge": 0, "reflection": 1}


def test_messages_and_settings_of_a_call(provider: Provider, opened: Opened) -> None:
    lm = lm_of(opened(), max_completion_tokens=99, temperature=0)
    lm(
        "hi",
        temperature=0.7,
        max_tokens=12,
        top_p=0.9,
        seed=3,
        stop=["x"],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    )
    sent = provider.requests[0]
    assert sent == {
        "model": "large",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.7,
        "max_completion_tokens": 12,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["x"],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}},
        },
    }


def test_turns_go_out_as_they_are(provider: Provider, opened: Opened) -> None:
    class Turns(dspy.Adapter):  # type: ignore[misc]  # DSPy is not typed
        def format(self, signature: Any, demos: Any, inputs: Any) -> list[dict[str, Any]]:
            return TURNS

        def parse(self, signature: Any, completion: str) -> dict[str, Any]:
            return {"answer": completion}

    provider.default = answer("as it is")
    with dspy.context(lm=lm_of(opened()), adapter=Turns()):
        assert dspy.Predict("question -> answer")(question="x").answer == "as it is"
    assert provider.requests[0]["messages"] == TURNS


TURNS = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "system", "content": "now harder"},
    {"role": "user", "content": " 3+3? \n"},
]


def test_rollouts_and_n_are_told_apart(provider: Provider, opened: Opened) -> None:
    count = iter(range(100))

    async def numbered(request: Any, body: Any) -> Any:
        return await answer(f"answer {next(count)}")(request, body)

    provider.default = numbered
    lm = lm_of(opened(), temperature=1.0)
    assert lm("q") == lm("q") == ["answer 0"]
    assert lm("q", n=3) == ["answer 0", "answer 1", "answer 2"]
    assert lm("q", rollout_id=5) == lm.copy(rollout_id=5)("q") == ["answer 3"]
    assert lm("q", rollout_id=6) == ["answer 4"]
    assert asyncio.run(lm.acall("q", rollout_id=6)) == ["answer 4"]
    assert provider.calls == 5
    assert all("rollout_id" not in request and "n" not in request for request in provider.requests)


def test_from_many_threads_and_coroutines(provider: Provider, opened: Opened) -> None:
    async def same(request: Any, body: Any) -> Any:
        text = body["messages"][-1]["content"].split("[[ ## question ## ]]")[1].split()[0]
        return await answer(CHAT.replace("Paris", text))(request, body)

    provider.default = same
    lm = lm_of(opened())
    predict = dspy.Predict("question -> answer")

    def one(number: int) -> str:
        with dspy.context(lm=lm):
            return str(predict(question=str(number)).answer)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == [str(i) for i in range(40)]

    async def several() -> list[str]:
        with dspy.context(lm=lm):
            found = await asyncio.gather(*(predict.acall(question=str(i)) for i in range(40, 60)))
        return [str(prediction.answer) for prediction in found]

    assert asyncio.run(several()) == [str(i) for i in range(40, 60)]
    assert provider.calls == 60


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(429, retry_after="100"), LMRateLimitError),
        (status(500), LMServerError),
        (status(400, "bad"), LMInvalidRequestError),
        (status(400, "maximum context length"), ContextWindowExceededError),
        (raw(b"{}"), LMProviderError),
        (slow(30), LMTimeoutError),
    ],
)
def test_failed_calls_are_dspys_errors(
    provider: Provider, opened: Opened, fault: Any, error: type[Exception]
) -> None:
    provider.default = fault
    acme = {"acme": EndpointConfig(base_url=provider.url, timeout_s=0.3)}
    lm = lm_of(opened(endpoints=acme, max_attempts=2))
    with pytest.raises(error):
        lm("hi")
    assert provider.calls <= 2  # DSPy adds no retries of its own
    with pytest.raises(error):
        asyncio.run(lm.acall("hi again"))
    assert lm.engine.failure is None


@pytest.mark.parametrize(("finish", "text"), [("length", "cut"), ("content_filter", "")])
def test_cut_and_filtered_answers_are_answers(
    provider: Provider, opened: Opened, finish: str, text: str
) -> None:
    provider.default = answer(text, finish_reason=finish)
    assert lm_of(opened())("hi") == [text]


def test_that_an_answer_was_cut_is_told_in_place_of_dspys_warning(
    provider: Provider, opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.plan = [answer("whole"), answer("cut", finish_reason="length")]
    cut: list[str] = []
    lm = dspy_lm(opened(), "acme/large", purpose="reflection", on_cut=lambda: cut.append("cut"))
    assert lm("one") == ["whole"]
    assert cut == []
    assert lm("two") == ["cut"]
    provider.default = answer("cut", finish_reason="length")
    assert asyncio.run(lm.acall("three")) == ["cut"]
    assert cut == ["cut", "cut"]
    assert capsys.readouterr().err == ""
    # Only that one: an LM of the user's own warns as ever.
    lm_of_dspy = dspy.LM("acme/large", engine=lm.engine, cache=False, num_retries=0)
    lm_of_dspy("four")
    assert "LM response was truncated" in capsys.readouterr().err


def test_what_must_stop_a_run_passes_as_itself(provider: Provider, opened: Opened) -> None:
    lm = lm_of(opened(budget=BudgetConfig(calls=1)))
    lm("one")
    with pytest.raises(BudgetExceeded, match="budget of 1 calls") as caught:
        lm.copy(temperature=1.0)("two")
    assert caught.value.exit_code == 3
    with dspy.context(lm=lm), pytest.raises(BudgetExceeded):
        dspy.Predict("question -> answer")(question="three")
    with pytest.raises(BudgetExceeded):
        asyncio.run(lm.acall("four"))
    assert isinstance(lm.engine.failure, BudgetExceeded)
    provider.default = status(401)
    refused = lm_of(opened())
    with pytest.raises(EndpointError, match="refused the key"):
        refused("five")


def test_reasoning_models_keep_their_parameters(provider: Provider, opened: Opened) -> None:
    acme = {"openai": EndpointConfig(base_url=provider.url)}
    lm = dspy_lm(opened(endpoints=acme), "openai/gpt-5", purpose="task", params={"temperature": 0})
    lm("hi")
    assert provider.requests[0]["temperature"] == 0


def test_copies_share_the_door(provider: Provider, opened: Opened) -> None:
    lm = lm_of(opened())
    program = dspy.Predict("question -> answer")
    program.lm = lm
    provider.default = answer(CHAT)
    assert program.deepcopy()(question="x").answer == "Paris"
    assert copy.deepcopy(lm).engine is lm.engine
    assert provider.calls == 1


def test_streaming_gives_the_whole_answer(provider: Provider, opened: Opened) -> None:
    provider.default = answer(CHAT)

    async def run() -> list[Any]:
        program = dspy.streamify(dspy.Predict("question -> answer"))
        with dspy.context(lm=lm_of(opened())):
            return [item async for item in program(question="x")]

    assert asyncio.run(run())[-1].answer == "Paris"
    assert provider.calls == 1


@pytest.mark.slow
def test_gepa_runs_on_it(provider: Provider, opened: Opened) -> None:
    """A tiny world: the task model obeys an instruction that the reflection model has to find."""

    async def world(request: Any, body: Any) -> Any:
        text = "\n".join(message["content"] for message in body["messages"])
        if body["model"] == "editor":
            return await answer('{"new_instruction": "Answer the question in CAPITALS."}')(request, body)
        word = text.split("[[ ## question ## ]]")[-1].split()[0]
        said = word.upper() if "CAPITALS" in text else word
        return await answer(CHAT.replace("Paris", said))(request, body)

    provider.default = world
    door = opened()
    rows = [
        dspy.Example(question=word, answer=word.upper()).with_inputs("question")
        for word in ("red", "green", "blue", "pink")
    ]

    def metric(gold: Any, pred: Any, trace: Any = None, name: Any = None, pred_trace: Any = None) -> Any:
        return dspy.Prediction(score=float(gold.answer == pred.answer), feedback=f"wanted {gold.answer}")

    optimizer = dspy.GEPA(
        metric=metric,
        reflection_lm=dspy_lm(door, "acme/editor", purpose="reflection"),
        max_metric_calls=30,
        num_threads=2,
        seed=1,
    )
    state = random.getstate()
    with dspy.context(lm=dspy_lm(door, "acme/large", purpose="task")):
        best = optimizer.compile(dspy.Predict("question -> answer"), trainset=rows, valset=rows)
    random.setstate(state)
    assert "CAPITALS" in best.signature.instructions
    spend = door.spend
    assert spend.calls["reflection"] >= 1
    assert spend.calls["task"] >= 8
    assert sum(spend.calls.values()) == provider.calls
    assert spend.cached > 0


def test_the_engine_module_is_light() -> None:
    import subprocess
    import sys

    code = "import sys, promptmigrate.lm.engine; assert 'dspy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
