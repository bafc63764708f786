"""Reading the experiment file, and errors that say where and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from promptmigrate import template
from promptmigrate.config.params import mistakes
from promptmigrate.config.schema import Config
from promptmigrate.config.sections import PromptConfig
from promptmigrate.errors import ConfigError, EndpointError, TemplateError
from promptmigrate.files import Lines, YAMLError, parse_yaml
from promptmigrate.types import Prompt


def inline_prompt(config: PromptConfig, folder: Path) -> Prompt:
    """The Prompt that is written in the experiment file or in the file it names (relative to ``folder``).

    Raises:
        TemplateError: it cannot be read or used.
    """
    if config.file is None:
        return Prompt.of(config.text if config.text is not None else config.messages or [])
    path = folder / config.file
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TemplateError(f"file {path} cannot be read: {reason}") from error
    return Prompt.of(text)


def load_config(path: str | Path) -> Config:
    """Read and validate an experiment file.

    Raises:
        ConfigError: the file cannot be read or something in it is wrong.
    """
    path = Path(path)
    data, lines = _read(path)
    return parse_config(data, lines=lines, file=path)


@contextmanager
def naming_lines(path: Path) -> Iterator[None]:
    """Makes an error that names a key of the file at ``path`` say the file and the line too.

    Much can be told only beside data, plug-ins and the environment, by code that knows keys alone.
    """
    try:
        yield
    except ConfigError as error:
        if error.file is not None or error.key is None:
            raise
        _, lines = _read(path)
        place = tuple(int(part) if part.isdigit() else part for part in error.key.split("."))
        raise ConfigError(error.message, file=path, line=_line(lines, place), key=error.key) from error
    except EndpointError as error:
        if error.key is None:
            raise
        _, lines = _read(path)
        place = tuple(error.key.split("."))
        line = _line(lines, place) if place[:1] in lines else None
        where = f"{path}:{line}" if line else str(path)
        raise EndpointError(f"{where}: {error}") from error


def _read(path: Path) -> tuple[object, Lines]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"the experiment file cannot be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the experiment file is not UTF-8 text", file=path) from error
    try:
        return parse_yaml(text)
    except YAMLError as error:
        raise ConfigError(str(error), file=path, line=error.line) from error


def parse_config(data: object, *, lines: Lines | None = None, file: Path | None = None) -> Config:
    """Validate an experiment given as plain data.

    Raises:
        ConfigError: with file, line, key and the nearest valid key, as far as known.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(
            "the experiment file must be a mapping of keys; see 'promptmigrate init'", file=file
        )
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise _config_error(error, lines or Lines(), file) from error
    given: dict[tuple[str | int, ...], str | PromptConfig] = {}
    if config.prompt is not None:
        given["prompt",] = config.prompt
    given.update({("prompts", name): prompt for name, prompt in config.prompts.items()})
    given.update({("search", "prompts", n): prompt for n, prompt in enumerate(config.search.prompts)})
    for place, prompt in given.items():
        _check_prompt(prompt, ".".join(map(str, place)), file, _line(lines or Lines(), place))
    for place, said in mistakes(config):
        raise ConfigError(said, file=file, line=_line(lines or Lines(), place), key=".".join(map(str, place)))
    return config


def _line(lines: Lines, place: tuple[str | int, ...]) -> int | None:
    """The line of the innermost key of ``place`` that is known."""
    return next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), None)


def _check_prompt(given: str | PromptConfig, key: str, file: Path | None, line: int | None) -> None:
    if isinstance(given, PromptConfig):
        try:
            prompt = inline_prompt(given, file.parent if file else Path())
        except TemplateError as error:
            raise ConfigError(f"{key}: {error}", file=file, line=line, key=key) from error
        if not prompt.variables:
            raise ConfigError(
                f"{key}: {template.why_none(str(prompt))}",
                file=file,
                line=line,
                key=key,
            )
    elif not given.startswith("prompts:/"):
        beside = (file.parent if file else Path()) / given
        other = "a mapping with text, messages or file"
        form = f"for that file {{file: {given}}}" if beside.is_file() else other
        raise ConfigError(
            f"{key}: {given!r} must be prompts:/name@alias or prompts:/name/version, or {form}",
            file=file,
            line=line,
            key=key,
        )


def _config_error(error: ValidationError, lines: Lines, file: Path | None) -> ConfigError:
    """The first finding (unknown keys before others, since a misspelt key explains a missing one)."""
    findings = sorted(error.errors(include_url=False), key=_finding_order)
    finding = findings[0]
    # pydantic puts the branch of a union it tried into the location; users know only keys
    location = tuple(
        part for part in finding["loc"] if isinstance(part, int) or (part.islower() and "[" not in part)
    )
    if not location and (
        named := re.match(r"(\w+(?:\.\w+)+): ", finding["msg"].removeprefix("Value error, "))
    ):
        location = tuple(int(part) if part.isdigit() else part for part in named[1].split("."))
    key = ".".join(str(part) for part in location)
    line = _line(lines, location)
    message = finding["msg"].removeprefix("Value error, ")
    match finding["type"]:
        case "extra_forbidden":
            known = _known_keys(location[:-1])
            near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
            text = f"unknown key '{key}'; {hint}"
        case "missing":
            text = f"'{key}' is missing"
            if key == "gate.margin":
                text += "; state how much worse than production would be acceptable, such as 0.02"
        case "too_long" if key == "targets":
            text = "'targets' holds more than eight models; compare fewer at a time"
        case "value_error":
            text = f"'{key}': {message.removeprefix(f'{key}: ')}" if key else message
        case _:
            text = f"'{key}': {message[0].lower()}{message[1:]}, got {finding['input']!r:.80}"
    return ConfigError(text, file=file, line=line, key=key)


def _finding_order(finding: Any) -> int:
    """Unknown keys first; last, that a mapping is not the text which the key could also hold."""
    if finding["type"] == "extra_forbidden":
        return 0
    return 2 if finding["type"] == "string_type" and isinstance(finding["input"], Mapping) else 1


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The valid keys of the section at ``path``."""
    section: type[BaseModel] = Config
    for part in path:
        if isinstance(part, int) or part not in section.model_fields:
            continue  # list index, or the free name of an endpoint or a price
        found = _section_in(section.model_fields[part].annotation)
        if found is None:
            return []
        section = found
    return list(section.model_fields)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (found := _section_in(argument)) is not None:
            return found
    return None


def json_schema() -> dict[str, Any]:
    """JSON schema of the experiment file, for editors."""
    schema = Config.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "promptmigrate experiment",
        **schema,
    }
