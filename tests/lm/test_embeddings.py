"""Vectors through the door: cached, counted and limited like answers."""

import json
from typing import Any

import pytest
from aiohttp import web

from promptmigrate.config import BudgetConfig, EndpointConfig
from promptmigrate.errors import BudgetExceeded
from promptmigrate.lm import Door
from promptmigrate.types import Request


class Embeddings:
    """An endpoint with /v1/embeddings."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Any = None

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        text = body["input"]
        vector = [float(text.count("a")), float(text.count("b"))]
        told = {"data": [{"index": 0, "embedding": vector}], "usage": {"prompt_tokens": 3}, "model": "e"}
        return web.json_response(told if self.answer is None else self.answer)


@pytest.fixture
async def endpoint():
    made = Embeddings()
    app = web.Application()
    app.router.add_post("/v1/embeddings", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield made, {"acme": EndpointConfig(base_url=f"http://127.0.0.1:{port}/v1", check_models=False)}
    await runner.cleanup()


def embed(text: str, **more: Any) -> Request:
    return Request(model="acme/e", messages=({"role": "embed", "content": text},), purpose="judge", **more)


async def test_a_vector_is_the_text_of_the_reply_and_is_cached(endpoint, tmp_path):
    made, endpoints = endpoint
    with Door.open(endpoints=endpoints, cache=tmp_path / "cache.sqlite") as door:
        first = await door.acomplete(embed("aab"))
        again = await door.acomplete(embed("aab"))
        assert json.loads(first.text) == [2.0, 1.0] == json.loads(again.text)
        assert (first.input_tokens, first.output_tokens, again.cached) == (3, 0, True)
        assert door.spend.calls["judge"] == 1
    assert made.asked == [{"model": "e", "input": "aab", "encoding_format": "float"}]


async def test_the_budget_holds(endpoint):
    _, endpoints = endpoint
    with Door.open(endpoints=endpoints, budget=BudgetConfig(calls=1)) as door:
        await door.acomplete(embed("a"))
        with pytest.raises(BudgetExceeded):
            await door.acomplete(embed("b"))


@pytest.mark.parametrize("body", [{"data": []}, {"data": [{"embedding": ["x"]}]}, {"choices": []}, []])
async def test_what_is_no_vector_is_no_answer(endpoint, body):
    made, endpoints = endpoint
    made.answer = body
    with Door.open(endpoints=endpoints, max_attempts=1) as door:
        reply = await door.acomplete(embed("a"))
    assert not reply.answered and reply.kind == "parse_error"


async def test_the_simulator_has_no_embeddings():
    with Door.open() as door:
        asked = Request(model="sim/judge", messages=({"role": "embed", "content": "a"},))
        reply = await door.acomplete(asked)
    assert not reply.answered and "no embedding" in reply.error
