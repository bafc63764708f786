"""Which scorers, asked where: names on the command line, or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptmigrate.errors import ConfigError

if TYPE_CHECKING:
    from promptmigrate.config import EndpointConfig, PriceConfig
    from scorers import Scorer

_KEYS = ("scorers", "endpoints", "prices")


@dataclass(frozen=True, kw_only=True)
class ScoringFile:
    """Scorers, and how judges among them are reached."""

    scorers: tuple[Scorer, ...]
    endpoints: Mapping[str, EndpointConfig] = field(default_factory=dict)
    prices: Mapping[str, PriceConfig] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Parameters of the judges' calls, by scorer name."""


def load_scoring(given: str, *, judge: str | None = None) -> ScoringFile:
    """The scorers that ``given`` means: a YAML file, or names separated by commas.

    The file is a list of scorers as in an experiment file, or a mapping with ``scorers``, ``endpoints`` and
    ``prices``; an experiment file will do, too.

    Args:
        given: Path ending in .yaml or .yml, or names.
        judge: ``provider/model`` for judges among names.

    Raises:
        ConfigError: no such file, scorer or option; says where.
    """
    if not given.lower().endswith((".yaml", ".yml")):
        names = [name.strip() for name in given.split(",") if name.strip()]
        return ScoringFile(scorers=_build([_named(name, judge) for name in names], "--scorers"))
    path = Path(given)
    data = _read(path)
    if isinstance(data, Mapping) and "targets" in data:
        from promptmigrate.config import load_config

        config = load_config(path)
        specs = [(dict(item.spec), item.params) for item in config.scorers]
        if any(spec["use"] == "auto" for spec, _ in specs):
            raise ConfigError("scorers: 'auto' is chosen from a dataset; name the scorers", file=path)
        built = _build([spec for spec, _ in specs], str(path))
        return ScoringFile(
            scorers=built,
            endpoints=config.endpoints,
            prices=config.prices,
            params={s.name: params for s, (_, params) in zip(built, specs, strict=True) if params},
        )
    return _from_mapping({"scorers": data} if isinstance(data, list) else data, path)


def _read(path: Path) -> Any:
    from promptmigrate.files import parse_yaml

    try:
        data, _ = parse_yaml(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"the file with the scorers cannot be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the file with the scorers is not UTF-8 text", file=path) from error
    return data


def _from_mapping(data: Any, path: Path) -> ScoringFile:
    from pydantic import ValidationError

    from promptmigrate.config import EndpointConfig, PriceConfig

    if not isinstance(data, Mapping) or not isinstance(data.get("scorers"), list):
        raise ConfigError("it must hold a list of scorers, or a mapping with 'scorers'", file=path)
    for key in data:
        if key not in _KEYS:
            raise ConfigError(
                f"there is no key {key!r}; known are {', '.join(_KEYS)}", file=path, key=str(key)
            )
    specs, params = [], []
    for item in data["scorers"]:
        spec = {"use": item} if isinstance(item, str) else dict(item) if isinstance(item, Mapping) else {}
        params.append(spec.pop("params", None))
        spec.pop("weight", None)  # says how scores are combined, which is not done here
        specs.append(spec)
    built = _build(specs, str(path))
    try:
        endpoints = {k: EndpointConfig.model_validate(v) for k, v in (data.get("endpoints") or {}).items()}
        prices = {k: PriceConfig.model_validate(v) for k, v in (data.get("prices") or {}).items()}
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {first['msg']}", file=path) from error
    by_name = {s.name: dict(p) for s, p in zip(built, params, strict=True) if isinstance(p, Mapping)}
    return ScoringFile(scorers=built, endpoints=endpoints, prices=prices, params=by_name)


def _named(name: str, judge: str | None) -> dict[str, Any]:
    """The spec of a scorer of which only the name is given; a judge gets the model."""
    if judge is None:
        return {"use": name}
    import scorers

    try:
        made = scorers.from_spec({"use": name, "judge": judge})
    except scorers.ScorerSpecError as error:
        # A judge that lacks another option is named with its model, so that the error is about that option.
        return {"use": name} if error.key == "judge" else {"use": name, "judge": judge}
    return {"use": name, "judge": judge} if hasattr(made, "ask") else {"use": name}


def _build(specs: Sequence[Mapping[str, Any]], where: str) -> tuple[Scorer, ...]:
    import scorers

    if not specs:
        raise ConfigError(f"{where}: no scorer is given")
    built = []
    for index, spec in enumerate(specs):
        try:
            built.append(scorers.from_spec(spec))
        except ValueError as error:
            raise ConfigError(f"{where}: scorers.{index}: {error}", key=f"scorers.{index}") from error
    names = [scorer.name for scorer in built]
    if len(set(names)) != len(names):
        raise ConfigError(f"{where}: two scorers have the same name; give one another 'name'", key="scorers")
    return tuple(built)
