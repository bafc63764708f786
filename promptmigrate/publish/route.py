"""Writing the route file of a promoted candidate: production as control, the candidate at its first stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from promptmigrate.config import EndpointConfig
from promptmigrate.errors import RouteError
from promptmigrate.files import atomic_write
from promptmigrate.gateway.route import (
    BASIS_POINTS,
    SCHEMA,
    Evidence,
    PromptSnapshot,
    Route,
    check_route,
    dump_route,
    load_route,
)
from promptmigrate.types import Variant

PRODUCTION, CANDIDATE = "production", "candidate"
_KEPT = ("unit", "timeouts", "retry", "breaker", "concurrency", "trace")
"""Settings that a new revision takes over from the file it replaces."""


class PriceLike(Protocol):
    """USD per million tokens."""

    @property
    def input_per_mtok(self) -> float: ...  # noqa: D102
    @property
    def output_per_mtok(self) -> float: ...  # noqa: D102


def current(path: Path, *, name: str | None = None) -> Route | None:
    """The route that is in the file now; None if there is no file.

    Call it before a run spends anything: what it raises would stop :func:`write_route` as well.

    Raises:
        RouteError: the file is not a route, or one of another name.
    """
    if not path.exists():
        return None
    route = load_route(path)
    if name is not None and route.route != name:
        raise RouteError(
            f"{path} holds the route {route.route!r}, not {name!r}; "
            "give publish.route another path or move the file"
        )
    return route


def write_route(
    path: Path,
    *,
    name: str,
    production: Variant,
    candidate: Variant,
    candidate_uri: str | None,
    production_uri: str | None = None,
    stages: Sequence[float] = (1, 5, 25, 100),
    evidence: Mapping[str, Any] | None = None,
    prices: Mapping[str, PriceLike | None] | None = None,
    endpoints: Mapping[str, EndpointConfig] | None = None,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    salt: str | None = None,
) -> Path:
    """Write the route that starts to move traffic from ``production`` to ``candidate``; return ``path``.

    A file that is there already is kept beside it as ``<name>.r<revision>.yaml``; the new one has the next
    revision and its timeouts, retries, sticky unit and trace settings. Writing the same route again changes
    nothing, so a repeated run does not count revisions up. The file appears whole or not at all, and is read
    back before this returns.

    Args:
        path: The route file.
        name: Of the route.
        production: The control, and what the candidate falls back to in an outage.
        candidate: Gets the first stage's share.
        candidate_uri: ``prompts:/name/version`` of the candidate's prompt.
        production_uri: The same for production's, if it is in the registry.
        stages: The candidate's shares in percent, rising, at most two decimals; the last is 100.
        evidence: Fields of :class:`promptmigrate.gateway.route.Evidence`; others are left out.
        prices: Model -> price; unknown ones are left out.
        endpoints: Provider -> endpoint, as in the experiment file.
        experiment: MLflow experiment for the traces of the route.
        tracking_uri: Store for these traces; left out if it holds a password.
        salt: Routes with the same one put a user on the same side; default: the name.

    Raises:
        RouteError: the route that is there cannot be replaced, or the new one would not be valid.
        StorageError: the folder cannot be written.
    """
    before = current(path, name=name)
    first = round(stages[0] * 100)
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "route": name,
        "revision": 1 if before is None else before.revision + 1,
        # Whoever killed the route decides when it serves candidates again.
        "state": "killed" if before is not None and before.state == "killed" else "active",
        "control": PRODUCTION,
        "unit": {"from": ["user", "session"], "missing": "control", "salt": salt or name},
        "variants": {
            PRODUCTION: _variant(production, production_uri, prices or {}, endpoints or {}),
            CANDIDATE: _variant(candidate, candidate_uri, prices or {}, endpoints or {}),
        },
        "traffic": {PRODUCTION: BASIS_POINTS - first, CANDIDATE: first},
        "fallbacks": {"default": [PRODUCTION]},
        "rollout": {"stages": [{"share": round(stage * 100)} for stage in stages]},
        "trace": _trace(experiment or name, tracking_uri),
        "evidence": {
            key: value
            for key, value in (evidence or {}).items()
            if key in Evidence.model_fields and value is not None
        },
    }
    if before is not None:
        old = before.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        data.update({key: old[key] for key in _KEPT if key in old})
    route = check_route(data, file=path)
    if before is not None:
        if route.model_copy(update={"revision": before.revision}) == before:
            return path
        atomic_write(path.with_name(f"{path.stem}.r{before.revision}{path.suffix}"), path.read_bytes())
    atomic_write(path, dump_route(route))
    if load_route(path) != route:
        raise RouteError(f"{path} does not read back as it was written")
    return path


def _variant(
    variant: Variant,
    uri: str | None,
    prices: Mapping[str, PriceLike | None],
    endpoints: Mapping[str, EndpointConfig],
) -> dict[str, Any]:
    snapshot = PromptSnapshot.of(variant.prompt, uri).model_dump(mode="json", exclude_none=True)
    found: dict[str, Any] = {"model": variant.model, "params": dict(variant.params), "prompt": snapshot}
    price = prices.get(variant.model)
    if price is not None:
        found["price"] = {
            "input_per_mtok": price.input_per_mtok,
            "output_per_mtok": price.output_per_mtok,
        }
    endpoint = endpoints.get(variant.model.split("/", 1)[0])
    if endpoint is not None:
        fields = ("base_url", "api_key_env", "allow_local", "transport")
        settings = endpoint.model_dump(mode="json", include=set(fields), exclude_defaults=True)
        if settings:
            found["endpoint"] = settings
    return found


def _trace(experiment: str, tracking_uri: str | None) -> dict[str, Any]:
    settings: dict[str, Any] = {"sink": "mlflow", "experiment": experiment, "content": "redacted"}
    if tracking_uri and not urlsplit(tracking_uri).password:
        settings["tracking_uri"] = tracking_uri
    return settings
