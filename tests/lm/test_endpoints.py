"""From model names to endpoints, prices, and the checks before anything is spent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from promptmigrate.config import EndpointConfig, PriceConfig
from promptmigrate.errors import EndpointError
from promptmigrate.lm import Door
from promptmigrate.lm.endpoints import Endpoint, check_url, resolve
from promptmigrate.lm.prices import Prices
from tests.lm.conftest import KEY, Provider, ask, model_list, not_found, raw, slow, status

Opened = Callable[..., Door]


def config(**values: Any) -> EndpointConfig:
    return EndpointConfig(**values)


def test_known_providers() -> None:
    endpoint, model = resolve("openrouter/meta-llama/llama-3", {})
    assert (endpoint.base_url, model) == ("https://openrouter.ai/api/v1", "meta-llama/llama-3")
    assert (endpoint.transport, endpoint.key_env) == ("direct", ("OPENROUTER_API_KEY",))
    assert resolve("ollama/qwen", {})[0].key_env == ()
    assert resolve("anthropic/claude", {})[0].transport == "litellm"
    assert resolve("gemini/g", {})[0].key_env == ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    assert resolve("sim/triage-large", {})[0].transport == "sim"


def test_the_configuration_goes_first() -> None:
    endpoints = {
        "openai": config(base_url="https://Proxy.example.com:8443/v1/", api_key_env="PROXY_KEY", timeout_s=7),
        "anthropic": config(base_url="https://claude.example.com/v1"),
        "groq": config(transport="litellm", api_key_env="G"),
        "mistral": config(max_concurrency=3),
    }
    openai, _ = resolve("openai/gpt", endpoints)
    assert openai.base_url == "https://proxy.example.com:8443/v1"
    assert (openai.key_env, openai.timeout_s, openai.at_home) == (("PROXY_KEY",), 7, False)
    assert resolve("anthropic/claude", endpoints)[0].transport == "direct"
    groq, model = resolve("groq/llama", endpoints)
    assert (groq.transport, groq.key_env, model) == ("litellm", ("G",), "llama")
    mistral, _ = resolve("mistral/m", endpoints)
    assert (mistral.max_concurrency, mistral.key_env, mistral.at_home) == (3, ("MISTRAL_API_KEY",), True)


def test_a_key_stays_with_its_host() -> None:
    endpoint, _ = resolve("openai/gpt", {"openai": config(base_url="https://elsewhere.example.com/v1")})
    assert endpoint.key_env == ()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("gpt-4.1", "provider/model"),
        ("openai/", "provider/model"),
        ("/gpt", "provider/model"),
        ("opnai/gpt-4.1", "did you mean 'openai/gpt-4.1'"),
        ("wholly-unknown/m", r"endpoints\.wholly-unknown\.base_url"),
        ("hosted_vllm/m", r"endpoints\.hosted_vllm\.base_url"),
        ("replay/openai/m", "needs a recording"),
    ],
)
def test_names_that_lead_nowhere(opened: Opened, model: str, says: str) -> None:
    with pytest.raises(EndpointError, match=says):
        opened().complete(ask(model=model))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/v1", "allow_local: true"),
        ("http://10.0.0.5:8000", "allow_local: true"),
        ("http://0.0.0.0:8000", "allow_local: true"),
        ("http://localhost.example.com", "allow_local: true"),
        ("https://user:secret@example.com", "must not contain a user"),
        ("https://secret@example.com", "must not contain a user"),
        ("ftp://example.com", "https://"),
        ("example.com/v1", "https://"),
        ("https://", "https://"),
        ("https://example.com/v1?key=1", "must not contain '\\?'"),
        ("https://example.com:port/", "not a valid address"),
        ("https://[::1", "not a valid address"),
    ],
)
def test_addresses_that_are_refused(url: str, says: str) -> None:
    with pytest.raises(EndpointError, match=says) as caught:
        check_url(url, "acme", allow_local=False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "allow", "normal"),
    [
        ("http://127.0.0.1:8000/v1/", False, "http://127.0.0.1:8000/v1"),
        ("http://127.8.9.1", False, "http://127.8.9.1"),
        ("http://[::1]:80/v1", False, "http://[::1]:80/v1"),
        ("http://LOCALHOST:1", False, "http://localhost:1"),
        ("http://10.0.0.5:8000", True, "http://10.0.0.5:8000"),
        ("https://Example.com/A/b//", False, "https://example.com/A/b"),
    ],
)
def test_addresses_that_are_taken(url: str, allow: bool, normal: str) -> None:
    assert check_url(url, "acme", allow_local=allow) == normal


def test_an_endpoint_never_shows_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", KEY)
    endpoint, _ = resolve(
        "acme/m", {"acme": config(base_url="https://a.example", api_key_env="ACME_API_KEY")}
    )
    assert endpoint.key() == KEY
    assert KEY not in repr(endpoint)


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "käse"])
def test_keys_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ACME_API_KEY", value)
    endpoint = Endpoint(
        name="acme", transport="direct", base_url="https://a.example", key_env=("ACME_API_KEY",)
    )
    with pytest.raises(EndpointError, match="ACME_API_KEY") as caught:
        endpoint.key()
    assert value.strip() == "" or value not in str(caught.value)


# --- prices ----------------------------------------------------------------------------------------------


def price(model: str, **endpoints: EndpointConfig) -> Any:
    endpoint, wire = resolve(model, endpoints)
    return Prices({}).find(model, endpoint, wire)


def test_list_prices() -> None:
    found = price("openai/gpt-4.1")
    assert (found.input_per_mtok, found.output_per_mtok) == pytest.approx((2, 8))
    assert price("anthropic/claude-haiku-4-5").input_per_mtok == pytest.approx(1)
    assert price("mistral/mistral-large-latest") is not None
    assert price("openai/no-such-model") is None
    assert price("mistral/gpt-4.1") is None  # another provider's model of that name is another model
    assert price("openai/text-embedding-3-small") is None


def test_a_list_price_holds_at_home_only() -> None:
    assert price("openai/gpt-4.1", openai=config(base_url="https://elsewhere.example/v1")) is None
    assert price("openai/gpt-4.1", openai=config(base_url="https://api.openai.com/v1")) is not None


def test_prices_do_not_import_litellm() -> None:
    code = (
        "import sys; from promptmigrate.lm import Door\n"
        "with Door.open() as door: assert door.price('openai/gpt-4.1') is not None\n"
        "heavy = {'litellm', 'dspy', 'mlflow', 'aiohttp', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_prices_that_the_endpoint_states(provider: Provider, opened: Opened) -> None:
    provider.models = model_list("large", pricing={"prompt": "0.000001", "completion": "0.000002"})
    door = opened()
    assert door.price("acme/large") is None
    door.preflight(["acme/large"])
    found = door.price("acme/large")
    assert found is not None
    assert (found.input_per_mtok, found.output_per_mtok) == pytest.approx((1, 2))
    assert door.complete(ask()).cost_usd == pytest.approx((11 + 6) / 1e6)
    over = opened(prices={"acme/large": PriceConfig(input_per_mtok=5, output_per_mtok=5)})
    over.preflight(["acme/large"])
    assert over.price("acme/large").source == "configuration"  # type: ignore[union-attr]


@pytest.mark.parametrize("pricing", [{"prompt": "-1", "completion": "-1"}, {"prompt": "x"}, "free", None, {}])
def test_prices_that_say_nothing(provider: Provider, opened: Opened, pricing: Any) -> None:
    provider.models = model_list("large", pricing=pricing)
    door = opened()
    door.preflight(["acme/large"])
    assert door.price("acme/large") is None


# --- preflight -------------------------------------------------------------------------------------------


def test_preflight_sends_no_completion(provider: Provider, opened: Opened) -> None:
    provider.models = model_list("large", "small")
    opened().preflight(["acme/large", "acme/small", "acme/large"])
    assert provider.gets == ["/v1/models"]
    assert provider.calls == 0
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_preflight_names_the_nearest_model(provider: Provider, opened: Opened) -> None:
    provider.models = model_list("gpt-large-2", "whisper", "gpt-small-2")
    with pytest.raises(
        EndpointError, match=r"does not serve the model 'gpt-lrge-2'; it has gpt-large-2"
    ) as caught:
        opened().preflight(["acme/gpt-lrge-2"])
    assert "whisper" not in str(caught.value)
    assert provider.gets == ["/v1/models", "/v1/models/gpt-lrge-2"]


def test_preflight_takes_a_model_that_is_served_but_not_listed(provider: Provider, opened: Opened) -> None:
    async def handle(request: Any, body: Any) -> Any:
        return await (model_list("a") if request.path.endswith("/models") else raw(b'{"id": "ft:x"}'))(
            request, body
        )

    provider.models = handle
    opened().preflight(["acme/ft:x"])


def test_preflight_can_leave_models_alone(provider: Provider, opened: Opened) -> None:
    provider.models = model_list("a")
    acme = {"acme": config(base_url=provider.url, check_models=False)}
    opened(endpoints=acme).preflight(["acme/other"])


@pytest.mark.parametrize(
    "listing",
    [
        not_found,
        status(405),
        status(501),
        status(500),
        status(429),
        raw(b"<html>hello</html>"),
        raw(b'{"data": "none"}'),
        raw(b'{"data": []}'),
        raw(b"[1, null]"),
        status(403, "Missing scopes: api.model.read"),
    ],
)
def test_an_endpoint_without_a_model_list_is_taken_at_its_word(
    provider: Provider, opened: Opened, listing: Any
) -> None:
    provider.models = listing
    opened().preflight(["acme/large"])


@pytest.mark.parametrize("code", [401, 403])
def test_preflight_finds_a_wrong_key(provider: Provider, opened: Opened, code: int) -> None:
    provider.models = status(code, f"bad key {KEY}")
    with pytest.raises(EndpointError, match="the key in ACME_API_KEY was refused by http") as caught:
        opened().preflight(["acme/large"])
    assert KEY not in str(caught.value)


def test_preflight_finds_a_missing_key(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_API_KEY")
    with pytest.raises(EndpointError, match="ACME_API_KEY"):
        opened().preflight(["acme/large"])
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(EndpointError, match="ANTHROPIC_API_KEY"):
        opened().preflight(["anthropic/claude"])


def test_preflight_finds_an_unreachable_endpoint(opened: Opened) -> None:
    with pytest.raises(EndpointError, match=r"cannot be reached.*check base_url"):
        opened(endpoints={"acme": config(base_url="http://127.0.0.1:9")}).preflight(["acme/m"])
    with pytest.raises(EndpointError, match="cannot be reached"):
        opened(endpoints={"acme": config(base_url="https://no-such-host.invalid/v1")}).preflight(["acme/m"])


def test_preflight_finds_a_silent_endpoint(
    provider: Provider, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptmigrate.lm.preflight.LISTING_S", 0.2)
    provider.models = slow(30)
    with pytest.raises(EndpointError, match="sent nothing within"):
        opened().preflight(["acme/large"])


def test_preflight_finds_a_redirect(provider: Provider, opened: Opened) -> None:
    provider.models = status(301, location="https://example.com")
    with pytest.raises(EndpointError, match="redirect"):
        opened().preflight(["acme/large"])
