"""A real SQLite MLflow store with real traces, made once, and a small OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promptmigrate import mlflow_store
from promptmigrate.config import DataConfig
from promptmigrate.harvest import Harvest, harvest
from promptmigrate.types import Prompt

mlflow_store.prepare()

TEMPLATE = [
    {"role": "system", "content": "Sort the ticket. Answer with one word."},
    {"role": "user", "content": "Tier: {{tier}}\nTicket: {{ticket}}"},
]
PROMPT = Prompt.of(TEMPLATE)


@contextmanager
def tracked(uri: str, experiment: str) -> Iterator[Any]:
    """MLflow's process-wide tracking on ``experiment``, put back afterwards."""
    import mlflow
    from mlflow.tracking import fluent
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri

    environment = dict(os.environ)
    # Each trace is stored before the call returns: flushing MLflow's queue takes a second each time.
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    try:
        with _use_tracking_uri(uri):
            # Made by us first, so that its files are beside the store and not in the working folder.
            mlflow_store.experiment_id(mlflow_store.client(uri), experiment, uri=uri, create=True)
            mlflow.set_experiment(experiment)
            yield mlflow
    finally:
        fluent._active_experiment_id = None
        os.environ.clear()
        os.environ.update(environment)


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("mlflow")
    found = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow_store.client(found, create=True)
    client.create_prompt("triage")
    for _ in range(2):
        client.create_prompt_version("triage", TEMPLATE)
    client.create_prompt("other")
    client.create_prompt_version("other", "Say {{ticket}} in the tone {{tier}}.")
    return found


@pytest.fixture(scope="session")
def openai_url() -> Iterator[str]:
    """Base URL of a server that answers every chat completion with ``billing``."""

    async def complete(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text = "billing"
        said = str(body["messages"])
        if "length" in said:
            return web.json_response(_completion(body["model"], "bil", "length"))
        if body.get("stream"):
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            for delta in ({"role": "assistant", "content": "bil"}, {"content": "ling"}, {}):
                chunk = {
                    "id": "c",
                    "object": "chat.completion.chunk",
                    "created": 1,
                    "model": body["model"],
                    "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}],
                }
                await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await response.write(b"data: [DONE]\n\n")
            return response
        if "## label" in said:
            text = "[[ ## label ## ]]\nbilling\n\n[[ ## completed ## ]]"
        return web.json_response(_completion(body["model"], text, "stop"))

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    loop = asyncio.new_event_loop()
    ready: list[int] = []
    started = threading.Event()

    async def serve() -> web.AppRunner:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ready.append(runner.addresses[0][1])
        started.set()
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait(10)
    yield f"http://127.0.0.1:{ready[0]}/v1"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def _completion(model: str, text: str, reason: str) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": f"{model}-2025-04-14",
        "choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24},
    }


Gather = Callable[..., Harvest]


@pytest.fixture
def gather(uri: str) -> Gather:
    """harvest() of an experiment of the shared store."""

    def run(experiment: str, *, prompt: Prompt = PROMPT, **options: Any) -> Harvest:
        traces = {"experiment": experiment, **options.pop("traces", {})}
        data = DataConfig.model_validate({"traces": traces, **options.pop("data", {})})
        options.setdefault("prompt_uri", "prompts:/triage/1")
        return harvest(data, prompt, name="support", tracking_uri=uri, **options)

    return run


@pytest.fixture
def from_file(tmp_path: Path) -> Callable[..., Harvest]:
    """harvest() of a file with the given content."""

    def run(name: str, content: str | bytes, *, prompt: Prompt = PROMPT, **data: Any) -> Harvest:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        config = DataConfig.model_validate({"traces": {"file": name}, **data})
        return harvest(config, prompt, name="support", folder=tmp_path)

    return run
