"""What the strategy of an experiment needs, before anything is asked or spent."""

from __future__ import annotations

from promptmigrate.config import Config
from promptmigrate.errors import ConfigError, UsageError
from promptmigrate.search import changes, names, reflects, strategy


def check_strategy(config: Config) -> str:
    """The name of the strategy.

    Raises:
        ConfigError: there is no such strategy, the package that offers it is broken, or
            ``search.may_change`` leaves it nothing to change.
    """
    try:
        made = strategy(config.search.strategy)
    except UsageError as error:
        raise ConfigError(str(error), key="search.strategy") from error
    able, may = changes(made), config.search.may_change
    if able.isdisjoint(may):
        others = [name for name in names() if name != made.name and not _idle(name, may)]
        instead = f", or use a strategy that changes what is named ({', '.join(others)})" if others else ""
        raise ConfigError(
            f"search.may_change is [{', '.join(may)}], which leaves {config.search.strategy} nothing to "
            f"change; name one of {', '.join(sorted(able))}{instead}",
            key="search.may_change",
        )
    return made.name


def _idle(name: str, may: tuple[str, ...]) -> bool:
    """Whether the strategy ``name`` could change nothing, or cannot be had."""
    try:
        return changes(strategy(name)).isdisjoint(may)
    except UsageError:
        return True


def reflection_model(config: Config) -> str | None:
    """The model that writes proposals; None where the strategy has none written.

    One that cannot be had is taken to want it: that it is refused is for :func:`check_strategy`.
    """
    try:
        wanted = reflects(strategy(config.search.strategy))
    except UsageError:
        wanted = True
    return config.reflection_model if wanted else None


def asked_models(config: Config) -> tuple[str, ...]:
    """Every model that a run may call, as far as the experiment file tells, each once."""
    writer = reflection_model(config)
    return tuple(dict.fromkeys([*config.models, *([writer] if writer else [])]))
