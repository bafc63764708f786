"""Schema of the sections of the experiment file."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from promptmigrate.env_names import env_name

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
_MOST = 10**12
"""Of anything that a budget counts: more is a slip of the pen, and beyond what nano-dollars can count."""
RedactKind = Literal["email", "phone", "card", "secret"]
Change = Literal["instructions", "demos", "format", "temperature"]


def _types(annotation: Any) -> set[Any]:
    """The types that ``annotation`` is made of."""
    return {annotation}.union(*map(_types, get_args(annotation)))


class Section(BaseModel):
    """A mapping of known keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: object, info: ValidationInfo) -> object:
        """Refuses true and false where a number belongs, which pydantic takes for 1 and 0."""
        types = _types(cls.model_fields[info.field_name or ""].annotation)
        given = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        if types & {int, float} and bool not in types and any(isinstance(item, bool) for item in given):
            raise ValueError(f"a number belongs here, not {str(value).lower()}")
        return value


class PromptConfig(Section):
    """The production prompt, given in the file itself or in another one."""

    text: str | None = Field(None, description="The template as one text with {{variables}}.")
    messages: list[dict[str, str]] | None = Field(None, description="Chat messages with role and content.")
    file: str | None = Field(None, description="A text file with the template, beside the experiment file.")

    @model_validator(mode="after")
    def _one(self) -> PromptConfig:
        if sum(value is not None for value in (self.text, self.messages, self.file)) != 1:
            raise ValueError("give exactly one of text, messages, file")
        return self


class SourceConfig(Section):
    """What runs in production today."""

    model: str = Field(description="provider/model that production calls.")
    params: dict[str, Any] = Field(default_factory=dict, description="Parameters sent with each call.")


class TargetConfig(Section):
    """The model to move to."""

    model: str = Field(description="provider/model to migrate to.")
    params: dict[str, Any] = Field(default_factory=dict, description="Parameters sent with each call.")


class EndpointConfig(Section):
    """Where a provider is reached; the key of the mapping is the provider in ``provider/model``."""

    base_url: str | None = Field(None, description="URL before /chat/completions.")
    api_key_env: str | None = Field(None, description="Name of the environment variable with the key.")
    allow_local: bool = Field(False, description="Allow http:// and private addresses beyond loopback.")
    transport: Literal["direct", "litellm"] = Field("direct", description="Who speaks to the provider.")
    max_concurrency: Count = Field(32, description="At most this many requests in flight, over all workers.")
    timeout_s: Positive = Field(60, description="Seconds that one request may take.")
    check_models: bool = Field(True, description="Ask the endpoint beforehand whether it serves the models.")

    @field_validator("api_key_env")
    @classmethod
    def _name_not_key(cls, value: str | None) -> str | None:
        return None if value is None else env_name(value, not_the="key")


class PriceConfig(Section):
    """Price of a model in USD per million tokens."""

    input_per_mtok: Annotated[float, Field(ge=0)]
    output_per_mtok: Annotated[float, Field(ge=0)]


class TracesConfig(Section):
    """Where the production calls are: an MLflow store, a file, or an MLflow or Hugging Face dataset."""

    experiment: str | None = Field(None, description="MLflow experiment with the traces.")
    prompt: str | None = Field(None, description="Only traces linked to this prompt (name or name/version).")
    since: str | None = Field(None, description="Age (30d, 12h) or ISO date of the oldest trace.")
    until: str | None = Field(None, description="Age or ISO date of the newest trace.")
    limit: Count = Field(2000, description="At most this many traces, newest first.")
    filter: str | None = Field(None, description="MLflow search_traces filter string.")
    file: str | None = Field(None, description="A .jsonl, .csv or .parquet file.")
    mlflow_dataset: str | None = Field(None, description="Name of an MLflow evaluation dataset.")
    hf: str | None = Field(None, description="Path of a Hugging Face dataset.")

    KINDS: ClassVar[tuple[str, ...]] = ("experiment", "file", "mlflow_dataset", "hf")

    @model_validator(mode="after")
    def _one(self) -> TracesConfig:
        given = [kind for kind in self.KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(self.KINDS)}; got {', '.join(given) or 'none'}")
        for name in ("since", "until"):
            value = getattr(self, name)
            if value is not None and not re.fullmatch(r"\d+[smhdw]|\d{4}-\d{2}-\d{2}([T ].*)?", value):
                raise ValueError(f"{name} must be an age such as 30d or 12h, or an ISO date; got {value!r}")
        return self


class SplitConfig(Section):
    """Shares of the three splits; rows of one group are never split."""

    train: Share = 0.3
    validation: Share = 0.35
    test: Share = 0.35
    seed: int = 7
    group_by: Literal["session", "user", "none"] = "session"

    @model_validator(mode="after")
    def _whole(self) -> SplitConfig:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + validation + test must be 1; they are {total:g}")
        return self


class ColumnsConfig(Section):
    """Which columns of a flat file hold what; not needed where they have the usual names."""

    inputs: dict[str, str] | list[str] | None = Field(
        None, description="Template variables: a list of columns, or variable: column."
    )
    reference: str | None = Field(None, description="Column with production's answer.")
    expected: str | None = Field(None, description="Column with the right answer.")
    group: str | None = Field(None, description="Column with the session or user.")


