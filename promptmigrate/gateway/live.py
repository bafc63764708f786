"""A route that is ready to serve: its targets resolved, its breakers and limits carried over."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

from promptmigrate.errors import EndpointError, RouteError
from promptmigrate.gateway.guards import Breaker, Places, RetryBudget
from promptmigrate.gateway.route import Route
from promptmigrate.gateway.sections.variant import RouteVariant

if TYPE_CHECKING:
    from promptmigrate.lm.endpoints import Endpoint
    from promptmigrate.lm.transports import Transport


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where and how one variant is asked."""

    name: str
    variant: RouteVariant
    endpoint: Endpoint
    wire_model: str
    """The model as its endpoint names it."""
    breaker: Breaker
    price: tuple[float, float] | None
    """USD per token in and out; None: nobody states one."""

    @property
    def provider(self) -> str:
        """What stands before the slash in ``provider/model``."""
        return self.variant.model.partition("/")[0]

    def cost(self, input_tokens: int, output_tokens: int) -> tuple[float, float] | None:
        """USD for the tokens in and out."""
        return (input_tokens * self.price[0], output_tokens * self.price[1]) if self.price else None


@dataclass(frozen=True, kw_only=True)
class Live:
    """One revision of a route, ready to serve. A call keeps the one that it started with."""

    route: Route
    targets: Mapping[str, Target]
    budget: RetryBudget
    places: Places
    transports: dict[Endpoint, Transport] = field(default_factory=dict)
    """Open connections; shared by all revisions and used on the gateway's own loop only."""
    rng: random.Random = field(default_factory=random.Random)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values of the keys in use now, to keep them out of everything that is written."""
        return tuple({secret for target in self.targets.values() for secret in target.endpoint.secrets()})

    async def transport(self, target: Target) -> Transport:
        """The transport to ``target``, opened at its first use."""
        found = self.transports.get(target.endpoint)
        if found is None:
            from promptmigrate.lm.transports import open_transport

            if target.endpoint.transport == "litellm":
                # Seconds of import on the loop would hold up every other call.
                os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
                await asyncio.to_thread(import_module, "litellm")
            found = self.transports[target.endpoint] = open_transport(target.endpoint)
        return found


def make_live(route: Route, before: Live | None = None, *, rng: random.Random | None = None) -> Live:
    """``route`` ready to serve. What ``before`` has learnt about the same targets is kept.

    Raises:
        RouteError: a model without an endpoint, an address that is refused, or a key that is not set.
    """
    targets = {}
    for name, variant in route.variants.items():
        try:
            targets[name] = _target(name, variant, route, before)
        except EndpointError as error:
            raise RouteError(f"route '{route.route}', variant '{name}': {error}") from error
    if before is None:
        return Live(
            route=route,
            targets=targets,
            budget=RetryBudget(route.retry.budget),
            places=Places(route.concurrency),
            rng=rng or random.Random(),  # noqa: S311 - jitter and sampling, not secrets
        )
    before.budget.ratio = route.retry.budget
    before.places.settings = route.concurrency
    return Live(
        route=route,
        targets=targets,
        budget=before.budget,
        places=before.places,
        transports=before.transports,
        rng=before.rng,
    )


def _target(name: str, variant: RouteVariant, route: Route, before: Live | None) -> Target:
    from promptmigrate.config import EndpointConfig
    from promptmigrate.lm.endpoints import resolve

    given = variant.endpoint
    configured = {}
    if given:  # an endpoint section makes an unknown provider a known one
        configured[variant.model.partition("/")[0]] = EndpointConfig(
            base_url=given.base_url,
            api_key_env=given.api_key_env,
            allow_local=given.allow_local,
            transport=given.transport,
        )
    endpoint, wire_model = resolve(variant.model, configured)
    endpoint = replace(
        endpoint,
        max_concurrency=route.concurrency.max,
        timeout_s=route.timeouts.attempt_s,
        check_models=False,
    )
    endpoint.key()
    price = variant.price
    per_token: tuple[float, float] | None = None
    if price is not None:
        per_token = price.input_per_mtok / 1e6, price.output_per_mtok / 1e6
    else:
        from promptmigrate.lm.prices import Prices

        if (listed := Prices({}).find(variant.model, endpoint, wire_model)) is not None:
            per_token = listed.input_per_mtok / 1e6, listed.output_per_mtok / 1e6
    old = before.targets.get(name) if before else None
    same = old is not None and (old.endpoint.identity, old.wire_model) == (endpoint.identity, wire_model)
    if old is not None and same:
        breaker = old.breaker
        breaker.settings = route.breaker
    else:
        breaker = Breaker(route.breaker)
    return Target(
        name=name,
        variant=variant,
        endpoint=endpoint,
        wire_model=wire_model,
        breaker=breaker,
        price=per_token,
    )
