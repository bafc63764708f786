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
    revision and its timeouts, retries, sticky unit and trace settings. A paused or killed route stays so.
    A route that was written for the same run and verdict with the same variants is left as it is, whatever
    became of its state and traffic: a repeated run moves nobody's rollout. The file appears whole or not at
    all, and is read back before this returns.

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
        # Whoever paused or killed the route decides when it goes on.
        "state": "active" if before is None else before.state,
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
        if _same_decision(route, before):
            return path
        atomic_write(path.with_name(f"{path.stem}.r{before.revision}{path.suffix}"), path.read_bytes())
    atomic_write(path, dump_route(route))
    if load_route(path) != route:
        raise RouteError(f"{path} does not read back as it was written")
    return path


def told(path: Path, before: Route | None) -> str:
    """One line on what :func:`write_route` did to ``path``, where :func:`current` gave ``before`` earlier."""
    route = load_route(path)
    if before is not None and route == before:
        shares = ", ".join(f"{name} {share / 100:g} %" for name, share in route.traffic.items())
        return (
            f"left {path} as it is: revision {route.revision}, {route.state}, {shares}; "
            "it was written for this verdict already"
        )
    held = "" if route.state == "active" else f"; it stays {route.state} until 'state' is set to active"
    return f"wrote {path} (revision {route.revision}){held}"


def _same_decision(route: Route, before: Route) -> bool:
    """Whether ``before`` was written for the decision that ``route`` is about."""

    def decision(of: Route) -> object:
        evidence = of.evidence
        return (
            {name: (item.model, item.params, item.prompt) for name, item in of.variants.items()},
            evidence and (evidence.verdict, evidence.run_id, evidence.dataset),
        )

    return decision(route) == decision(before)


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
