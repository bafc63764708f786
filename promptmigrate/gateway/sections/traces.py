"""Where calls are recorded, and how much of them."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from promptmigrate.gateway.sections.base import Section

STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
"""Schemes of tracking URIs to which traces can go."""


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
