"""What can be found wrong in an experiment without its rows, its store or any request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from promptmigrate.config import Config, ScorerConfig, unknown_params
from promptmigrate.errors import ConfigError, UsageError
from promptmigrate.lm.endpoints import check_url, resolve
from promptmigrate.pipeline.measures import measures, models
from promptmigrate.pipeline.prepare import check_guardrails
from promptmigrate.pipeline.same import located
from promptmigrate.pipeline.strategies import check_strategy
from promptmigrate.types import Example

_STANDS_IN = Example(id="", inputs={}, reference="yes")
"""For the rows that a scorer without settings would be made from."""


def checks(config: Config, folder: Path) -> tuple[tuple[str, Callable[[], str]], ...]:
    """Name and test of each part; a test gives one line, or raises a UsageError with what to mend.

    Args:
        config: The experiment.
        folder: Where files that it names are looked for first; then in the working folder.
    """
    return (
        ("scorers", lambda: _scorers(config, folder)),
        ("search strategy", lambda: check_strategy(config)),
        ("data", lambda: _data(config, folder)),
        ("endpoints", lambda: _endpoints(config, folder)),
        ("parameters", lambda: "; ".join(unknown_params(config)) or "all are known"),
    )


def _scorers(config: Config, folder: Path) -> str:
    chosen = measures(_settled(config), [_STANDS_IN], folder=folder)
    names = [measure.scorer.name for measure in chosen]
    if all(scorer.use != "auto" for scorer in config.scorers):
        check_guardrails(config, names)
    return ", ".join("auto" if s.use == "auto" else n for s, n in zip(config.scorers, names, strict=True))


def _settled(config: Config) -> Config:
    """``config`` with something in the place of scorers that the rows choose."""
    scorers = [
        ScorerConfig.model_validate({"use": "exact_match", "name": f"auto {index}"})
        if scorer.use == "auto"
        else scorer
        for index, scorer in enumerate(config.scorers)
    ]
    return config.model_copy(update={"scorers": scorers})


def _data(config: Config, folder: Path) -> str:
    file = config.data.traces.file
    if file is None:
        return "not in a file"
    path = located(file, folder)
    if not path.is_file():
        raise ConfigError(
            f"data.traces.file: there is no file {file} beside the experiment or in the working folder",
            key="data.traces.file",
        )
    return str(path)


def _endpoints(config: Config, folder: Path) -> str:
    for name, endpoint in config.endpoints.items():
        if endpoint.base_url is not None:
            with _keyed(f"endpoints.{name}.base_url"):
                check_url(endpoint.base_url, name, allow_local=endpoint.allow_local)
    asked = models(config, measures(_settled(config), [_STANDS_IN], folder=folder))
    # Also of a source whose recorded answers are the yardstick: they are priced, and its route names it.
    source = [config.source.model] if config.source else []
    for model in (*asked, *source):
        if not model.startswith("replay/"):
            with _keyed(_place(model, config)):
                resolve(model, config.endpoints)
    return f"every one of {len(asked)} models has one"


@contextmanager
def _keyed(key: str | None) -> Iterator[None]:
    """Makes what is wrong an error of the experiment's ``key``."""
    try:
        yield
    except UsageError as error:
        raise ConfigError(str(error), key=key) from error


def _place(model: str, config: Config) -> str | None:
    """The key that names ``model``; None for one that a scorer asks by itself."""
    named = {f"targets.{n}.model": target.model for n, target in enumerate(config.targets)}
    named |= {f"scorers.{n}.judge": scorer.judge or "" for n, scorer in enumerate(config.scorers)}
    named["source.model"] = config.source.model if config.source else ""
    named["search.reflection_model"] = config.search.reflection_model or ""
    return next((key for key, known in named.items() if known == model), None)
