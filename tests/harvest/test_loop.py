"""The loop closes: what the gateway serves is harvested again, from MLflow and from its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptmigrate.config import DataConfig, EndpointConfig
from promptmigrate.gateway import Gateway
from promptmigrate.harvest import harvest
from promptmigrate.publish import write_route
from promptmigrate.types import Prompt, Variant
from tests.harvest.conftest import PROMPT, Gather

OTHER = Prompt.text("Label {{ticket}} of tier {{tier}}")


@pytest.fixture
def route(tmp_path: Path, uri: str, openai_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINE_KEY", "sk-test-1234567890abcdef")
    endpoint = EndpointConfig(base_url=openai_url, api_key_env="MINE_KEY", allow_local=True)
    return write_route(
        tmp_path / "support.yaml",
        name="support",
        production=Variant(prompt=PROMPT, model="mine/gpt-4.1"),
        candidate=Variant(prompt=OTHER, model="mine/small"),
        production_uri="prompts:/triage/1",
        candidate_uri="prompts:/triage/2",
        stages=[50, 100],
        endpoints={"mine": endpoint},
        experiment=f"loop-{tmp_path.name}",
        tracking_uri=uri,
    )


def serve(route: Path, calls: int) -> list[str]:
    """The variants that answered."""
    served = []
    with Gateway(route) as gateway:
        for index in range(calls):
            variables = {"ticket": f"Ticket {index} of bob@example.com", "tier": "gold"}
            served.append(gateway.complete(variables, user=f"user {index % 7}").variant)
        with pytest.raises(Exception, match="tier"):
            gateway.complete({"ticket": "x"})
        assert gateway.flush()
    return served


def check(found: Any, served: list[str]) -> None:
    assert 0 < served.count("production") < len(served)
    assert len(found.dataset) == served.count("production")
    for example in found.dataset:
        assert example.reference == "billing"
        assert example.metadata["model"] == "mine/gpt-4.1"
        assert (example.metadata["input_tokens"], example.metadata["output_tokens"]) == (21, 3)
        assert example.group and "user" not in example.group
        assert "bob" not in example.inputs["ticket"]
    assert found.profile.dropped == {"linked to another prompt": served.count("candidate")}


def test_traces_in_mlflow(route: Path, tmp_path: Path, gather: Gather) -> None:
    served = serve(route, 20)
    check(gather(f"loop-{tmp_path.name}", source_model="mine/gpt-4.1"), served)


def test_files_of_the_jsonl_sink(route: Path, tmp_path: Path) -> None:
    text = route.read_text().replace("sink: mlflow", "sink: jsonl")
    route.write_text(text)
    served = serve(route, 20)
    (file,) = [path for path in tmp_path.rglob("*.jsonl") if path.stat().st_size]
    data = DataConfig.model_validate({"traces": {"file": str(file)}})
    found = harvest(data, PROMPT, name="support")
    check(found, served)
    assert found.profile.first is not None
