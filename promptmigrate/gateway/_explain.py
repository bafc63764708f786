"""One sentence for what is wrong in a file that pydantic refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from promptmigrate.files import Lines


def nearest(word: str, known: Iterable[str], what: str) -> str:
    """A hint for a word that does not exist: the nearest one that does, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"{what}: {', '.join(known) or 'none'}"


def explain(error: ValidationError, schema: type[BaseModel], lines: Lines) -> tuple[int | None, str]:
    """The line (where known) and the sentence of the first finding, unknown keys before all others."""
    findings = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
    finding = findings[0]
    path: tuple[str | int, ...] = tuple(part for part in finding["loc"] if part != "[key]")
    path += tuple(finding.get("ctx", {}).get("path", ()))
    while path and isinstance(path[-1], str) and path not in lines and "[" in path[-1]:
        path = path[:-1]  # pydantic's own names of union members
    key = ".".join(str(part) for part in path)
    line = next((lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines), None)
    message = finding["msg"].removeprefix("Value error, ")
    match finding["type"]:
        case "extra_forbidden":
            known = _keys(schema, path[:-1])
            return line, f"unknown key '{key}'; {nearest(str(path[-1]), known, 'known keys')}"
        case "missing":
            return line, f"'{key}' is missing"
        case "route" | "value_error":
            return line, f"'{key}': {message}" if key else message
        case _:
            return line, f"'{key}': {message[0].lower()}{message[1:]}, got {finding['input']!r:.80}"


def _keys(schema: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys that are valid at ``path``."""
    section = schema
    for part in path:
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        if isinstance(part, int) or part not in fields:
            continue  # the index of a list, or the free name of a variant
        found = _section(fields[part].annotation)
        if found is None:
            return []
        section = found
    return [field.alias or name for name, field in section.model_fields.items()]


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part))), None)
