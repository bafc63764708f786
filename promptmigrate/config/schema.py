"""Schema of the experiment file."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from promptmigrate.config.sections import (
    BudgetConfig,
    DataConfig,
    EndpointConfig,
    GateConfig,
    MLflowConfig,
    PriceConfig,
    PromptConfig,
    PublishConfig,
    ScorerConfig,
    SearchConfig,
    Section,
    SourceConfig,
    StorageConfig,
    TargetConfig,
)
from promptmigrate.errors import UsageError
from promptmigrate.files import digest, safe_name


class Config(Section):
    """One migration experiment."""

    name: str
    prompt: str | PromptConfig | None = Field(
        None, description="prompts:/name@alias or prompts:/name/version, or a mapping."
    )
    prompts: dict[str, str | PromptConfig] = Field(
        default_factory=dict, description="Name -> prompt of a program with several; instead of 'prompt'."
    )
    program: str | None = Field(
        None, description="module:attribute that is called as program(ask, **inputs) and asks by these names."
    )
    source: SourceConfig | None = Field(None, description="What production runs today.")
    targets: Annotated[list[TargetConfig], Field(min_length=1, max_length=8)] = Field(
        description="Models to migrate to; several are compared against the same production answers."
    )
    endpoints: dict[str, EndpointConfig] = Field(default_factory=dict)
    prices: dict[str, PriceConfig] = Field(default_factory=dict, description="provider/model -> price.")
    data: DataConfig
    scorers: Annotated[list[ScorerConfig], Field(min_length=1)] = Field(
        default_factory=lambda: [ScorerConfig(use="auto")],
        description="auto: chosen from what production's answers look like.",
    )
    search: SearchConfig = Field(default_factory=SearchConfig)
    budget: BudgetConfig = Field(default_factory=lambda: BudgetConfig(calls=4000))
    gate: GateConfig
    publish: PublishConfig = Field(default_factory=PublishConfig)
    storage: StorageConfig | None = Field(
        None, description="Where workers on several hosts meet; not needed on one host."
    )
    mlflow: MLflowConfig = Field(default_factory=MLflowConfig)

    @field_validator("name")
    @classmethod
    def _safe_name(cls, value: str) -> str:
        try:
            return safe_name(value, what="name")
        except UsageError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _prompt_or_program(self) -> Config:
        if self.prompt is not None and (self.prompts or self.program):
            raise ValueError("give 'prompt', or 'prompts' and 'program', not both")
        if self.prompt is None and not self.prompts and not self.program:
            raise ValueError("'prompt' is missing (or 'prompts' and 'program', for a program with several)")
        if self.prompt is None and not (self.prompts and self.program):
            lacking, other = ("prompts", "program") if self.program else ("program", "prompts")
            raise ValueError(f"'{lacking}' is missing: '{other}' needs it; see docs/programs.md")
        if self.program is not None and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", self.program):
            raise ValueError(f"program is {self.program!r}; write module:attribute, as in my_app.flow:answer")
        if self.program and self.search.prompts:
            raise ValueError("search.prompts: cannot be given for a program; they would have no name")
        try:
            for name in self.prompts:
                safe_name(name, what="prompts: the name")
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _models(self) -> Config:
        places = {f"targets.{index}.model": target.model for index, target in enumerate(self.targets)}
        places["search.reflection_model"] = self.reflection_model
        if self.source:
            places["source.model"] = self.source.model
        for index, scorer in enumerate(self.scorers):
            if scorer.judge:
                places[f"scorers.{index}.judge"] = scorer.judge
        for place, model in places.items():
            if not re.fullmatch(r"[^/\s]+/\S+", model):
                raise ValueError(f"{place}: {model!r} must be provider/model, such as openai/gpt-4.1-mini")
        if len(self.targets) > 1:
            runs = [self.source.model_dump()] if self.source else []
            for index, target in enumerate(self.targets):
                if target.model_dump() in runs:
                    raise ValueError(
                        f"targets.{index}.model: {target.model} with these params is there already, as "
                        "source or as another target; leave it out"
                    )
                runs.append(target.model_dump())
        return self

    @model_validator(mode="after")
    def _yardstick(self) -> Config:
        # The old prompt on a model that never ran it is easily beaten: it must not pass for production.
        if self.gate.baseline == "rerun" and self.source is None:
            raise ValueError(
                "gate.baseline: rerun asks production again, and no source.model says what it runs; name it "
                "(the target's own where only the prompt changes), or set gate.baseline to recorded"
            )
        return self

    @property
    def target(self) -> TargetConfig:
        """The model to move to, where there is one (see :meth:`single`)."""
        return self.targets[0]

    def single(self) -> tuple[Config, ...]:
        """One experiment for each target, the same in all else."""
        return tuple(self.model_copy(update={"targets": [target]}) for target in self.targets)

    @property
    def prompt_only(self) -> bool:
        """Whether model and parameters stay as production has them, so that only the prompt changes."""
        return self.source is not None and self.source.model_dump() == self.target.model_dump()

    @property
    def reflection_model(self) -> str:
        """The model that writes proposals, where the strategy wants one."""
        return self.search.reflection_model or (self.source.model if self.source else self.targets[0].model)

    @property
    def expectations_read(self) -> tuple[str, ...] | None:
        """Names of the expectations that the scorers compare with; None where one of them names none."""
        keys = [scorer.spec.get("expected_key") for scorer in self.scorers]
        return tuple(dict.fromkeys(map(str, keys))) if all(keys) else None

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that a run may call, each once, but for the one that writes proposals.

        Whether that is called is known to the strategy.
        """
        judges = [scorer.judge for scorer in self.scorers if scorer.judge]
        source = [self.source.model] if self.source and self.gate.baseline != "recorded" else []
        targets = [target.model for target in self.targets]
        return tuple(dict.fromkeys([*targets, *source, *judges]))

    @property
    def digest(self) -> str:
        """Digest of everything in the file that can change a result."""
        return digest(
            self.model_dump(
                mode="json", exclude={"endpoints": {"__all__": {"max_concurrency"}}, "storage": True}
            )
        )