class DataConfig(Section):
    """The production calls to learn from and to judge on."""

    traces: TracesConfig
    columns: ColumnsConfig | None = None
    redact: tuple[RedactKind, ...] = ("email", "phone", "card", "secret")
    split: SplitConfig = Field(default_factory=SplitConfig)


class ScorerConfig(Section):
    """One scorer: ``use`` names it, the other keys are its options."""

    model_config = ConfigDict(extra="allow")

    use: str
    weight: Positive = 1.0
    judge: str | None = Field(None, description="provider/model of the judge, for scorers that ask one.")
    params: dict[str, Any] = Field(default_factory=dict, description="Parameters of the judge's calls.")
    calibration: str | None = Field(
        None, description="Card of how the judge agrees with people ('promptmigrate calibrate' writes it)."
    )

    @property
    def spec(self) -> dict[str, Any]:
        """What :func:`scorers.from_spec` takes."""
        return {"use": self.use, **(self.model_extra or {}), **({"model": self.judge} if self.judge else {})}


class SearchConfig(Section):
    """How better prompts are looked for."""

    strategy: str = "reflective"
    reflection_model: str | None = Field(None, description="Writes the proposals; default: the source model.")
    reflection_params: dict[str, Any] = Field(
        default_factory=dict, description="Parameters sent with each call of the reflection model."
    )
    may_change: tuple[Change, ...] = ("instructions", "demos", "format")
    max_prompt_tokens: Count = 2000
    seed: int = 0
    prompts: tuple[str | PromptConfig, ...] = Field(
        (), description="Further prompts to start from, written as 'prompt' is; they race like all others."
    )
    minimise: bool = Field(
        True, description="Drop what buys nothing from the best prompt before the gate sees it."
    )


class BudgetConfig(Section):
    """What one run may spend in all, retries included; what is left out is not limited."""

    usd: Annotated[float, Field(gt=0, le=_MOST)] | None = None
    calls: Annotated[int, Field(gt=0, le=_MOST)] | None = None
    tokens: Annotated[int, Field(gt=0, le=_MOST)] | None = None
    minutes: Annotated[float, Field(gt=0, le=_MOST)] | None = None


class GuardrailsConfig(Section):
    """Limits besides quality that a candidate must not break."""

    cost_ratio: Positive | None = None
    p95_latency_ratio: Positive | None = None
    scores: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=dict,
        description="Scorer name -> how much worse than production it may be, beside the quality.",
    )


class SlicesConfig(Section):
    """Parts of the test rows that are looked at one by one."""

    by: tuple[str, ...] = Field(
        ("label", "length", "language"),
        description="label, length, language, or a metadata key of the rows (such as tenant).",
    )
    block: bool = Field(False, description="A slice that is shown to be worse stops the promotion.")
    min_rows: Count = Field(15, description="A slice with fewer test rows is not judged.")


class GateConfig(Section):
    """When a candidate is good enough."""

    margin: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="How much worse than production (in score, 0..1) would still be acceptable."
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    guardrails: GuardrailsConfig = Field(default_factory=GuardrailsConfig)
    baseline: Literal["auto", "rerun", "recorded"] = Field(
        "auto",
        description="Production's answers on the test rows: asked again (rerun) or as recorded. "
        "rerun needs a source model; auto: rerun where one is named, else recorded.",
    )
    max_missing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Share of test rows that may be missing through infrastructure errors."
    )
    repeats: Annotated[int, Field(ge=1, le=10)] = Field(
        1,
        description="Times that each side answers each test row; averaged. From 2 on, production's "
        "difference from itself is reported as the noise floor.",
    )
    slices: SlicesConfig = Field(default_factory=SlicesConfig)
    judges: Literal["calibrated", "any"] = Field(
        "calibrated",
        description="Whether a judge without a calibration card may decide: calibrated (no) or any (yes).",
    )


class PublishConfig(Section):
    """What a promoted prompt becomes."""

    name: str | None = Field(None, description="Prompt name in the registry; default: that of the prompt.")
    alias: str = "candidate"
    route: str | None = Field(None, description="Route file; default: routes/<name>.yaml.")
    stages: tuple[Annotated[float, Field(gt=0, le=100)], ...] = (1, 5, 25, 100)

    @field_validator("stages")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)) or not value or value[-1] != 100:
            raise ValueError("must rise and end at 100, as in [1, 5, 25, 100]")
        if any(round(stage * 100) != stage * 100 for stage in value):
            raise ValueError("a stage is a percentage with at most two decimals")
        return value


class StorageConfig(Section):
    """One PostgreSQL database that workers on several hosts share."""

    url_env: str = Field(description="Environment variable with the postgresql:// URL (it holds a password).")

    @field_validator("url_env")
    @classmethod
    def _name_not_url(cls, value: str) -> str:
        return env_name(value, not_the="URL")


class MLflowConfig(Section):
    """The MLflow store with traces, prompts and runs."""

    tracking_uri: str | None = Field(
        None, description="Default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db in the working folder."
    )
    experiment: str | None = Field(
        None, description="Experiment for the runs; default: promptmigrate/<name>."
    )
