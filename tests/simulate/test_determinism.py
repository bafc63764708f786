"""Answers depend on content alone."""

import json
import os
import random
import subprocess
import sys

import pytest

from promptmigrate.errors import CallFailed, EndpointError
from promptmigrate.simulate import models, respond, worlds
from promptmigrate.simulate._types import count_tokens
from tests.simulate.helpers import messages

PROBE = """
import json, sys
from promptmigrate.simulate import respond, worlds
out = []
for world in worlds().values():
    for row in world.rows(6, seed=4):
        prompt = world.prompt
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        text = row.inputs[world.variable]
        request = [{**m, "content": m["content"].replace("{{" + world.variable + "}}", text)} for m in prompt]
        for model in (world.source, *world.rescuable, *world.hopeless):
            reply = respond(model, request)
            out.append([model, reply.text, reply.output_tokens, reply.latency_s])
edit = "Current prompt:\\n```\\nSort {{x}} into red, blue.\\n```\\n"
edit += "Input: sky\\nOutput: It is blue!\\nExpected: blue"
edit += "\\nInput: rose\\nOutput: Red\\nExpected: red\\nProvide the new instructions within ``` blocks."
out.append(respond("sim/editor", [{"role": "user", "content": edit}]).text)
print(json.dumps(out))
"""


def run_probe(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_same_in_every_process_whatever_the_hash_seed():
    first, second = run_probe("1"), run_probe("2")
    assert first == second
    assert len(json.loads(first)) > 50


def test_the_order_of_calls_does_not_matter():
    world = worlds()["triage"]
    requests = [messages(world, world.prompt, row) for row in world.rows(60, seed=9)]
    straight = [respond("sim/triage-small", request) for request in requests]
    order = list(range(60))
    random.Random(1).shuffle(order)
    shuffled = {index: respond("sim/triage-small", requests[index]) for index in order}
    assert straight == [shuffled[index] for index in range(60)]


def test_the_global_generator_is_neither_used_nor_touched():
    world = worlds()["extract"]
    random.seed(5)
    state = random.getstate()
    rows = world.rows(20, seed=1)
    reply = respond("sim/extract-small", messages(world, world.prompt, rows[0]))
    assert random.getstate() == state
    random.seed(6)
    assert world.rows(20, seed=1) == rows
    assert respond("sim/extract-small", messages(world, world.prompt, rows[0])) == reply


def test_a_seed_asks_for_another_sample_and_temperature_for_more_variety():
    world = worlds()["triage"]
    requests = [messages(world, world.prompt, row) for row in world.rows(150, seed=9)]

    def changed(temperature: float) -> int:
        return sum(
            respond("sim/triage-small", r, {"temperature": temperature, "seed": 1}).text
            != respond("sim/triage-small", r, {"temperature": temperature, "seed": 2}).text
            for r in requests
        )

    assert 0 < changed(0.0) < changed(1.0) < 150


def test_most_rows_keep_their_outcome_when_a_prompt_changes_slightly():
    world = worlds()["triage"]
    rows = world.rows(200, seed=9)
    other = world.prompt.replace("Read the support ticket", "Please read the support ticket")
    right = [
        [world.correct(respond("sim/triage-small", messages(world, p, row), {"temperature": 0}).text,
        row.expected) for row in rows]
        for p in (world.prompt, other)
    ]  # fmt: skip
    differ = sum(a != b for a, b in zip(*right, strict=True))
    assert 0 < differ < 60


def test_tokens_latency_and_limits():
    world = worlds()["arithmetic"]
    request = messages(world, world.prompt, world.rows(1, seed=1)[0])
    reply = respond("sim/arithmetic-large", request)
    assert reply.output_tokens == count_tokens(reply.text)
    assert reply.input_tokens == sum(count_tokens(m["content"]) + 4 for m in request)
    assert reply.latency_s > 0.2
    assert reply.finish_reason == "stop"
    short = respond("sim/arithmetic-large", request, {"max_tokens": 5})
    assert short.finish_reason == "length"
    assert short.output_tokens <= 5
    assert reply.text.startswith(short.text)
    stopped = respond("sim/arithmetic-large", request, {"stop": ["Answer"]})
    assert "Answer" not in stopped.text
    assert reply.text.startswith(stopped.text)


def test_names_with_and_without_provider_and_content_parts():
    text = [{"role": "user", "content": "hello there"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}]
    assert respond("echo", text) == respond("sim/echo", parts)
    assert respond("sim/echo", text).text == "hello there"


def test_an_unknown_model_is_an_error_that_lists_the_known_ones():
    with pytest.raises(EndpointError, match=r"no model 'sim/nope'.*sim/triage-small"):
        respond("sim/nope", [{"role": "user", "content": "x"}])


def test_a_request_over_the_context_is_refused():
    with pytest.raises(CallFailed, match="context of sim/triage-tiny") as caught:
        respond("sim/triage-tiny", [{"role": "user", "content": "word " * 9000}])
    assert caught.value.status == 400


def test_every_world_has_its_cast():
    known = models()
    for world in worlds().values():
        assert known[world.source].role == "source"
        assert world.rescuable
        assert world.hopeless
        assert all(known[name].role == "target" for name in (*world.rescuable, *world.hopeless))
    assert {known["sim/editor"].role, known["sim/judge"].role, known["sim/echo"].role} == {
        "editor",
        "judge",
        "echo",
    }


def test_importing_the_package_stays_light():
    code = (
        "import sys; import promptmigrate.simulate as s; s.models(); "
        "print(sorted({'aiohttp', 'mlflow', 'dspy', 'litellm', 'numpy', 'pandas', 'yaml', 'pydantic'} & "
        "set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_those_listed():
    import promptmigrate.simulate as package

    assert sorted(package.__all__) == package.__all__
    assert all(hasattr(package, name) for name in package.__all__)
