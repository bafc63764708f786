"""The program of an experiment and the prompts it asks with: loaded and checked before anything is spent.

The program is the user's own code. It is imported only because the experiment file names it, from the folder
of that file first, then from the working folder, then as any other module.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from promptmigrate import template
from promptmigrate.config import Config, inline_prompt
from promptmigrate.errors import ConfigError, TemplateError
from promptmigrate.evaluate import Program, ProgramRunner, as_variant, rehearse
from promptmigrate.pipeline.plan import Plan
from promptmigrate.publish import load
from promptmigrate.redact import told
from promptmigrate.types import Dataset, Prompt, Variant

_REHEARSED = 5
"""Rows on which the program is tried without a model."""


@dataclass(frozen=True, kw_only=True)
class Components:
    """A program with the prompts that production gives it."""

    program: Program
    prompts: Mapping[str, Prompt]
    """In the order of the experiment."""
    uris: Mapping[str, str]
    """Name -> where the registry has it; those that are written in the experiment are left out."""
    calls: int
    """Calls that a row is thought to take, until it was seen."""

    def variant(self, *, model: str, params: Mapping[str, Any], origin: str) -> Variant:
        """The program with production's prompts on a model."""
        return as_variant(self.prompts, model=model, params=params, origin=origin)

    @cached_property
    def surface(self) -> Prompt:
        """Stands for the program where rows are read and runs are told apart: its variables are the
        program's inputs, and no two programs' prompts give the same one."""
        texts = [f"{name}\n{_without_variables(str(prompt))}" for name, prompt in self.prompts.items()]
        return Prompt.text("\n\n".join([*texts, self._inputs]))

    @cached_property
    def typical(self) -> Prompt:
        """What one call is about as long as: the longest prompt, with all inputs."""
        longest = max(map(str, self.prompts.values()), key=len)
        return Prompt.text(f"{_without_variables(longest)}\n\n{self._inputs}")

    @property
    def _inputs(self) -> str:
        return "\n".join(f"{{{{{name}}}}}" for name in self.program.inputs)

    @property
    def file(self) -> Path | None:
        """The file that the program is written in, as far as that can be told."""
        try:
            return Path(inspect.getsourcefile(self.program.source or self.program.call) or "")
        except TypeError:
            return None

    def rehearsed(self, dataset: Dataset) -> Components:
        """Try the program on some train rows without any model; how often it asks is known better then.

        Raises:
            ConfigError: it asks for a prompt that is not given, or without one of its variables.
        """
        variant = self.variant(model="none/none", params={}, origin="")
        most = rehearse(self.program, variant, dataset.split("train")[:_REHEARSED])
        return replace(self, calls=max(self.calls, most))


def components(config: Config, folder: Path) -> Components | None:
    """The program of ``config`` with its prompts; None where it has one prompt only.

    Raises:
        ConfigError: the program cannot be imported or called, or a prompt cannot be loaded.
    """
    if config.program is None:
        return None
    prompts, uris = {}, {}
    for name, given in config.prompts.items():
        key = f"prompts.{name}"
        try:
            if isinstance(given, str):
                prompts[name], info = load(given, tracking_uri=config.mlflow.tracking_uri)
                uris[name] = info.uri
            else:
                prompts[name] = inline_prompt(given, folder)
        except TemplateError as error:
            raise ConfigError(f"{key}: {error}", key=key) from error
        if not prompts[name].variables:
            raise ConfigError(f"{key}: {uris[name]} has no placeholders", key=key)
    return Components(
        program=Program.of(_imported(config.program, folder), name=config.program),
        prompts=prompts,
        uris=uris,
        calls=len(prompts),
    )


def _imported(name: str, folder: Path) -> Any:
    module_name, _, path = name.partition(":")
    places = list(dict.fromkeys(str(place.resolve()) for place in (folder, Path())))
    kept = list(sys.path)
    sys.path[:0] = places
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigError(
            f"program: module {module_name!r} cannot be imported ({told(error)}); it is "
            f"looked for in {places[0]} first",
            key="program",
        ) from error
    finally:
        # Behind all others, so that what the program imports later is found and hides nothing of ours.
        sys.path[:] = [*kept, *(place for place in places if place not in kept)]
    _check_place(module_name, module, Path(places[0]))
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"program: {name!r}: {module_name} has no {path!r}", key="program")
        found = getattr(found, part)
    return found


def _check_place(name: str, module: Any, folder: Path) -> None:
    """Raise ConfigError where another module of this name hides the one beside the experiment."""
    beside = folder.joinpath(*name.split("."))
    files = [path for path in (beside.with_suffix(".py"), beside / "__init__.py") if path.is_file()]
    loaded = getattr(module, "__file__", None)
    if files and loaded is not None and Path(loaded).resolve() not in [path.resolve() for path in files]:
        raise ConfigError(
            f"program: the module {name!r} is already taken by {loaded}; rename {files[0]}", key="program"
        )


def _without_variables(text: str) -> str:
    return template.render(text, dict.fromkeys(template.variables(text), ""))


def asked(runner: ProgramRunner) -> int:
    """The most calls that the program was seen to make for a row."""
    return max((len(ran.steps) for _, ran in runner.runs), default=0)


def settled(plan: Plan, components: Components | None, most: int) -> Plan:
    """``plan`` with the calls that a row was seen to take, where ``most`` is more than planned."""
    more = 0 if components is None else most - components.calls
    if components is None or more <= 0:
        return plan
    sides = plan.targets + plan.rerun
    return replace(
        plan,
        calls_per_row=plan.calls_per_row + more,
        gate_calls=plan.gate_calls + plan.gate_rows * plan.repeats * sides * more,
        warnings=(
            *plan.warnings,
            f"the program made up to {most} calls for a row; {components.calls} planned",
        ),
    )
