"""The shape of answers that are more than prose: code blocks, tables, tags, labelled lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from promptmigrate.search.text import TAG, most

_SHARE = 0.9
"""Share of the answers that have to have a shape."""
_BLOCK = re.compile(r"\s*```[^\S\n]*([\w+#.-]*)[^\S\n]*\n(.*)\n[^\S\n]*```\s*", re.DOTALL)
_RULE_LINE = re.compile(r"\|?[\s:|-]*-[\s:|-]*\|?")
_FIELD = re.compile(r"([^\W\d_][^\n:=\d|<>{}\"]{0,30}):(?:\s|$)")
_MAX_NAMES = 20


class Shape(NamedTuple):
    """How all answers are built."""

    rule: str
    built: bool
    """Whether it is code or tags, whose length and letters depend on what is built."""


def shape_of(texts: Sequence[str]) -> Shape | None:
    """The shape that nine in ten of ``texts`` have; None where they are just words."""
    readers: tuple[Callable[[str], tuple[str, ...] | None], ...] = (_fence, _columns, _tags, _labels)
    for reader in readers:
        found = most([reader(text) for text in texts], _SHARE)
        if found:
            return _told(reader, found)
    return None


def _told(reader: Callable[[str], tuple[str, ...] | None], names: tuple[str, ...]) -> Shape:
    if reader is _fence:
        first = f" (the first is ```{names[0]})" if names[0] else ""
        return Shape(
            f"Write one code block between two lines of ```{first}, and nothing outside of it.", True
        )
    if reader is _columns:
        return Shape(f"Write a markdown table with these columns, in this order: {' | '.join(names)}.", False)
    if reader is _tags:
        return Shape(
            f"Write the answer in these XML tags, in this order, each with its end tag: {', '.join(names)}. "
            "Nothing outside of them.",
            True,
        )
    return Shape(f"Begin the lines with these labels, in this order: {', '.join(names)}.", False)


def _fence(text: str) -> tuple[str, ...] | None:
    block = _BLOCK.fullmatch(text)
    return (block[1],) if block and "```" not in block[2] else None


def _columns(text: str) -> tuple[str, ...] | None:
    """The heads of a text that is one markdown table."""
    lines = text.strip().splitlines()
    if len(lines) < 2 or not all("|" in line for line in lines) or not _RULE_LINE.fullmatch(lines[1].strip()):
        return None
    heads = tuple(head.strip() for head in lines[0].strip().strip("|").split("|"))
    return heads if len(heads) <= _MAX_NAMES else None


def _tags(text: str) -> tuple[str, ...] | None:
    """The tags of a text that is nothing but them, each once and without attributes: "<b> (inside <a>)"."""
    names: dict[str, None] = {}
    open_tags: list[str] = []
    end = 0
    for tag in TAG.finditer(text):
        if not open_tags and text[end : tag.start()].strip():
            return None
        end = tag.end()
        name = tag["name"]
        if not tag["end"]:
            inside = f" (inside <{open_tags[-1]}>)" if open_tags else ""
            names.setdefault(f"<{name}>{inside}")
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return None
    whole = names and not open_tags and not text[end:].strip()
    return tuple(names) if whole and len(names) <= _MAX_NAMES else None


def _labels(text: str) -> tuple[str, ...] | None:
    """The labels of a text whose lines all have one ("Queue: ..."), several of them."""
    found = [_FIELD.match(line) for line in text.strip().splitlines() if line.strip()]
    names = tuple(f"{m[1]}:" for m in found if m)
    several = 1 < len(names) == len(found) and len(set(names)) == len(names)
    return names if several and len(names) <= _MAX_NAMES else None
