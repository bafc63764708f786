"""Single-pass ``{{name}}`` templates.

Values are never re-scanned, so a value that contains ``{{other}}`` stays as it is. This differs on purpose
from MLflow's ``PromptVersion.format``, which substitutes inside values and turns a text with ``{%`` into a
Jinja template; templates and literal texts that would change meaning there are refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping

from promptmigrate.errors import TemplateError

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_BRACES = re.compile(r"\{\{([^{}\n]{1,60})\}\}")
_HALF = re.compile(r"[\ud800-\udfff]")
_JINJA = re.compile(r"\{%|\{#")
MAX_TEMPLATE_CHARS = 100_000
"""MLflow's registry refuses longer templates."""


def variables(text: str) -> tuple[str, ...]:
    """Names of the placeholders in ``text``, each once, in order of first appearance."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def occurrences(text: str) -> Counter[str]:
    """How often each placeholder stands in ``text``, by name."""
    return Counter(_VARIABLE.findall(text))


def why_none(text: str) -> str:
    """What to say of a ``text`` without placeholders."""
    odd = _BRACES.search(text)
    if odd is not None:
        return (
            f"the template has no placeholders: {odd[0]} is not one, since a name begins with a letter "
            "from A to Z or a to z, or with _"
        )
    return "the template has no placeholders; write the varying parts as {{name}}"


def check(text: str, *, what: str = "the prompt") -> None:
    """Raise :class:`TemplateError` where ``text`` would not mean the same everywhere it is rendered."""
    if _JINJA.search(text):
        raise TemplateError(
            f"{what} contains '{{%' or '{{#', which MLflow would run as Jinja; "
            "write it with plain {{variables}} only"
        )
    if _HALF.search(text):
        raise TemplateError(f"{what} holds half a character (a lone surrogate), which no model can be sent")
    if len(text) > MAX_TEMPLATE_CHARS:
        raise TemplateError(f"{what} has {len(text)} characters; the limit is {MAX_TEMPLATE_CHARS}")


def is_literal(text: str) -> bool:
    """Whether ``text`` may stand in a prompt as it is: no placeholder and nothing that Jinja would run."""
    return not _VARIABLE.search(text) and not _JINJA.search(text)


def sendable(text: str) -> str:
    """``text`` with U+FFFD for each half of a surrogate pair, which is no character and cannot be sent.

    Models write them where an answer ends in the middle of an emoji.
    """
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def as_text(value: object) -> str:
    """How a variable's value is written into a prompt: strings as they are, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def render(text: str, values: Mapping[str, object]) -> str:
    """Replace each ``{{name}}`` once by its value.

    Raises:
        TemplateError: a placeholder has no value.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            known = ", ".join(sorted(values)) or "none"
            raise TemplateError(f"variable '{name}' of the prompt has no value (given: {known})")
        return as_text(values[name])

    return _VARIABLE.sub(replace, text)


def recover(template: str, rendered: str) -> dict[str, str] | None:
    """The variable values that turn ``template`` into ``rendered``, or None if it does not match.

    The match is by the literal pieces between placeholders, each placeholder taking the shortest text that
    lets the rest match; a name that appears twice must have the same value. Linear in ``rendered`` for each
    piece (no regular expression, so a hostile text cannot make it slow).
    """
    pieces: list[str] = []
    names: list[str] = []
    position = 0
    for match in _VARIABLE.finditer(template):
        pieces.append(template[position : match.start()])
        names.append(match[1])
        position = match.end()
    pieces.append(template[position:])
    if not rendered.startswith(pieces[0]) or not rendered.endswith(pieces[-1]):
        return None
    if not names:
        return {} if rendered == template else None
    values: dict[str, str] = {}
    cursor = len(pieces[0])
    end = len(rendered) - len(pieces[-1])
    if end < cursor:
        return None
    for index, name in enumerate(names):
        last = index == len(names) - 1
        stop = end if last else rendered.find(pieces[index + 1], cursor, end)
        if stop < 0:
            return None
        value = rendered[cursor:stop]
        if values.setdefault(name, value) != value:
            return None
        cursor = stop + len(pieces[index + 1])
    return values
