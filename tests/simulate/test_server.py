"""The provider over HTTP, asked by the openai SDK and by a bare client."""

import asyncio
import json

import aiohttp
import openai
import pytest

from promptmigrate.errors import EndpointError
from promptmigrate.simulate import models, respond, worlds
from promptmigrate.simulate.server import Faults, SimServer
from tests.simulate.helpers import messages

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server():
    with SimServer(api_key="test-key") as running:
        yield running


@pytest.fixture
def client(server):
    server.reset()
    with openai.OpenAI(base_url=server.base_url, api_key="test-key", max_retries=0) as sdk:
        yield sdk


def a_request():
    world = worlds()["triage"]
    return messages(world, world.prompt, world.rows(1, seed=1)[0])


def test_the_answer_is_that_of_the_provider_in_process(client):
    for name in ("triage-small", "sim/triage-small"):
        said = client.chat.completions.create(model=name, messages=a_request(), temperature=0)
        reply = respond("sim/triage-small", a_request(), {"temperature": 0})
        assert said.choices[0].message.content == reply.text
        assert said.choices[0].finish_reason == "stop"
        assert said.usage.prompt_tokens == reply.input_tokens
        assert said.usage.completion_tokens == reply.output_tokens


def test_a_stream_has_the_same_text_and_usage(client):
    reply = respond("sim/triage-small", a_request(), {"temperature": 0})
    chunks = list(
        client.chat.completions.create(
            model="triage-small",
            messages=a_request(),
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == reply.text
    assert len(chunks) > 3
    assert chunks[-1].usage.completion_tokens == reply.output_tokens
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        "stop"
    ]
    without = list(
        client.chat.completions.create(model="triage-small", messages=a_request(), temperature=0, stream=True)
    )
    assert all(chunk.usage is None for chunk in without)


def test_several_choices(client):
    said = client.chat.completions.create(model="triage-small", messages=a_request(), n=6)
    assert [choice.index for choice in said.choices] == list(range(6))


def test_models_carry_prices(client):
    listed = {model.id: model for model in client.models.list().data}
    assert set(listed) == {model.wire_name for model in models().values()}
    small = client.models.retrieve("triage-small")
    assert float(small.pricing["prompt"]) * 1e6 == pytest.approx(models()["sim/triage-small"].input_per_mtok)
    assert float(small.pricing["completion"]) * 1e6 == pytest.approx(
        models()["sim/triage-small"].output_per_mtok
    )


def test_wrong_requests_have_openai_errors(client, server):
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-9'") as caught:
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="echo", messages=[])
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="echo", messages=HELLO, temperature=7)
    with pytest.raises(openai.BadRequestError, match="context") as caught:
        client.chat.completions.create(
            model="triage-tiny", messages=[{"role": "user", "content": "word " * 9000}]
        )
    assert caught.value.code == "context_length_exceeded"
    with (
        openai.OpenAI(base_url=server.base_url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.chat.completions.create(model="echo", messages=HELLO)
    assert caught.value.code == "invalid_api_key"
    assert server.stats()["by_status"] == {"404": 1, "400": 3, "401": 1}


def test_the_key_is_not_shown():
    assert "test-key" not in repr(SimServer(api_key="test-key")._options)


def test_stats_count_what_came(client, server):
    for _ in range(3):
        client.chat.completions.create(model="echo", messages=HELLO)
    client.chat.completions.create(model="triage-small", messages=HELLO)
    stats = server.stats()
    assert stats["requests"] == 4
    assert stats["by_model"] == {"echo": 3, "triage-small": 1}
    assert stats["by_status"] == {"200": 4}
    assert stats["duplicates"] == 2
    assert stats["retries"] == 0
    assert stats["tokens"]["input"] == 4 * 5
    server.reset()
    assert server.stats()["requests"] == 0


async def post(session, url, body):
    async with session.post(url + "/chat/completions", json=body) as answer:
        return answer.status, answer.headers, await answer.read()


async def test_requests_are_served_at_the_same_time():
    async with SimServer(latency_s=0.2) as server, aiohttp.ClientSession() as session:
        bodies = [{"model": "echo", "messages": [{"role": "user", "content": str(n)}]} for n in range(20)]
        answers = await asyncio.gather(*(post(session, server.base_url, body) for body in bodies))
        assert all(status == 200 for status, _, _ in answers)
        stats = await asyncio.to_thread(server.stats)
        assert stats["max_in_flight"] == 20
        assert stats["in_flight"] == 0


async def test_too_many_at_once_are_told_to_wait():
    async with SimServer(latency_s=0.2, max_in_flight=5) as server, aiohttp.ClientSession() as session:
        bodies = [{"model": "echo", "messages": [{"role": "user", "content": str(n)}]} for n in range(12)]
        answers = await asyncio.gather(*(post(session, server.base_url, body) for body in bodies))
        statuses = sorted(status for status, _, _ in answers)
        assert statuses == [200] * 5 + [429] * 7
        assert all("Retry-After" in headers for status, headers, _ in answers if status == 429)


def test_own_latency_can_be_scaled():
    with SimServer(latency_scale=0.05) as server:
        assert server._options.latency_s is None
        with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as sdk:
            assert (
                sdk.chat.completions.create(model="triage-large", messages=HELLO).choices[0].message.content
            )


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("rate_limited", openai.RateLimitError),
            ("server_error", openai.InternalServerError),
            ("dropped", openai.APIConnectionError),
            ("hang", openai.APITimeoutError),
        ],
    )
    def test_each_fault_shows_and_goes_away(self, kind, error):
        faults = Faults(**{kind: 1.0}, attempts=1, retry_after_s=0.25)
        with (
            SimServer(faults=faults) as server,
            openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0, timeout=0.4) as sdk,
        ):
            with pytest.raises(error) as caught:
                sdk.chat.completions.create(model="echo", messages=HELLO)
            if kind == "rate_limited":
                assert caught.value.response.headers["retry-after"] == "0.25"
            assert (
                sdk.chat.completions.create(model="echo", messages=HELLO).choices[0].message.content
                == "hello"
            )
            stats = server.stats()
            assert stats["requests"] == 2
            assert stats["retries"] == 1
            assert stats["duplicates"] == 0

    async def test_malformed_bodies_are_no_completions(self):
        async with SimServer(faults=Faults(malformed=1.0)) as server, aiohttp.ClientSession() as session:
            for number in range(12):
                body = {"model": "echo", "messages": [{"role": "user", "content": str(number)}]}
                status, _, raw = await post(session, server.base_url, body)
                assert status == 200
                try:
                    value = json.loads(raw)
                except ValueError:
                    continue
                assert not value["choices"]
            assert (await asyncio.to_thread(server.stats))["by_status"] == {"malformed": 12}

    async def test_the_same_requests_meet_the_same_faults_in_every_server(self):
        async def statuses(order):
            faults = Faults(rate_limited=0.3, server_error=0.2)
            async with SimServer(faults=faults) as server, aiohttp.ClientSession() as session:
                found = {}
                for number in order:
                    body = {"model": "echo", "messages": [{"role": "user", "content": str(number)}]}
                    found[number] = [(await post(session, server.base_url, body))[0] for _ in range(3)]
                return found

        first = await statuses(range(40))
        assert first == await statuses(reversed(range(40)))
        failed = sum(status != 200 for tried in first.values() for status in tried)
        assert 30 < failed < 90
        assert any(len(set(tried)) > 1 for tried in first.values())

    def test_rates_have_to_make_sense(self):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Faults(hang=0.7, dropped=0.7)


async def test_a_request_cap_ends_the_quota():
    async with SimServer(request_cap=3) as server, aiohttp.ClientSession() as session:
        body = {"model": "echo", "messages": HELLO}
        answers = [await post(session, server.base_url, body) for _ in range(5)]
        assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
        assert json.loads(answers[-1][2])["error"]["code"] == "insufficient_quota"


def test_a_process_of_its_own_behaves_alike():
    with SimServer(process=True, api_key="k", faults=Faults(server_error=1.0, attempts=1)) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as sdk:
            with pytest.raises(openai.InternalServerError):
                sdk.chat.completions.create(model="echo", messages=HELLO)
            assert (
                sdk.chat.completions.create(model="echo", messages=HELLO).choices[0].message.content
                == "hello"
            )
        assert server.stats()["requests"] == 2


def test_a_taken_port_is_said(server):
    port = int(server.base_url.split(":")[2].split("/")[0])
    with pytest.raises(EndpointError, match=f"cannot listen on 127.0.0.1:{port}"):
        SimServer(port=port).start()


async def test_unknown_paths_are_not_found(server):
    async with aiohttp.ClientSession() as session, session.get(server.root_url + "/nothing") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "not_found"
