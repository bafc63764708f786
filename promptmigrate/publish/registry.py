"""Prompt versions in the MLflow registry: load the production prompt, register a promoted one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from promptmigrate import mlflow_store
from promptmigrate.decide import that_decided
from promptmigrate.errors import TemplateError, UsageError
from promptmigrate.files import safe_name
from promptmigrate.types import Prompt, Variant

if TYPE_CHECKING:
    from mlflow import MlflowClient

_URI = re.compile(r"(?:prompts:/)?(?P<name>[A-Za-z0-9_.-]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@\s]+))?")
_RESERVED_ALIAS = re.compile(r"latest|v?\d+", re.IGNORECASE)
_FIELDS = frozenset({"temperature", "max_tokens", "top_p", "top_k", "frequency_penalty", "presence_penalty"})
_GONE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"})


@dataclass(frozen=True, kw_only=True)
class PromptInfo:
    """What the registry knows of one prompt version."""

    name: str
    version: int
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    commit_message: str = ""
    model: str | None = None
    """``provider/name`` of the version's model_config, if it has one."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the version's model_config, named as in the OpenAI chat API."""

    @property
    def uri(self) -> str:
        """``prompts:/name/version``: always the same text."""
        return f"prompts:/{self.name}/{self.version}"


def load(prompt_uri: str, *, tracking_uri: str | None = None) -> tuple[Prompt, PromptInfo]:
    """The Prompt at ``prompts:/name/version``, ``prompts:/name@alias`` or, for the latest, ``name``.

    Raises:
        TemplateError: no such prompt, version or alias (names the nearest), or a template that would not mean
            here what it means in MLflow: Jinja, dotted placeholders, content that is not text.
        StorageError: the store is missing or failed.
    """
    parts = _URI.fullmatch(prompt_uri.strip())
    if parts is None:
        raise TemplateError(
            f"{prompt_uri!r} is not a prompt; write prompts:/name/version, prompts:/name@alias or name"
        )
    name, version, alias = parts["name"], parts["version"], parts["alias"]
    if alias and alias != "latest" and _RESERVED_ALIAS.fullmatch(alias):
        raise TemplateError(f"{prompt_uri!r}: '{alias}' is not an alias; write prompts:/{name}/<version>")
    uri = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(uri)
    with mlflow_store.store_errors(uri):
        found = _find(client, uri, name, version, None if alias == "latest" else alias)
    info = _info(found)
    try:
        prompt = Prompt.of(found.template)
    except TemplateError as error:
        raise TemplateError(f"{info.uri}: {error}") from error
    odd = sorted(set(found.variables or ()) - set(prompt.variables))
    if odd:
        raise TemplateError(
            f"{info.uri}: the placeholder {{{{{odd[0]}}}}} is not a plain name; "
            "use letters, digits and '_', not starting with a digit"
        )
    return prompt, info


def register(
    *,
    tracking_uri: str | None = None,
    name: str,
    variant: Variant,
    verdict_summary: Mapping[str, Any],
    tags: Mapping[str, Any],
    alias: str | None,
    commit_message: str,
) -> str:
    """Register a promoted Variant as a prompt version; return ``prompts:/name/version``.

    A version with the same template and model_config is not registered again: it gets the tags and the alias,
    so that a run which died in between can be repeated. The alias moves last.

    Args:
        tracking_uri: The store; see :func:`promptmigrate.mlflow_store.resolve`.
        name: Name in the registry; created if missing.
        variant: Prompt, model and parameters; the latter two become the version's model_config.
        verdict_summary: Must hold ``verdict: PROMOTE``; delta, interval, confidence and margin become tags.
        tags: Evidence: dataset digest, run, parent version, ...; not changed.
        alias: What points to the version afterwards; None: nothing.
        commit_message: One sentence about the change.

    Raises:
        UsageError: the verdict is not PROMOTE, or name or alias cannot be used.
        StorageError: the store is missing or failed.
    """
    verdict = verdict_summary.get("verdict")
    if verdict != "PROMOTE":
        raise UsageError(f"only a PROMOTE verdict registers a prompt version; this one is {verdict!r}")
    safe_name(name, what="prompt name")
    if alias is not None and (
        _RESERVED_ALIAS.fullmatch(alias) or not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", alias)
    ):
        raise UsageError(
            f"publish.alias {alias!r} cannot be used: MLflow reserves 'latest' and version numbers"
        )
    evidence = _tags(variant, verdict_summary, tags)
    uri = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(uri, create=True)
    with mlflow_store.store_errors(uri):
        config = _canonical_config(variant)
        version = _existing(client, name, variant, config)
        if version is None:
            if client.get_prompt(name) is None:
                client.create_prompt(name)
            # Not register_prompt(): it writes the tags to the prompt as well, into the dict it is given, and
            # links the prompt to whatever experiment is active in this process.
            made = client.create_prompt_version(
                name,
                variant.prompt.source,
                description=commit_message,
                tags=dict(evidence),
                model_config=config,
            )
            version = int(made.version)
        else:
            for key, value in evidence.items():
                client.set_prompt_version_tag(name, version, key, value)
        if alias is not None:
            client.set_prompt_alias(name, alias, version)
    return f"prompts:/{name}/{version}"


def model_config(variant: Variant) -> dict[str, Any]:
    """A Variant's model and parameters as MLflow's ``PromptModelConfig`` takes them."""
    provider, _, model = variant.model.partition("/")
    config: dict[str, Any] = {"provider": provider, "model_name": model}
    extra: dict[str, Any] = {}
    for key, value in variant.params.items():
        if value is None:
            continue
        if key in _FIELDS:
            config[key] = value
        elif key == "stop":
            config["stop_sequences"] = [value] if isinstance(value, str) else list(value)
        else:
            extra[key] = value
    if extra:
        config["extra_params"] = extra
    return config


def _canonical_config(variant: Variant) -> dict[str, Any]:
    """The model_config as it reads back from the registry."""
    from mlflow.entities.model_registry import PromptModelConfig

    try:
        config: dict[str, Any] = PromptModelConfig.from_dict(model_config(variant)).to_dict()
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in finding["loc"])
        raise UsageError(
            f"the parameters of {variant.model} cannot be registered: {where}: {finding['msg']}"
        ) from error
    return config


def _existing(client: MlflowClient, name: str, variant: Variant, config: Mapping[str, Any]) -> int | None:
    """The newest version that is the same Variant."""
    if client.get_prompt(name) is None:
        return None
    same = [
        int(version.version)
        for version in _versions(client, name)
        if version.template == variant.prompt.source and dict(version.model_config or {}) == dict(config)
    ]
    return max(same, default=None)


def _tags(variant: Variant, summary: Mapping[str, Any], tags: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, Any] = {
        "promptmigrate.verdict": "PROMOTE",
        "promptmigrate.prompt_digest": variant.prompt.digest,
        "promptmigrate.variant_digest": variant.digest,
    }
    said = {**that_decided(summary), **{key: summary.get(key) for key in ("confidence", "margin")}}
    found |= {f"promptmigrate.{key}": value for key, value in said.items() if value is not None}
    found.update(tags)
    return {key: str(value) for key, value in found.items() if value is not None}


def _find(client: MlflowClient, uri: str, name: str, version: str | None, alias: str | None) -> Any:
    from mlflow.exceptions import MlflowException

    if client.get_prompt(name) is None:
        known = [item.name for item in client.search_prompts(max_results=1000)]
        raise TemplateError(
            f"prompt {name!r} does not exist in MLflow store {mlflow_store.public_uri(uri)}; "
            f"{mlflow_store.nearest(name, known)}"
        )
    try:
        if version is not None:
            return client.get_prompt_version(name, version)
        if alias is not None:
            return client.get_prompt_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in _GONE:
            raise
    versions = sorted(int(item.version) for item in _versions(client, name))
    if not versions:
        raise TemplateError(f"prompt {name!r} has no version")
    if version is None and alias is None:
        return client.get_prompt_version(name, versions[-1])
    if version is not None:
        numbers = ", ".join(str(number) for number in versions[-8:])
        raise TemplateError(f"prompt {name!r} has no version {version}; there is {numbers}")
    # A list of versions comes without aliases.
    recent = [client.get_prompt_version(name, number) for number in versions[-20:]]
    aliases = {item for found in recent if found is not None for item in found.aliases or ()}
    raise TemplateError(
        f"prompt {name!r} has no alias {alias!r}; {mlflow_store.nearest(str(alias), aliases)}"
    )


def _versions(client: MlflowClient, name: str) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_prompt_versions(name, page_token=token)
        found += page
        token = getattr(page, "token", None)
        if not token:
            return found


def _info(found: Any) -> PromptInfo:
    config = dict(found.model_config or {})
    provider, model = config.pop("provider", None), config.pop("model_name", None)
    stop = config.pop("stop_sequences", None)
    params = {**config.pop("extra_params", {}), **config, **({"stop": stop} if stop else {})}
    name = f"{provider}/{model}" if provider and model else model
    return PromptInfo(
        name=found.name,
        version=int(found.version),
        aliases=tuple(found.aliases or ()),
        tags=dict(found.tags or {}),
        commit_message=found.commit_message or "",
        model=name,
        params={key: value for key, value in params.items() if value is not None},
    )
