"""A real MLflow store, and a real OpenAI-compatible server, for the bridges."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promptmigrate import mlflow_store
from scorers import Answer, Question
from tests.harvest.conftest import tracked
from tests.lm.conftest import Provider, completion

mlflow_store.prepare()
# MLflow's own pool is too small for genai.evaluate: it would wait for connections until it times out.
os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "200")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    mlflow_store.client(uri, create=True)
    return uri


@pytest.fixture
def mlflow(store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow on an experiment of the test's own."""
    for name in ("PREDICT", "SCORER"):
        monkeypatch.setenv(f"MLFLOW_GENAI_EVAL_{name}_RATE_LIMIT", "0")
    monkeypatch.setenv("MLFLOW_GENAI_EVAL_MAX_WORKERS", "4")
    with tracked(store, request.node.name) as found:
        yield found


@pytest.fixture
def server() -> Iterator[Provider]:
    """Answers as a judge of MLflow: JSON with result and rationale, yes where the material says ``good``."""
    found = Provider()
    found.default = mlflow_verdict
    yield found
    found.close()


async def mlflow_verdict(_: web.Request, body: Any) -> web.StreamResponse:
    said = "yes" if "good" in str(body["messages"]) else "no"
    return web.json_response(completion(json.dumps({"result": said, "rationale": f"it says {said}"})))


class Judge:
    """A ``complete`` that counts, and says CORRECT where the output is not ``wrong``."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.fail = False

    async def __call__(self, question: Question, /) -> Answer:
        self.questions.append(question)
        if self.fail:
            return Answer(error="timeout: too slow")
        said = "INCORRECT" if "wrong" in question.messages[-1]["content"] else "CORRECT"
        return Answer(text=f"Because. VERDICT: {said}", cost_usd=0.5, input_tokens=7, output_tokens=3)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; whoever leaves files there is found out."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
