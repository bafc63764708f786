"""How the candidate's share is to grow, on what evidence, and what must not get worse meanwhile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from promptmigrate.gateway.sections.base import BASIS_POINTS, NotNegative, Number, Section, Share


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


class Evidence(Section):
    """Why this route is as it is."""

    verdict: Literal["PROMOTE", "REJECT", "INCONCLUSIVE"] | None = None
    bundle: str | None = None
    run_id: str | None = None
    run_dir: str | None = None
    dataset: str | None = None
    note: str | None = None
