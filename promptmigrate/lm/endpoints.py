"""From a model name (``provider/model``) to the endpoint that serves it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from promptmigrate.errors import EndpointError

if TYPE_CHECKING:
    from promptmigrate.config import EndpointConfig

_DIRECT: Mapping[str, tuple[str | None, str | None]] = {
    # provider: (base_url, environment variable of the key); no base_url: the configuration must give it
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": ("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "together_ai": ("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "fireworks_ai": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "xai": ("https://api.x.ai/v1", "XAI_API_KEY"),
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "moonshot": ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "perplexity": ("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "deepinfra": ("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "nvidia_nim": ("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "sambanova": ("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "ollama": ("http://localhost:11434/v1", None),
    "lm_studio": ("http://localhost:1234/v1", None),
    "hosted_vllm": (None, None),
}
_LITELLM: Mapping[str, tuple[str, ...]] = {
    # provider: environment variables of which one must be set (empty: many ways to sign in)
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": ("COHERE_API_KEY", "CO_API_KEY"),
    "azure": (),
    "azure_ai": (),
    "bedrock": (),
    "bedrock_converse": (),
    "vertex_ai": (),
    "sagemaker": (),
    "databricks": (),
    "snowflake": (),
    "watsonx": (),
    "replicate": (),
    "huggingface": (),
    "ai21": (),
    "cloudflare": (),
    "github": (),
    "github_copilot": (),
    "nebius": (),
    "novita": (),
    "baseten": (),
    "zai": (),
    "dashscope": (),
    "minimax": (),
    "volcengine": (),
    "oci": (),
    "litellm_proxy": (),
    "meta_llama": (),
    "hyperbolic": (),
    "lambda_ai": (),
}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the models of one provider are asked. Holds the name of the key's variable, never the key."""

    name: str
    transport: Literal["direct", "litellm", "sim"]
    base_url: str = ""
    key_env: tuple[str, ...] = ()
    """Environment variables, the first one set is used; empty: no key is sent."""
    max_concurrency: int = 32
    timeout_s: float = 60.0
    check_models: bool = True
    at_home: bool = True
    """Whether the address is the provider's own, so that public list prices hold."""

    @property
    def identity(self) -> str:
        """What tells answers of this endpoint apart from others in the cache."""
        return self.base_url or f"{self.transport}:{self.name}"

    @property
    def where(self) -> str:
        """How messages call it."""
        return self.base_url or f"the provider '{self.name}'"

    @property
    def key_name(self) -> str:
        """Name of the key's variable for messages."""
        return " or ".join(self.key_env) or "(no key)"

    def key(self) -> str | None:
        """The key, from the environment, or None where none is needed.

        Raises:
            EndpointError: the variable is not set or cannot be sent as a header.
        """
        if not self.key_env:
            return None
        for name in self.key_env:
            value = os.environ.get(name, "").strip()
            if value:
                if not (value.isascii() and value.isprintable()):
                    raise EndpointError(
                        f"the value of {name} (the key for {self.where}) has characters that a key cannot "
                        "have; set it again",
                        key=f"endpoints.{self.name}.api_key_env",
                    )
                return value
        raise EndpointError(
            f"the environment variable {self.key_name} with the key for {self.where} is not set; "
            f"export it, or name another with endpoints.{self.name}.api_key_env",
            key=f"endpoints.{self.name}.api_key_env",
        )

    def secrets(self) -> tuple[str, ...]:
        """Values that must not appear in any message."""
        return tuple(value for name in self.key_env if (value := os.environ.get(name, "").strip()))


def resolve(model: str, endpoints: Mapping[str, EndpointConfig]) -> tuple[Endpoint, str]:
    """The endpoint for ``provider/model`` and the model's name on its wire (what follows the first ``/``).

    A provider in ``endpoints`` goes before the table of known ones. A known provider with another
    ``base_url`` gets a key only if ``api_key_env`` names one: a key stays with its host.

    Raises:
        EndpointError: no such provider, or an address that is refused.
    """
    provider, slash, name = model.partition("/")
    if not slash or not provider or not name:
        raise EndpointError(f"model '{model}' must be written provider/model, as in openai/gpt-4.1")
    if provider == "sim":
        return Endpoint(name="sim", transport="sim", max_concurrency=256), name
    config = endpoints.get(provider)
    home, home_key = _DIRECT.get(provider, (None, None))
    base_url = (config.base_url if config else None) or None
    through_litellm = (config is not None and config.transport == "litellm") or (
        provider not in _DIRECT and base_url is None
    )
    if through_litellm and provider not in _LITELLM and provider not in _DIRECT and config is None:
        raise _unknown(provider, model, endpoints)
    key_env: tuple[str, ...]
    if config is not None and config.api_key_env:
        key_env = (config.api_key_env,)
    elif through_litellm:
        key_env = () if base_url else _LITELLM.get(provider, (home_key,) if home_key else ())
    else:
        key_env = (home_key,) if home_key and base_url is None else ()
    if not through_litellm and base_url is None and home is None:
        raise EndpointError(
            f"model '{model}' needs an address: set endpoints.{provider}.base_url "
            "(say http://localhost:8000/v1)",
            key=f"endpoints.{provider}",
        )
    address = base_url if through_litellm else base_url or home
    return (
        Endpoint(
            name=provider,
            transport="litellm" if through_litellm else "direct",
            base_url=check_url(address, provider, allow_local=bool(config and config.allow_local))
            if address
            else "",
            key_env=key_env,
            max_concurrency=config.max_concurrency if config else 32,
            timeout_s=config.timeout_s if config else 60.0,
            check_models=config.check_models if config else True,
            at_home=base_url is None or _host(base_url) == _host(home or ""),
        ),
        name,
    )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _unknown(provider: str, model: str, endpoints: Mapping[str, EndpointConfig]) -> EndpointError:
    known = [*endpoints, *_DIRECT, *_LITELLM, "sim", "replay"]
    near = difflib.get_close_matches(provider, known, n=1, cutoff=0.7)
    hint = "no such provider is known;"
    if near:
        hint = f"did you mean '{near[0]}/{model.partition('/')[2]}'? Otherwise"
    return EndpointError(
        f"no endpoint for model '{model}': {hint} set endpoints.{provider}.base_url",
        key=f"endpoints.{provider}.base_url",
    )


def check_url(url: str, name: str, *, allow_local: bool) -> str:
    """``url`` without a trailing slash, its host in lower case.

    Raises:
        EndpointError: not http(s), with user or password, or plain http to another machine without
            ``allow_local``.
    """
    key = f"endpoints.{name}.base_url"
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise EndpointError(f"{key} is not a valid address: {error}", key=key) from None
    if parts.username is not None or parts.password is not None:
        raise EndpointError(
            f"{key} must not contain a user or password; name the key's variable with api_key_env",
            key=key,
        )
    if parts.scheme not in {"http", "https"} or not host:
        raise EndpointError(
            f"{key} must start with https:// (or http:// on this machine) and name a host", key=key
        )
    if parts.query or parts.fragment:
        raise EndpointError(f"{key} must not contain '?' or '#'", key=key)
    if parts.scheme == "http" and not (allow_local or _is_loopback(host)):
        raise EndpointError(
            f"{key} is plain http to another machine ({host}), where the key and the data could be read; "
            f"use https, or set endpoints.{name}.allow_local: true if that network is yours",
            key=key,
        )
    literal = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{literal}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
