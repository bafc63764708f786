"""The gateway client: a route file in, answers out."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import random
import re
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import CallFailed, PromptMigrateError, RouteError
from promptmigrate.gateway.assign import assign, unit_of
from promptmigrate.gateway.bridge import Bridge
from promptmigrate.gateway.clock import Clock
from promptmigrate.gateway.completion import Completion
from promptmigrate.gateway.live import Live, make_live
from promptmigrate.gateway.policy import Journey, check_variables, travel
from promptmigrate.gateway.record import Call, is_sampled, new_trace_id
from promptmigrate.gateway.traces import Recorder, TraceStatus
from promptmigrate.gateway.watch import RouteFile

if TYPE_CHECKING:
    from promptmigrate.gateway.route import Route

_log = logging.getLogger("promptmigrate.gateway")
_EXIT_S = 5.0
_open: set[Gateway] = set()


class Gateway:
    """Serves a route: sticky assignment, retries, deadline, fallback to a variant, traces in the background.

    ``complete`` works from any thread, ``acomplete`` from any event loop; both are one implementation on a
    loop of the gateway's own. The file is watched: a changed route takes effect within a second, a broken one
    does not (:attr:`last_reload_error`). Threads start with the first call, not here.

    Args:
        path: the route file.
        clock: time for deadlines, waits, breakers and budgets; for tests.
        seed: of jitter, and of sampling calls that name no unit; for tests.

    Raises:
        RouteError: the file is wrong, a model has no endpoint, or a key is not set.
        StorageError: the folder for traces cannot be written.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None, seed: int | None = None) -> None:
        self._clock = clock or Clock()
        self._file = RouteFile(
            Path(path).absolute(), monotonic=self._clock.monotonic, time_ns=self._clock.time_ns
        )
        route = self._file.first()
        self._live = make_live(route, rng=random.Random(seed))  # noqa: S311 - jitter, not secrets
        self._recorder = self._new_recorder(route)
        self._retired: list[Recorder] = []
        self._abandoned: list[object] = []
        self._kill_name = "PROMPTMIGRATE_KILL_" + re.sub(r"[^A-Za-z0-9]", "_", route.route).upper()
        self._bridge = Bridge("promptmigrate-gateway")
        self._pid = os.getpid()
        self._closed = False
        self._lock = threading.Lock()
        _open.add(self)
        if route.not_acted_on:
            _log.info("route '%s': %s kept, not acted on yet", route.route, " and ".join(route.not_acted_on))
        self._recorder.start_leftovers()

    # --- calls -------------------------------------------------------------------------------------------

    def complete(
        self,
        variables: Mapping[str, Any],
        *,
        user: str | int | None = None,
        session: str | int | None = None,
        timeout_s: float | None = None,
    ) -> Completion:
        """Answer one call, from any thread.

        Args:
            variables: the values of the prompt's variables: all of them and no others.
            user: whom the call is for; what stickiness goes by, as ``unit.from`` says.
            session: the conversation that it belongs to.
            timeout_s: a total time shorter than the route's ``timeouts.total_s``.

        Raises:
            CallFailed: no answer; ``kind`` says why (``filtered``: the provider refused the content).
            TemplateError: a variable is missing or unknown; nothing was sent.
            UsageError: the route wants a user or session with every call; nothing was sent.
        """
        future = self._enter().submit(self._serve(variables, _unit(user), _unit(session), timeout_s))
        try:
            return future.result()
        except CancelledError:
            raise PromptMigrateError("the gateway was closed during the call") from None
        except BaseException:
            future.cancel()  # Ctrl-C here stops the work there; without effect on a call that has ended
            raise

    async def acomplete(
        self,
        variables: Mapping[str, Any],
        *,
        user: str | int | None = None,
        session: str | int | None = None,
        timeout_s: float | None = None,
    ) -> Completion:
        """:meth:`complete` for coroutines, from any event loop. Cancelling it stops the work upstream."""
        return await asyncio.wrap_future(
            self._enter().submit(self._serve(variables, _unit(user), _unit(session), timeout_s))
        )

    # --- state -------------------------------------------------------------------------------------------

    @property
    def route(self) -> Route:
        """The route that new calls get."""
        return self._live.route

    @property
    def killed(self) -> bool:
        """Whether everything goes to control: by the file, or by ``PROMPTMIGRATE_KILL_<ROUTE>=1``."""
        flag = os.environ.get(self._kill_name)
        return self._live.route.state == "killed" or (
            flag is not None and flag.strip().lower() not in {"", "0", "false", "no"}
        )

    @property
    def last_reload_error(self) -> RouteError | None:
        """Why the route file as it is now is not served; None if it is."""
        return self._file.last_error

    @property
    def traces(self) -> TraceStatus:
        """How recording goes."""
        return self._recorder.status

    def reload(self) -> bool:
        """Look at the route file now; gives whether another route is served since.

        Never raises for a bad file: the last good one stays, see :attr:`last_reload_error`.
        """
        return self._file.changed(lambda: self._live.route, self._accept, force=True)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until the traces of all finished calls are delivered; False if they are not by then."""
        done = [recorder.flush(timeout_s) for recorder in (*self._retired, self._recorder)]
        return all(done)

    def close(self, timeout_s: float = 30.0) -> bool:
        """Stop serving and deliver the traces; False if some stay in the spool (for the next start)."""
        return self._close(timeout_s)

    def _close(self, timeout_s: float, *, exiting: bool = False) -> bool:
        with self._lock:
            if self._closed:
                return True
            self._closed = True
        _open.discard(self)
        self._bridge.stop(_aclose(self._live))
        done = [recorder.close(timeout_s, exiting=exiting) for recorder in (*self._retired, self._recorder)]
        return all(done)

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        route = self._live.route
        return f"Gateway(route={route.route!r}, revision={route.revision}, state={route.state!r})"

    # --- inside ------------------------------------------------------------------------------------------

    def _enter(self) -> Bridge:
        if self._closed:
            raise PromptMigrateError("this gateway is closed")
        if os.getpid() != self._pid:
            self._after_fork()
        return self._bridge

    def _after_fork(self) -> None:
        # Only the forking thread lives on in a child: neither the loop nor the connections can be used.
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._file.lock = threading.Lock()
        self._abandoned += [dict(self._live.transports), self._bridge]  # their destructors must not run here
        self._live.transports.clear()
        self._bridge = Bridge("promptmigrate-gateway")
        self._recorder = self._recorder.after_fork()

    async def _serve(
        self, variables: Mapping[str, Any], user: str | None, session: str | None, timeout_s: float | None
    ) -> Completion:
        clock = self._clock
        started, start_ns = clock.monotonic(), clock.time_ns()
        self._file.changed(lambda: self._live.route, self._accept)
        live = self._live
        route = live.route
        check_variables(live, variables)
        total_s = route.timeouts.total_s if timeout_s is None else min(timeout_s, route.timeouts.total_s)
        killed = self.killed
        unit = unit_of(route, user, session)
        assigned = route.control if killed else assign(route, unit, rng=live.rng)
        journey = Journey(assigned=assigned, killed=killed)
        error: CallFailed | None = None
        await live.places.enter(total_s)
        try:
            await travel(live, journey, variables, started + total_s, clock)
        except CallFailed as failed:
            error = failed
        finally:
            live.places.leave()
        latency_s = clock.monotonic() - started
        reply, served = journey.reply, journey.served
        if reply is not None:
            # A simulated model reports its latency instead of taking it.
            latency_s += max(0.0, reply.latency_s - journey.attempts[-1].seconds)
        trace_id = None
        settings = route.trace
        if settings.sink != "none" and is_sampled(identity := new_trace_id(), settings.sample):
            trace_id = f"tr-{identity}"
            self._recorder.record(
                Call(
                    trace_id=identity,
                    live=live,
                    journey=journey,
                    variables=variables,
                    user=user,
                    session=session,
                    start_ns=start_ns,
                    latency_s=latency_s,
                    error=None if error is None else str(error),
                    kind=error.kind if error else reply.kind if reply else "",
                )
            )
        if error is not None:
            raise error
        assert reply is not None
        assert served is not None
        return Completion(
            text=reply.text,
            variant=served.name,
            assigned=assigned,
            model=reply.model,
            revision=route.revision,
            cost_usd=journey.cost_usd,
            input_tokens=journey.input_tokens,
            output_tokens=journey.output_tokens,
            latency_s=latency_s,
            attempts=len(journey.attempts),
            trace_id=trace_id,
            finish_reason=reply.finish_reason,
        )

    def _accept(self, route: Route) -> None:
        """Serve ``route`` from now on; calls in flight keep what they started with."""
        live = make_live(route, self._live)
        old, new = self._live.route.trace, route.trace
        if (old.sink, old.tracking_uri, old.folder) != (new.sink, new.tracking_uri, new.folder):
            recorder = self._new_recorder(route)
            self._retired.append(self._recorder)
            self._recorder = recorder
        self._live = live
        _log.info("route '%s': revision %d is served", route.route, route.revision)

    def _new_recorder(self, route: Route) -> Recorder:
        return Recorder(route.trace, route=route.route, home=self._file.path.parent)


def _unit(value: str | int | None) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


async def _aclose(live: Live) -> None:
    for transport in live.transports.values():
        await transport.aclose()
    live.transports.clear()


@atexit.register
def _close_all() -> None:
    for gateway in list(_open):
        if gateway._pid == os.getpid():
            gateway._close(_EXIT_S, exiting=True)
