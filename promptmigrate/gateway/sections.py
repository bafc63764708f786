"""The sections of a route file, each checked on its own."""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from promptmigrate.errors import TemplateError
from promptmigrate.files import canonical_json
from promptmigrate.types import Prompt, Variant

BASIS_POINTS = 10_000
STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
"""Schemes of tracking URIs to which traces can go."""
_RESERVED_PARAMS = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "api_key", "api_base", "base_url", "headers"}
    | {"extra_headers", "extra_body", "timeout", "user"}
)

Count = Annotated[int, Field(strict=True, gt=0)]
NotNegative = Annotated[int, Field(strict=True, ge=0)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=86_400)]
Number = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[int, Field(strict=True, ge=0, le=BASIS_POINTS)]
Flag = Annotated[bool, Field(strict=True)]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class Unit(Section):
    """What is sticky: the first of ``from`` that a call names decides its variant."""

    from_: list[Literal["user", "session"]] = Field(default=["user", "session"], alias="from", min_length=1)
    missing: Literal["control", "random", "error"] = Field(
        "control", description="What a call without user and session gets."
    )
    salt: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Default: the name of the route. Another salt draws the units anew."
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
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", value):
            # The value is not shown: it may be the key itself.
            raise ValueError("must be the name of an environment variable, not the key itself")
        return value

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


class Timeouts(Section):
    """Seconds. ``total_s`` wins over everything: retries, waits and fallbacks included."""

    connect_s: Seconds = 2
    first_token_s: Seconds = 10
    idle_s: Seconds = 15
    attempt_s: Seconds = 30
    total_s: Seconds = 60


class Backoff(Section):
    """Before try k the gateway waits a random time up to min(max_s, base_s * 2^(k-1)): full jitter."""

    base_s: Number = 0.5
    max_s: Number = 8


class Retry(Section):
    """Asking the same variant again."""

    max_attempts: Annotated[int, Field(strict=True, ge=1, le=10)] = 3
    backoff: Backoff = Backoff()
    retry_after_max_s: Number = Field(20, description="A longer Retry-After falls over instead of waiting.")
    budget: Annotated[float, Field(strict=True, ge=0, le=1)] = Field(
        0.1, description="Retries as a share of calls, one per second on top."
    )


class Breaker(Section):
    """After ``failures`` in a row within ``window_s`` a variant is left alone for ``open_s``, then probed."""

    failures: Count = 5
    window_s: Seconds = 30
    open_s: Seconds = 15


class Concurrency(Section):
    """Calls at once, calls that may wait for a place, and how long they wait."""

    max: Count = 64
    queue: NotNegative = 128
    queue_timeout_s: Seconds = 2


class Fallbacks(Section):
    """Variants to ask instead, in order, by class of error."""

    default: list[str] = Field(default_factory=list, description="Outages: unreachable, 429, 5xx, silence.")
    context_length: list[str] = Field(default_factory=list)
    content_filter: list[str] = Field(default_factory=list, description="Refusals, by default not evaded.")
    auth: list[str] = Field(default_factory=list, description="Bad keys, by default not hidden.")


class Shadow(Section):
    """The same input through a second variant whose answer is not served. Kept; not acted on yet."""

    variant: str
    share: Share
    max_usd_per_day: Number | None = None


class Stage(Section):
    """A step of a rollout: the candidate's share, and what it takes to go on."""

    share: Annotated[int, Field(strict=True, gt=0, le=BASIS_POINTS)]
    min_hours: Number = 0
    min_labels: NotNegative = 0


class Guardrail(Section):
    """What must not get worse while a rollout advances."""

    name: str
    scorer: str | None = None
    design: Literal["paired_shadow", "two_sample"] | None = None
    margin: Number | None = None
    alpha: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = None
    max_ratio: Annotated[float, Field(strict=True, gt=0)] | None = None
    on_harm: Literal["rollback", "pause"] = "rollback"


class Inconclusive(Section):
    """What happens to a stage that proves nothing."""

    after_hours: Annotated[float, Field(strict=True, gt=0)] = 168
    then: Literal["pause", "rollback"] = "pause"


class JudgeErrors(Section):
    """A guardrail that cannot be measured is a pause, not a pass."""

    max_rate: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.05
    then: Literal["pause", "rollback"] = "pause"


class RolloutPlan(Section):
    """How the candidate's share is to grow. Kept; not acted on yet."""

    stages: Annotated[list[Stage], Field(min_length=1)]
    guardrails: list[Guardrail] = Field(default_factory=list)
    inconclusive: Inconclusive = Inconclusive()
    judge_errors: JudgeErrors = JudgeErrors()

    @field_validator("stages")
    @classmethod
    def _rising(cls, value: list[Stage]) -> list[Stage]:
        shares = [stage.share for stage in value]
        if shares != sorted(set(shares)):
            raise ValueError(f"the shares must rise from stage to stage, got {shares}")
        return value


class TraceSettings(Section):
    """Where the calls are recorded, and how much of them."""

    sink: Literal["mlflow", "jsonl", "none"] = "mlflow"
    experiment: Annotated[str, Field(min_length=1, max_length=250)] | None = Field(
        None, description="MLflow experiment; default: the name of the route."
    )
    tracking_uri: str | None = Field(
        None, description="Default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db in the working folder."
    )

    @field_validator("tracking_uri")
    @classmethod
    def _known_store(cls, value: str | None) -> str | None:
        if value is not None:
            if "://" not in value or value.split(":", 1)[0].split("+")[0] not in STORES:
                raise ValueError("must be http(s)://host or a database such as sqlite:///mlflow.db")
            if urlsplit(value).password:
                raise ValueError(
                    "must not hold a password; set MLFLOW_TRACKING_URI in the environment instead"
                )
        return value

    content: Literal["redacted", "full", "none"] = "redacted"
    redact: list[Literal["email", "phone", "card", "secret"]] = Field(
        default=["email", "phone", "card", "secret"], description="What 'redacted' takes out."
    )
    sample: Annotated[float, Field(strict=True, ge=0, le=1)] = 1.0
    max_bytes: Annotated[int, Field(strict=True, ge=1_000)] = Field(
        262_144, description="A longer record is cut and marked."
    )
    folder: str | None = Field(
        None, description="For the spool (or the jsonl files); default: beside the route file."
    )


class Evidence(Section):
    """Why this route is as it is."""

    verdict: Literal["PROMOTE", "REJECT", "INCONCLUSIVE"] | None = None
    bundle: str | None = None
    run_id: str | None = None
    run_dir: str | None = None
    dataset: str | None = None
    note: str | None = None
