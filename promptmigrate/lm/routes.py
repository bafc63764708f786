"""Where a model is asked: its endpoint in use, or a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promptmigrate.errors import EndpointError
from promptmigrate.lm.endpoints import Endpoint, resolve
from promptmigrate.lm.limits import Limiter, RetryBudget
from promptmigrate.lm.outage import LIMIT_S, Outage
from promptmigrate.lm.record import Recording
from promptmigrate.lm.sizes import Sizes
from promptmigrate.lm.transports import Transport, open_transport

if TYPE_CHECKING:
    from promptmigrate.config import EndpointConfig


@dataclass(slots=True)
class Outlet:
    """One endpoint in use: its transport and how hard it may be pushed."""

    endpoint: Endpoint
    transport: Transport
    limiter: Limiter
    retries: RetryBudget
    outage: Outage
    contacted: bool = False
    """Whether it has ever answered anything; an endpoint that never did is a wrong address."""


@dataclass(slots=True)
class Route:
    """Where one model is asked."""

    model: str
    wire_model: str
    identity: str
    outlet: Outlet | None
    """None: only a recording answers."""
    recording: Recording | None
    sizes: Sizes


class Routes:
    """Routes by model name, made when first asked for."""

    def __init__(
        self,
        endpoints: Mapping[str, EndpointConfig],
        recording: Recording | None,
        *,
        outage_s: float = LIMIT_S,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self._endpoints, self._recording = endpoints, recording
        self._outage_s, self._on_wait = outage_s, on_wait
        self._routes: dict[str, Route] = {}
        self._outlets: dict[str, Outlet] = {}
        self._recordings: dict[Path, Recording] = {}

    def find(self, model: str) -> Route:
        """Where ``model`` is asked.

        Raises:
            EndpointError: nowhere.
            StorageError: a recording that cannot be read.
        """
        route = self._routes.get(model)
        if route is None:
            route = self._routes[model] = self._find(model)
        return route

    async def aclose(self) -> None:
        """Close all connections."""
        for outlet in self._outlets.values():
            await outlet.transport.aclose()

    def _find(self, model: str) -> Route:
        recording, name = self._recording, model
        if model.startswith("replay/"):
            recording, name = self._replayed(model)
        endpoint, wire_model = resolve(name, self._endpoints)
        return Route(
            model=name,
            wire_model=wire_model,
            identity=endpoint.identity,
            outlet=None if recording is not None else self._outlet(endpoint),
            recording=recording,
            sizes=Sizes(),
        )

    def _replayed(self, model: str) -> tuple[Recording, str]:
        """The recording and the original name in ``replay/<model>`` or ``replay/<file>.jsonl/<model>``."""
        file, suffix, name = model.removeprefix("replay/").rpartition(".jsonl/")
        if suffix:
            path = Path(file + ".jsonl")
            recording = self._recordings.get(path)
            if recording is None:
                recording = self._recordings[path] = Recording(path)
            return recording, name
        if self._recording is None:
            raise EndpointError(
                f"'{model}' needs a recording: open the Door with replay=, "
                "or write replay/<file>.jsonl/<model>"
            )
        return self._recording, name

    def _outlet(self, endpoint: Endpoint) -> Outlet:
        outlet = self._outlets.get(endpoint.name)
        if outlet is None:
            outlet = self._outlets[endpoint.name] = Outlet(
                endpoint=endpoint,
                transport=open_transport(endpoint),
                limiter=Limiter(endpoint.max_concurrency),
                retries=RetryBudget(),
                outage=Outage(endpoint.where, self._outage_s, self._on_wait),
            )
        return outlet
