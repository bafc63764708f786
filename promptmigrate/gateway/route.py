"""The route file: which variants serve, for whom, and what happens when one fails.

The file is read strictly (no unknown or duplicate keys, no anchors, no NaN, shares that add up exactly,
prompt snapshots that match their digest), because what it says is what production does. :class:`Route` is the
file as a value; :func:`load_route`, :func:`parse_route` and :func:`dump_route` go between the two.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from promptmigrate.errors import RouteError, UsageError
from promptmigrate.files import Lines, YAMLError, dump_yaml, parse_yaml, safe_name
from promptmigrate.gateway._explain import explain, nearest
from promptmigrate.gateway.sections.base import BASIS_POINTS, Count, Section, Share
from promptmigrate.gateway.sections.rollout import (
    Evidence,
    Guardrail,
    Inconclusive,
    JudgeErrors,
    RolloutPlan,
    Shadow,
    Stage,
)
from promptmigrate.gateway.sections.serving import (
    Backoff,
    Breaker,
    Concurrency,
    Fallbacks,
    Retry,
    Timeouts,
    Unit,
)
from promptmigrate.gateway.sections.traces import TraceSettings
from promptmigrate.gateway.sections.variant import Endpoint, Message, Price, PromptSnapshot, RouteVariant

__all__ = [
    "BASIS_POINTS",
    "NOT_YET",
    "SCHEMA",
    "Backoff",
    "Breaker",
    "Concurrency",
    "Endpoint",
    "Evidence",
    "Fallbacks",
    "Guardrail",
    "Inconclusive",
    "JudgeErrors",
    "Message",
    "Price",
    "PromptSnapshot",
    "Retry",
    "RolloutPlan",
    "Route",
    "RouteVariant",
    "Shadow",
    "Stage",
    "Timeouts",
    "TraceSettings",
    "Unit",
    "check_route",
    "dump_route",
    "load_route",
    "parse_route",
]

SCHEMA: Literal["promptmigrate.route/1"] = "promptmigrate.route/1"
NOT_YET = ("shadow", "rollout")
"""Sections that are validated and kept, but on which the gateway does not act yet."""


class Route(Section):
    """A route file as a value; immutable, so that a call in flight keeps what it started with."""

    format: Literal["promptmigrate.route/1"] = Field(SCHEMA, alias="schema")
    route: str
    revision: Count
    state: Literal["active", "paused", "killed"] = Field(
        "active", description="killed: everything on control. paused: the stage is held; serving goes on."
    )
    control: str
    unit: Unit = Unit()
    variants: Annotated[dict[str, RouteVariant], Field(min_length=1)]
    traffic: dict[str, Share]
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    concurrency: Concurrency = Concurrency()
    fallbacks: Fallbacks = Fallbacks()
    shadow: Shadow | None = None
    rollout: RolloutPlan | None = None
    trace: TraceSettings = TraceSettings(sink="none")
    evidence: Evidence | None = None

    @field_validator("route")
    @classmethod
    def _route_name(cls, value: str) -> str:
        return _named(value, "route")

    @field_validator("variants")
    @classmethod
    def _variant_names(cls, value: dict[str, RouteVariant]) -> dict[str, RouteVariant]:
        for name in value:
            _named(name, "variant")
        return value

    @model_validator(mode="after")
    def _hangs_together(self) -> Route:
        self._check_names()
        total = sum(self.traffic.values())
        if total != BASIS_POINTS:
            _wrong(
                ("traffic",),
                f"the shares add up to {total} basis points; they must be exactly {BASIS_POINTS}",
            )
        expected = set(self.variables)
        for name, variant in self.variants.items():
            found = set(variant.prompt.prompt.variables)
            if found != expected:
                odd = ", ".join(sorted(found ^ expected))
                _wrong(
                    ("variants", name, "prompt"),
                    f"the prompt of '{name}' does not have the same variables as that of control "
                    f"'{self.control}' (differing: {odd})",
                )
        for index, name in enumerate(self.fallbacks.context_length):
            if self.variants[name].context_window is None:
                _wrong(
                    ("fallbacks", "context_length", index),
                    f"variant '{name}' must state its context_window: a context-length fallback goes only "
                    "to a larger one",
                )
        return self

    def _check_names(self) -> None:
        places: list[tuple[tuple[str | int, ...], str]] = [(("control",), self.control)]
        places += [(("traffic", name), name) for name in self.traffic]
        for kind in Fallbacks.model_fields:
            names: list[str] = getattr(self.fallbacks, kind)
            places += [(("fallbacks", kind, index), name) for index, name in enumerate(names)]
        if self.shadow:
            places.append((("shadow", "variant"), self.shadow.variant))
        for path, name in places:
            if name not in self.variants:
                _wrong(path, f"variant '{name}' is not defined; {nearest(name, self.variants, 'variants')}")

    @property
    def salt(self) -> str:
        """What the units are drawn with."""
        return self.unit.salt or self.route

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The variables that a call must give."""
        return self.variants[self.control].prompt.prompt.variables

    @property
    def not_acted_on(self) -> tuple[str, ...]:
        """Keys of the file on which the gateway does not act yet: it has no streaming, shadow or rollout."""
        waits = ("connect_s", "first_token_s", "idle_s")
        return (
            *(name for name in NOT_YET if getattr(self, name) is not None),
            *(f"timeouts.{name}" for name in waits if name in self.timeouts.model_fields_set),
        )


