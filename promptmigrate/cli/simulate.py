"""``promptmigrate simulate``: the simulated provider as a server."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from promptmigrate.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The simulated provider: models that are not real.")


@app.callback()
def _group() -> None:
    """Keeps ``serve`` a subcommand although it is the only one."""


@app.command("serve")
def serve(
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65_535)] = 8321,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    api_key: Annotated[
        str | None, typer.Option(help="Key that callers must send; default: none needed.")
    ] = None,
    latency: Annotated[
        float | None, typer.Option(help="Seconds that every answer takes; default: the models' own.", min=0)
    ] = None,
    latency_scale: Annotated[float, typer.Option(help="Factor on the models' own latency.", min=0)] = 1.0,
    rate_limited: Annotated[float, typer.Option(help="Share of requests that get a 429.", min=0, max=1)] = 0,
    server_error: Annotated[float, typer.Option(help="Share that get a 5xx.", min=0, max=1)] = 0,
    hang: Annotated[float, typer.Option(help="Share that get no answer.", min=0, max=1)] = 0,
    malformed: Annotated[float, typer.Option(help="Share that get a broken body.", min=0, max=1)] = 0,
    dropped: Annotated[float, typer.Option(help="Share whose connection is closed.", min=0, max=1)] = 0,
    retry_after: Annotated[float, typer.Option(help="Seconds in the Retry-After of a 429.", min=0)] = 1.0,
    fault_attempts: Annotated[
        int | None, typer.Option(help="Only the first so many attempts of a request meet faults.", min=1)
    ] = None,
) -> None:
    """Serve the simulated models over HTTP, OpenAI-compatible; /stats counts what came. Ctrl-C ends it.

    Prints one JSON line with the base URL when it is ready.
    """
    from promptmigrate.simulate.faults import Faults
    from promptmigrate.simulate.server import serve as run

    try:
        faults = Faults(
            rate_limited=rate_limited,
            server_error=server_error,
            hang=hang,
            malformed=malformed,
            dropped=dropped,
            retry_after_s=retry_after,
            attempts=fault_attempts,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error

    def ready(base_url: str) -> None:
        sys.stdout.write(json.dumps({"base_url": base_url, "simulated": True}) + "\n")
        sys.stdout.flush()

    run(
        port,
        host=host,
        api_key=api_key,
        latency_s=latency,
        latency_scale=latency_scale,
        faults=faults,
        ready=ready,
    )
