"""Serve the simulated provider: blocking, in a thread, or as a process of its own.

``python -m promptmigrate.simulate.server --port 8100`` serves until interrupted; its first line on standard
output is a JSON object with the ``base_url``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Self

from promptmigrate.errors import EndpointError
from promptmigrate.simulate.faults import Faults

if TYPE_CHECKING:
    from promptmigrate.simulate._http import Handler

__all__ = ["Faults", "SimServer", "serve"]

_START_S = 30.0
_STOP_S = 5.0


def serve(
    port: int,
    *,
    host: str = "127.0.0.1",
    api_key: str | None = None,
    latency_s: float | None = None,
    latency_scale: float = 1.0,
    faults: Faults | None = None,
    request_cap: int | None = None,
    max_in_flight: int | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted. ``port`` 0 takes a free one; ``ready`` is told the base URL.

    ``latency_s`` is what every answer takes; without it, the models' own latency times ``latency_scale``.

    Raises:
        EndpointError: the port cannot be had.
    """
    from promptmigrate.simulate._http import Handler, Options

    handler = Handler(
        Options(
            api_key=api_key,
            latency_s=latency_s,
            latency_scale=latency_scale,
            faults=faults or Faults(),
            request_cap=request_cap,
            max_in_flight=max_in_flight,
        )
    )
    try:
        asyncio.run(_run(handler, host, port, ready or (lambda _: None), None))
    except KeyboardInterrupt:
        return


async def _run(
    handler: Handler, host: str, port: int, ready: Callable[[str], None], stop: asyncio.Event | None
) -> None:
    from aiohttp import web

    runner = web.ServerRunner(
        web.Server(handler, handler_cancellation=True, access_log=None),
        shutdown_timeout=0.1,
        handle_signals=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise EndpointError(
                f"the simulated provider cannot listen on {host}:{port}: {error.strerror or error}"
            ) from error
        bound = runner.addresses[0][1]
        ready(f"http://{host}:{bound}/v1")
        await (stop or asyncio.Event()).wait()
    finally:
        await runner.cleanup()


class SimServer:
    """The provider over HTTP for as long as a ``with`` (or ``async with``) block lasts.

    It runs in a thread of this process, or with ``process=True`` in one of its own, where it takes no time
    from what is measured here. Answers take no time unless a latency is set.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        process: bool = False,
        api_key: str | None = None,
        latency_s: float | None = None,
        latency_scale: float = 0.0,
        faults: Faults | None = None,
        request_cap: int | None = None,
        max_in_flight: int | None = None,
    ) -> None:
        from promptmigrate.simulate._http import Options

        self._host, self._port, self._process = host, port, process
        self._options = Options(
            api_key=api_key, latency_s=latency_s, latency_scale=latency_scale, faults=faults or Faults(),
            request_cap=request_cap, max_in_flight=max_in_flight,
        )  # fmt: skip
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.base_url = ""
        """``http://host:port/v1``, once started."""

    @property
    def root_url(self) -> str:
        """The server without ``/v1``, where ``/stats`` is."""
        return self.base_url.removesuffix("/v1")

    def start(self) -> Self:
        """Start serving; returns when requests are accepted.

        Raises:
            EndpointError: it cannot be started.
        """
        if self._process:
            self._start_process()
        else:
            self._start_thread()
        return self

    def stop(self) -> None:
        """Stop serving; calls in flight are cut off."""
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            if self._child.stdout:
                self._child.stdout.close()
            self._child = None
        if self._thread is not None and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_S)
            self._thread = None

    def stats(self) -> dict[str, Any]:
        """What the server has seen; see ``GET /stats``."""
        return self._fetch("/stats", "GET")

    def reset(self) -> None:
        """Forget what was counted, and which requests came before."""
        self._fetch("/stats/reset", "POST")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self.stop)

    def _fetch(self, path: str, method: str) -> dict[str, Any]:
        request = urllib.request.Request(self.root_url + path, method=method)  # noqa: S310 - our own http address
        with urllib.request.urlopen(request, timeout=_STOP_S) as answer:  # noqa: S310 - our own http address
            value: dict[str, Any] = json.load(answer)
            return value

    def _start_thread(self) -> None:
        from promptmigrate.simulate._http import Handler

        started = threading.Event()
        failure: list[EndpointError] = []

        def ready(url: str) -> None:
            self.base_url = url
            started.set()

        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await _run(Handler(self._options), self._host, self._port, ready, self._stop)

        def run() -> None:
            try:
                asyncio.run(main())
            except EndpointError as error:
                failure.append(error)
            finally:
                started.set()

        self._thread = threading.Thread(target=run, name="sim-server", daemon=True)
        self._thread.start()
        if not started.wait(_START_S):
            raise EndpointError(f"the simulated provider did not start within {_START_S:g} s")
        if failure:
            self._thread.join(_STOP_S)
            self._thread = None
            raise failure[0]

    def _start_process(self) -> None:
        given = replace(self._options, api_key=None)
        command = [
            sys.executable,
            "-m",
            "promptmigrate.simulate.server",
            "--host",
            self._host,
            "--port",
            str(self._port),
        ]
        command += ["--options-on-stdin"]
        self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdin is not None and self._child.stdout is not None
        # The key goes through the pipe, where no process list shows it.
        self._child.stdin.write(json.dumps({**asdict(given), "api_key": self._options.api_key}) + "\n")
        self._child.stdin.close()
        line = self._child.stdout.readline()
        if not line:
            self.stop()
            raise EndpointError("the simulated provider could not be started in a process of its own")
        self.base_url = json.loads(line)["base_url"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(
        prog="promptmigrate.simulate.server", description="Serve the simulated provider."
    )
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--latency-s", type=float, help="seconds per answer (default: the models' own)")
    parser.add_argument("--latency-scale", type=float, default=1.0)
    parser.add_argument("--options-on-stdin", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)

    def ready(url: str) -> None:
        sys.stdout.write(json.dumps({"base_url": url}) + "\n")
        sys.stdout.flush()

    options: dict[str, Any] = {"latency_s": given.latency_s, "latency_scale": given.latency_scale}
    if given.options_on_stdin:
        options = json.loads(sys.stdin.readline())
        options["faults"] = Faults(**options["faults"])
    serve(given.port, host=given.host, ready=ready, **options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
