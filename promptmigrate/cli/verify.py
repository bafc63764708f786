"""``promptmigrate verify``: whether a bundle holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptmigrate.cli.console import console, print_json
from promptmigrate.cli.options import Json
from promptmigrate.terminal import visible

if TYPE_CHECKING:
    from promptmigrate.types import Variant


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle: runs/<name>/<id>/bundle.zip.")],
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run the gate again from the recorded calls, judges included.")
    ] = False,
    route: Annotated[
        Path | None, typer.Option("--route", help="A route file: its evidence has the bundle's digest.")
    ] = None,
    own_scorers: Annotated[
        bool, typer.Option("--own-scorers", help="Import scorers that the bundle names (module:attribute).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compute a verdict again from its bundle: digests, splits, scores, every number, the decision.

    No model, no network, no key. Exit codes: 0 everything holds, 1 something does not (one line each), 2 not
    a bundle.
    """
    from promptmigrate import proof

    digest, served = _sealed(route) if route else (None, None)
    report = proof.verify(bundle, expected_digest=digest, served=served, again=rerun, own_code=own_scorers)
    if as_json:
        print_json(report.to_json())
    out = console()
    for finding in report.findings:
        # On stdout, unless that holds the JSON object: these lines are what was asked for.
        out.print(str(finding), markup=False, soft_wrap=True) if as_json else typer.echo(str(finding))
    for note in report.notes:
        out.print(f"note: {visible(note)}", markup=False, soft_wrap=True)
    if not report.ok:
        count = len(report.findings)
        out.print(f"{report.path} does not hold: {count} finding{'' if count == 1 else 's'}", markup=False)
        raise typer.Exit(1)
    for line in report.checked:
        out.print(f"checked: {visible(line)}", markup=False, soft_wrap=True)
    out.print(f"{report.path} holds: {report.verdict}, {report.digest}", markup=False, soft_wrap=True)


def _sealed(path: Path) -> tuple[str, Variant | None]:
    """The digest of the bundle in the evidence of a route, and the candidate that the route serves."""
    from promptmigrate.errors import RouteError
    from promptmigrate.gateway.route import load_route
    from promptmigrate.types import Variant

    route = load_route(path)
    if route.evidence is None or route.evidence.bundle is None:
        raise RouteError(f"{path}: its evidence names no bundle; only a promoted candidate's route does")
    served = route.variants.get("candidate")
    if served is None:
        return route.evidence.bundle, None
    return route.evidence.bundle, Variant(
        prompt=served.prompt.prompt, model=served.model, params=served.params
    )
