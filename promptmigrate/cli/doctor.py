"""``promptmigrate doctor``: what is wrong with this machine or this experiment, and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptmigrate.cli.console import console, print_json
from promptmigrate.cli.options import Json, Runs
from promptmigrate.errors import PromptMigrateError

if TYPE_CHECKING:
    from promptmigrate.config import Config


def doctor(
    config: Annotated[Path | None, typer.Argument(help="Check this experiment file too.")] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Check environment, keys, endpoints, the MLflow store and folders; nothing is spent.

    Exits with 2 if something needs mending.
    """
    findings: list[dict[str, object]] = []

    def check(name: str, test: Callable[[], str]) -> None:
        try:
            detail = test()
        except PromptMigrateError as error:
            findings.append({"check": name, "ok": False, "detail": str(error)})
        else:
            findings.append({"check": name, "ok": True, "detail": detail})

    check("python", _python)
    check("packages", _packages)
    check("start-up files", _start_up_files)
    check("run folder", lambda: _folder(runs))
    if config is None:
        check("MLflow store", lambda: _store(None))
    else:
        _check_experiment(config, check)

    failed = [finding for finding in findings if not finding["ok"]]
    if as_json:
        print_json({"ok": not failed, "checks": findings})
    else:
        out = console()
        for finding in findings:
            mark = "[green]ok[/green]   " if finding["ok"] else "[red]fix[/red]  "
            out.print(mark, end="")
            out.print(f"{finding['check']}: {finding['detail']}", markup=False, soft_wrap=True)
    raise typer.Exit(2 if failed else 0)


def _check_experiment(path: Path, check: Callable[[str, Callable[[], str]], None]) -> None:
    from promptmigrate.config import load_config, naming_lines

    loaded: list[Config] = []

    def load() -> str:
        loaded.append(load_config(path))
        return f"{path} is valid"

    check("experiment", load)
    if not loaded:
        return
    config = loaded[0]
    from promptmigrate.pipeline.check import checks
    from promptmigrate.pipeline.strategies import asked_models

    def lined(test: Callable[[], str]) -> str:
        with naming_lines(path):
            return test()

    for name, test in checks(config, path.parent):
        check(name, lambda test=test: lined(test))  # type: ignore[misc]
    check("MLflow store", lambda: _store(config.mlflow.tracking_uri))

    def prompt() -> str:
        from promptmigrate.pipeline.prepare import production_prompt

        found, uri = production_prompt(config, path.parent)
        return f"{uri or 'given in the file'}, variables {', '.join(found.variables)}"

    check("prompt", prompt)
    if config.storage is not None:
        check("storage", lambda: _storage(config))
    for model in asked_models(config):
        check(f"model {model}", lambda model=model: _model(config, model))  # type: ignore[misc]


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{version}"


def _packages() -> str:
    from importlib.metadata import PackageNotFoundError, version

    from promptmigrate.errors import UsageError

    found = []
    for name in ("mlflow", "dspy", "litellm", "optuna", "aiohttp"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError as error:
            raise UsageError(f"{name} is not installed; run: pip install promptmigrate") from error
    bad = {"1.82.7", "1.82.8"}  # shipped with malware on 2026-03-24 (MAL-2026-2144)
    if version("litellm") in bad:
        raise UsageError("litellm 1.82.7 and 1.82.8 carried malware; install another version now")
    return ", ".join(found)


def _start_up_files() -> str:
    """.pth files run at every interpreter start: the way the poisoned litellm wheels worked."""
    import site

    from promptmigrate.errors import UsageError

    folders = {Path(folder) for folder in [*site.getsitepackages(), site.getusersitepackages()]}
    for folder in folders:
        for file in folder.glob("*.pth") if folder.is_dir() else ():
            if "litellm" in file.name:
                raise UsageError(
                    f"{file} runs code at every start and belongs to no known release; remove it"
                )
    return "nothing suspicious"


def _folder(runs: Path) -> str:
    from promptmigrate.pipeline.rundir import check_writable

    check_writable(runs, what="run folder")
    return f"{runs} is writable"


def _store(tracking_uri: str | None) -> str:
    from promptmigrate import mlflow_store

    uri = mlflow_store.resolve(tracking_uri)
    mlflow_store.check(uri, create=True)
    return mlflow_store.public_uri(uri)


def _storage(config: Config) -> str:
    from promptmigrate.lm.retention import stored
    from promptmigrate.pipeline.crew import storage_url

    url = storage_url(config)
    assert url is not None
    found = stored(url)
    return (
        f"the database that workers share answers: {found.runs} runs, {found.answers} answers, "
        f"{found.megabytes:.1f} MB (promptmigrate storage prune takes old ones away)"
    )


def _model(config: Config, model: str) -> str:
    from promptmigrate.lm import Door

    with Door.open(endpoints=config.endpoints, prices=config.prices) as door:
        door.preflight([model])
        price = door.price(model)
    if price is None:
        return "reachable; its price is not known (give it under 'prices')"
    return f"reachable; ${price.input_per_mtok:g} in, ${price.output_per_mtok:g} out per million tokens"
