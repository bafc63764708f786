from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptmigrate.errors import StorageError, TemplateError, UsageError
from promptmigrate.publish import load, register
from promptmigrate.types import Prompt, Variant

CHAT = Prompt.of(
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ticket: {{ticket}}"}]
)
PROMOTE = {"verdict": "PROMOTE", "delta": 0.01, "interval": [-0.01, 0.03], "confidence": 0.95, "margin": 0.02}
PARAMS = {"temperature": 0, "max_tokens": 20, "stop": "\n", "seed": 3, "reasoning_effort": "low"}


def put(uri: str, name: str, variant: Variant, **options: Any) -> str:
    settings: dict[str, Any] = {
        "verdict_summary": PROMOTE,
        "tags": {"promptmigrate.dataset": "sha256:1"},
        "alias": "candidate",
        "commit_message": "Move to the small model",
        **options,
    }
    return register(tracking_uri=uri, name=name, variant=variant, **settings)


@pytest.mark.parametrize("prompt", [CHAT, Prompt.text("Sort {{ticket}}: {{ticket}}")])
def test_what_is_registered_is_loaded_again(uri: str, prompt: Prompt) -> None:
    name = "chat" if prompt.chat else "text"
    variant = Variant(prompt=prompt, model="openai/gpt-4.1-mini", params=PARAMS)
    tags = {"promptmigrate.dataset": "sha256:1", "promptmigrate.run": None}
    written = put(uri, name, variant, tags=tags)
    assert tags == {"promptmigrate.dataset": "sha256:1", "promptmigrate.run": None}
    for address in (written, f"prompts:/{name}@candidate", f"prompts:/{name}@latest", name):
        loaded, info = load(address, tracking_uri=uri)
        assert loaded == prompt
        assert info.uri == written == f"prompts:/{name}/1"
    assert info.model == "openai/gpt-4.1-mini"
    assert info.params == {**PARAMS, "stop": ["\n"]}
    assert info.aliases == ("candidate",)
    assert info.commit_message == "Move to the small model"
    assert info.tags["promptmigrate.verdict"] == "PROMOTE"
    assert info.tags["promptmigrate.prompt_digest"] == prompt.digest
    assert info.tags["promptmigrate.interval"] == "[-0.01, 0.03]"
    assert info.tags["promptmigrate.dataset"] == "sha256:1"


def test_the_same_variant_is_not_registered_twice(uri: str, client: Any) -> None:
    first = Variant(prompt=CHAT, model="openai/a", params={"temperature": 0})
    second = Variant(prompt=CHAT, model="openai/b", params={"temperature": 0})
    assert put(uri, "twice", first, alias="production") == "prompts:/twice/1"
    assert put(uri, "twice", second) == "prompts:/twice/2"
    assert put(uri, "twice", first, tags={"promptmigrate.run": "later"}) == "prompts:/twice/1"
    assert len(client.search_prompt_versions("twice")) == 2
    _, info = load("prompts:/twice@candidate", tracking_uri=uri)
    assert info.version == 1 and info.tags["promptmigrate.run"] == "later"
    assert set(info.aliases) == {"candidate", "production"}


@pytest.mark.parametrize("verdict", ["REJECT", "INCONCLUSIVE", None])
def test_only_promote_registers(uri: str, client: Any, verdict: str | None) -> None:
    with pytest.raises(UsageError, match="only a PROMOTE verdict"):
        put(uri, "never", Variant(prompt=CHAT, model="openai/a"), verdict_summary={"verdict": verdict})
    assert client.get_prompt("never") is None


@pytest.mark.parametrize("alias", ["latest", "v3", "7", "a b"])
def test_an_alias_that_mlflow_reserves(uri: str, client: Any, alias: str) -> None:
    with pytest.raises(UsageError, match=r"publish\.alias .* cannot be used"):
        put(uri, "unaliased", Variant(prompt=CHAT, model="openai/a"), alias=alias)
    assert client.get_prompt("unaliased") is None


def test_parameters_that_mlflow_refuses(uri: str, client: Any) -> None:
    with pytest.raises(UsageError, match=r"parameters of openai/a cannot be registered: .*emperature"):
        put(uri, "cold", Variant(prompt=CHAT, model="openai/a", params={"temperature": -1}))
    assert client.get_prompt("cold") is None


def test_the_alias_moves_last(uri: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    old = Variant(prompt=CHAT, model="openai/old")
    put(uri, "moving", old)

    def fail(*_: Any, **__: Any) -> None:
        raise MlflowException("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_prompt_version", fail)
        with pytest.raises(StorageError, match="the disk is full"):
            put(uri, "moving", Variant(prompt=CHAT, model="openai/new"))
    assert load("prompts:/moving@candidate", tracking_uri=uri)[1].model == "openai/old"
    assert put(uri, "moving", Variant(prompt=CHAT, model="openai/new")) == "prompts:/moving/2"
    assert load("prompts:/moving@candidate", tracking_uri=uri)[1].model == "openai/new"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("prompts:/tickts/1", "prompt 'tickts' does not exist .* did you mean 'tickets'"),
        ("prompts:/tickets/9", "prompt 'tickets' has no version 9; there is 1$"),
        ("prompts:/tickets@prodcution", "has no alias 'prodcution'; did you mean 'production'"),
        ("prompts:/tickets@1", "'1' is not an alias; write prompts:/tickets/<version>"),
        ("tickets/1/2", "is not a prompt; write prompts:/name/version"),
    ],
)
def test_a_prompt_that_is_not_there(uri: str, address: str, message: str) -> None:
    put(uri, "tickets", Variant(prompt=CHAT, model="openai/a"), alias="production")
    with pytest.raises(TemplateError, match=message):
        load(address, tracking_uri=uri)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if a %}{{a}}{% endif %}", "would run as Jinja"),
        ("Hello {{user.name}}", r"the placeholder \{\{user\.name\}\} is not a plain name"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "{{a}}"}]}],
            "message 1 of the prompt must have",
        ),
    ],
)
def test_templates_that_would_mean_something_else(
    uri: str, client: Any, template: Any, message: str, request: pytest.FixtureRequest
) -> None:
    name = f"odd{abs(hash(message))}"
    client.create_prompt(name)
    client.create_prompt_version(name, template)
    with pytest.raises(TemplateError, match=f"prompts:/{name}/1: .*{message}"):
        load(name, tracking_uri=uri)


def test_loading_does_not_make_a_store(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist: there is no file"):
        load("prompts:/a/1", tracking_uri=f"sqlite:///{tmp_path / 'no.db'}")
    assert list(tmp_path.iterdir()) == []
