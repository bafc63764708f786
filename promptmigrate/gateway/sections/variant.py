"""What is served: a prompt as it was published, the model it was made for, and where that is reached."""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from promptmigrate.env_names import env_name
from promptmigrate.errors import TemplateError
from promptmigrate.files import canonical_json
from promptmigrate.gateway.sections.base import Count, Flag, Number, Section
from promptmigrate.types import Prompt, Variant

_RESERVED_PARAMS = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "api_key", "api_base", "base_url", "headers"}
    | {"extra_headers", "extra_body", "timeout", "user"}
)


class Message(Section):
    """One turn of a prompt snapshot."""

    role: str
    content: str


class PromptSnapshot(Section):
    """The prompt as it was published: serving needs no registry."""

    uri: str | None = Field(None, description="prompts:/name/version; never an alias, which may move.")
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    text: str | None = None
    messages: list[Message] | None = None

    @field_validator("uri")
    @classmethod
    def _a_version(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"prompts:/[A-Za-z0-9_.-]{1,256}/[1-9]\d{0,8}", value):
            raise ValueError(f"must be prompts:/name/version with a number (aliases may move), got {value!r}")
        return value

    @model_validator(mode="after")
    def _as_published(self) -> PromptSnapshot:
        if (self.text is None) == (self.messages is None):
            raise ValueError("give exactly one of text, messages")
        try:
            prompt = self.prompt
        except TemplateError as error:
            raise ValueError(str(error)) from error
        if prompt.digest != self.digest:
            raise PydanticCustomError(
                "route",
                "the prompt text does not match its digest (the text has {found}): restore the text, or "
                "publish the changed prompt as a new version",
                {"found": prompt.digest, "path": ("digest",)},
            )
        return self

    @classmethod
    def of(cls, prompt: Prompt, uri: str | None = None) -> PromptSnapshot:
        """The snapshot of ``prompt``."""
        source: dict[str, Any] = {"messages": prompt.source} if prompt.chat else {"text": prompt.source}
        return cls(digest=prompt.digest, **source, **({"uri": uri} if uri else {}))

    @cached_property
    def prompt(self) -> Prompt:
        """The snapshot as a Prompt."""
        if self.text is not None:
            return Prompt.of(self.text)
        return Prompt.of([message.model_dump() for message in self.messages or []])

    @property
    def version(self) -> tuple[str, str] | None:
        """Name and version in the registry, if it has a ``uri``."""
        if self.uri is None:
            return None
        name, version = self.uri.removeprefix("prompts:/").split("/")
        return name, version


class Price(Section):
    """USD per million tokens."""

    input_per_mtok: Number
    output_per_mtok: Number
    as_of: date | None = None


class Endpoint(Section):
    """Where a variant's model is reached; default: where its provider usually is."""

    base_url: str | None = None
    api_key_env: str | None = Field(
        None, description="Name of the environment variable that holds the key, never the key."
    )
    allow_local: Flag = False
    transport: Literal["direct", "litellm"] = "direct"

    @field_validator("api_key_env")
    @classmethod
    def _name_not_key(cls, value: str | None) -> str | None:
        return None if value is None else env_name(value, not_the="key")

    @field_validator("base_url")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            plain = False
        if not plain or parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must be http(s)://host/path without login, query or fragment")
        return value


class RouteVariant(Section):
    """One variant: a prompt, the model it was made for, and its parameters."""

    model: str
    params: dict[str, Any] = Field(default_factory=dict)
    prompt: PromptSnapshot
    price: Price | None = None
    context_window: Count | None = Field(
        None, description="Tokens; a context-length fallback must be larger."
    )
    endpoint: Endpoint | None = None

    @field_validator("model")
    @classmethod
    def _with_provider(cls, value: str) -> str:
        if not re.fullmatch(r"[^/\s]+/\S+", value):
            raise ValueError(f"{value!r} must be provider/model, such as openai/gpt-4.1-mini")
        return value

    @field_validator("params")
    @classmethod
    def _sendable(cls, value: dict[str, Any]) -> dict[str, Any]:
        if reserved := sorted(_RESERVED_PARAMS & set(value)):
            raise ValueError(
                f"'{reserved[0]}' cannot be set here; the gateway sets it or it may hold secrets"
            )
        try:
            canonical_json(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"must be plain JSON values ({error})") from error
        return value

    @cached_property
    def variant(self) -> Variant:
        """The same as the pipeline's noun."""
        return Variant(prompt=self.prompt.prompt, model=self.model, params=self.params)
