"""Whether a run folder belongs to this experiment: what goes on must be what began."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptmigrate.config import Config
from promptmigrate.decide import differences
from promptmigrate.errors import ConfigError, StorageError
from promptmigrate.files import YAMLError, parse_yaml
from promptmigrate.pipeline.rundir import RunDir
from promptmigrate.types import Prompt


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What an experiment names beside itself."""

    digest: str
    """Of all of it."""
    each: Mapping[str, str] = field(default_factory=dict)
    """Key and name, for people -> digest."""


def inputs_of(config: Config, folder: Path, prompts: Sequence[Prompt], *, code: Path | None = None) -> Inputs:
    """The data file, cards, prompts to start from, and the file that the program is written in (``code``)."""
    found, each = hashlib.sha256(), {}
    for index, prompt in enumerate(prompts):
        found.update(prompt.digest.encode())
        each[f"search.prompts.{index}"] = prompt.digest
    names = {"data.traces.file": config.data.traces.file}
    names |= {f"scorers.{n}.calibration": scorer.calibration for n, scorer in enumerate(config.scorers)}
    names["program"] = None if code is None else str(code)
    for key, name in names.items():
        path = None if name is None else located(name, folder)
        if path is not None and path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256")
            found.update(content.digest())
            each[f"{key} ({name})"] = "sha256:" + content.hexdigest()
    return Inputs(digest="sha256:" + found.hexdigest(), each=each)


def located(name: str, folder: Path) -> Path:
    """A file that an experiment names: beside the experiment, else in the working folder."""
    return folder / name if (folder / name).exists() else Path(name)


def changes(run: RunDir, config: Config, prompt: Prompt, inputs: Inputs) -> list[str]:
    """What differs between the experiment of ``run`` and this one, in words; empty: nothing.

    Raises:
        StorageError: the folder holds no readable run.
    """
    state = run.state()
    if not state:
        raise StorageError(f"{run.path} holds no run; leave --run out to begin one")
    found = []
    if state.get("config_digest") != config.digest or _written(run) != _plain(config):
        found += list(differences(_written(run), _plain(config)))
        found = found or ["the configuration"]
    if state.get("prompt_digest") != prompt.digest:
        found.append("the production prompt")
    if state.get("inputs_digest") != inputs.digest:
        old = state.get("inputs", {})
        # What was not there before, or is not there now, is a change of the configuration.
        named = [f"the content of {name}" for name, now in inputs.each.items() if old.get(name, now) != now]
        found += named or ["a file that the experiment names (data, calibration, search.prompts or program)"]
    return found


def check_same(run: RunDir, config: Config, prompt: Prompt, inputs: Inputs) -> None:
    """Refuse to go on in ``run`` with something else than it began with.

    Raises:
        ConfigError: says what changed.
        StorageError: the folder holds no readable run.
    """
    found = changes(run, config, prompt, inputs)
    if found:
        raise ConfigError(
            f"run folder {run.path} was begun with another experiment; changed since: {'; '.join(found)}. "
            "Undo that, or leave --run out: answers that were paid for are used again"
        )


def _plain(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_none=True, exclude={"storage": True})


def _written(run: RunDir) -> dict[str, Any]:
    path = run.path / "config.yaml"
    try:
        data, _ = parse_yaml(path.read_text("utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be read: {error}; begin anew without --run") from error
    if not isinstance(data, dict):
        raise StorageError(f"{path} is not an experiment; begin anew without --run")
    data.pop("storage", None)
    return data