def _named(value: str, what: str) -> str:
    try:
        return safe_name(value, what=what)
    except UsageError as error:
        raise ValueError(str(error)) from error


def _wrong(path: tuple[str | int, ...], message: str) -> NoReturn:
    # The braces of the message must not be taken for a format of its context.
    escaped = message.replace("{", "{{").replace("}", "}}")
    raise PydanticCustomError("route", escaped, {"path": path})


def load_route(path: str | Path) -> Route:
    """Read and check a route file.

    Raises:
        RouteError: with file, line and key, and the nearest valid key where one is unknown.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RouteError(f"{path}: the route file cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RouteError(f"{path}: the route file is not UTF-8 text") from error
    return parse_route(text, file=path)


def parse_route(text: str, *, file: Path | None = None) -> Route:
    """The Route in ``text`` (YAML); ``file`` is for messages.

    Raises:
        RouteError: see :func:`load_route`.
    """
    try:
        data, lines = parse_yaml(text)
    except YAMLError as error:
        raise RouteError(_at(file, error.line, str(error))) from error
    if not isinstance(data, dict):
        raise RouteError(
            _at(file, None, "a route file must be a mapping of keys (schema, route, variants, ...)")
        )
    return check_route(data, lines=lines, file=file)


def check_route(data: dict[str, Any], *, lines: Lines | None = None, file: Path | None = None) -> Route:
    """The Route in plain ``data``.

    Raises:
        RouteError: see :func:`load_route`.
    """
    try:
        return Route.model_validate(data)
    except ValidationError as error:
        line, message = explain(error, Route, lines or Lines())
        raise RouteError(_at(file, line, message)) from error


def dump_route(route: Route) -> str:
    """``route`` as YAML, which :func:`parse_route` reads back as an equal Route. The caller writes it.

    Raises:
        RouteError: the Route cannot be written so that it reads back the same.
    """
    text = dump_yaml(
        {
            "schema": SCHEMA,
            **route.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True),
        }
    )
    if parse_route(text) != route:
        raise RouteError(
            f"route '{route.route}' does not read back as it is written; use plainer names and texts"
        )
    return text


def _at(file: Path | None, line: int | None, message: str) -> str:
    where = f"{file}:{line}: " if file and line else f"{file}: " if file else f"line {line}: " if line else ""
    return where + message
