"""Checking endpoints, keys and models before anything is spent. No chat completion is sent."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from promptmigrate.errors import EndpointError
from promptmigrate.lm.prices import Prices
from promptmigrate.lm.routes import Outlet, Route, Routes
from promptmigrate.lm.transports import WireError
from promptmigrate.lm.transports.openai import OpenAITransport
from promptmigrate.lm.transports.sim import SimTransport, is_simulated

LISTING_S = 15.0
"""How long a model list may take."""


async def preflight(routes: Routes, prices: Prices, models: Iterable[str]) -> None:
    """Raise EndpointError where a later call would: no key, key refused, unreachable, no such model.

    An endpoint that has no model list is taken at its word: the first real call will tell.
    """
    groups: dict[str, list[Route]] = {}
    for model in dict.fromkeys(models):
        route = routes.find(model)
        if route.outlet is None:
            continue  # only a recording answers
        if isinstance(route.outlet.transport, SimTransport) and not is_simulated(route.wire_model):
            raise EndpointError(
                f"there is no simulated model '{route.model}'{_near(route.wire_model, _sims())}"
            )
        route.outlet.endpoint.key()
        if isinstance(route.outlet.transport, OpenAITransport):
            groups.setdefault(route.outlet.endpoint.name, []).append(route)
    results = await asyncio.gather(
        *(_check(served, prices) for served in groups.values()), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _check(served: list[Route], prices: Prices) -> None:
    outlet = served[0].outlet
    assert outlet is not None
    endpoint = outlet.endpoint
    status, body, said = await _get(outlet, None)
    outlet.contacted = True
    if status == 401 or (status == 403 and "scope" not in said.lower() and "permission" not in said.lower()):
        what = f"the key in {endpoint.key_name} was refused by" if endpoint.key_env else "a key is wanted by"
        names = ", ".join(f"'{route.wire_model}'" for route in served)
        raise EndpointError(
            f"{what} {endpoint.base_url} ({status}) for {names}; "
            f"set another key, or name its variable with endpoints.{endpoint.name}.api_key_env",
            key=f"endpoints.{endpoint.name}.api_key_env",
        )
    if 300 <= status < 400:
        raise EndpointError(
            f"{endpoint.base_url} answers with a redirect ({status}), which is not followed; "
            f"set endpoints.{endpoint.name}.base_url to the final address",
            key=f"endpoints.{endpoint.name}.base_url",
        )
    listed = _listed(body) if status == 200 else {}
    for route in served:
        entry = listed.get(route.wire_model)
        if entry is not None:
            prices.learn(route.model, entry.get("pricing"))
        elif listed and endpoint.check_models:
            found, body, _ = await _get(outlet, route.wire_model)
            if found == 404:
                raise EndpointError(
                    f"{endpoint.base_url} does not serve the model '{route.wire_model}'"
                    f"{_near(route.wire_model, listed)}",
                    key=f"endpoints.{endpoint.name}.base_url",
                )
            if found == 200 and isinstance(body, Mapping):
                prices.learn(route.model, body.get("pricing"))


async def _get(outlet: Outlet, model: str | None) -> tuple[int, Any, str]:
    try:
        assert isinstance(outlet.transport, OpenAITransport)
        return await outlet.transport.models(model, timeout_s=LISTING_S)
    except WireError as error:
        raise EndpointError(
            f"{error}; check base_url and the network", key=f"endpoints.{outlet.endpoint.name}.base_url"
        ) from None


def _listed(body: Any) -> dict[str, Mapping[str, Any]]:
    """Entries of an OpenAI-style model list by id; empty if it is none."""
    entries = body.get("data", body.get("models")) if isinstance(body, Mapping) else body
    if not isinstance(entries, list):
        return {}
    return {
        entry["id"]: entry
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)
    }


def _near(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
    return f"; it has {', '.join(near)}" if near else ""


def _sims() -> list[str]:
    from promptmigrate.simulate import models

    return [name.removeprefix("sim/") for name in models()]
