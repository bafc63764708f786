"""What all sections of a route file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

BASIS_POINTS = 10_000
Count = Annotated[int, Field(strict=True, gt=0)]
NotNegative = Annotated[int, Field(strict=True, ge=0)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=86_400)]
Number = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[int, Field(strict=True, ge=0, le=BASIS_POINTS)]
Flag = Annotated[bool, Field(strict=True)]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)
