"""Where the instructions stand in a message: before the input, below it, or between two inputs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from promptmigrate import template
from promptmigrate.search.text import closing_fences, length, words

PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")
_BELOW = 2
"""What stands below the input is edited where it is so many times longer than what stands before it."""
_FEW = 3
"""Words below which what follows the input is a cue for the answer, not instructions."""
_HEADING = re.compile(r"^\s*(#{1,6}\s.*|<[\w -]+>|[-=_*`\"']{3,}\w*|.{0,60}:)\s*$")
_MARKER = re.compile(r"^\s*(#{1,6}\s.*|<[\w -]+>|[-=_*`\"']{3,}\w*)\s*$")
_CLOSER = re.compile(r"^\s*(</[\w-]+>|#{1,6}\s.*|[-=_*\"']{3,})\s*$")
"""Ends the input above it, or begins what follows."""
_OPENING, _CLOSING = re.compile(r"^\s*<([\w-]+)>\s*$"), re.compile(r"^\s*</([\w-]+)>\s*$")
_LABEL_BEFORE_INPUT = re.compile(r"^[^{}]{0,60}[:=>\-]\s*[\"'`<(\[]*\s*$")


class Parts(NamedTuple):
    """A text in three: joined they give it back."""

    before: str
    """Fixed, with the white space behind it; empty where the instructions come first."""
    instructions: str
    after: str
    """Fixed, with the white space before it."""

    @property
    def weight(self) -> float:
        """How much these instructions say, as compared with others."""
        return length(self.instructions) / (_BELOW if self.before else 1)


def parts(text: str) -> Parts:
    """The instructions of ``text`` and what is fixed around them.

    Those before the input, see :func:`split`; where they say far less than what stands below it, or between
    two inputs, that.
    """
    lead, rest = split(text)
    ahead = Parts("", lead, rest)
    below = (Parts(lead + found.before, found.instructions, found.after) for found in _below(rest))
    return max([ahead, *below], key=lambda found: found.weight)


def split(text: str) -> tuple[str, str]:
    """``text`` as (instructions, frame): the frame starts at the block that hands over the input.

    A line hands over input if apart from its placeholder it is only a short label or quotes; placeholders
    inside sentences before it belong to the instructions. Without such a line the frame starts at the first
    line with a placeholder. Headings and labels directly above belong to the frame.
    """
    lines = text.splitlines(keepends=True)
    holding = [i for i, line in enumerate(lines) if PLACEHOLDER.search(line)]
    if not holding:
        return text, ""
    first = next((i for i in holding if _hands_over(lines[i])), holding[0])
    lead = "".join(lines[: _top(lines, first, closing_fences(lines))])
    stripped = lead.rstrip()
    return stripped, text[len(stripped) :]


def _top(lines: Sequence[str], first: int, closing: Collection[int]) -> int:
    """Where the block begins whose input is in the line ``first``."""
    while first > 0:
        above = lines[first - 1]
        if first - 1 in closing:
            break
        if not above.strip():
            # Blank lines are only stepped over to reach a heading right above them.
            if first > 1 and first - 2 not in closing and _MARKER.match(lines[first - 2]):
                first -= 1
                continue
            break
        if not _HEADING.match(above) or PLACEHOLDER.search(above):
            break
        first -= 1
    return first


def _below(frame: str) -> Iterator[Parts]:
    """What stands below each input of ``frame``, as far as it may be instructions."""
    lines = frame.splitlines(keepends=True)
    holding = [i for i, line in enumerate(lines) if PLACEHOLDER.search(line)]
    inputs = [i for i in holding if i == holding[0] or _hands_over(lines[i])]
    closing = closing_fences(lines)
    for number, above in enumerate(inputs):
        last = number + 1 == len(inputs)
        end = len(lines) if last else _top(lines, inputs[number + 1], closing)
        start, stop = _trimmed(lines, above + 1, end, closing)
        body = "".join(lines[start:stop]).rstrip()
        if length(body) >= _FEW:
            before = "".join(lines[:start])
            yield Parts(before, body, frame[len(before) + len(body) :])


def _trimmed(lines: Sequence[str], start: int, stop: int, closing: Collection[int]) -> tuple[int, int]:
    """The lines from ``start`` to ``stop`` without what closes the input, and without cues for the answer."""
    while start < stop and (not lines[start].strip() or start in closing or _CLOSER.match(lines[start])):
        start += 1
    while stop > start:
        line = lines[stop - 1]
        end = _CLOSING.match(line)
        cue = stop - 1 not in closing and _HEADING.match(line)
        opened = end and any(f"<{end[1]}" in above for above in lines[start : stop - 1])
        if line.strip() and not cue and (not end or opened):
            break
        stop -= 1
    first, end = (
        (_OPENING.match(lines[start]), _CLOSING.match(lines[stop - 1])) if stop > start else (None,) * 2
    )
    if (
        first
        and end
        and first[1] == end[1]
        and sum(f"<{first[1]}" in line for line in lines[start:stop]) == 1
    ):
        return start + 1, stop - 1
    return start, stop


def _hands_over(line: str) -> bool:
    before, *rest = PLACEHOLDER.split(line)
    label = not words(before) or bool(_LABEL_BEFORE_INPUT.match(before))
    return label and len(words("".join(rest))) <= _FEW


def literal(frozen: str) -> str:
    """A pattern for ``frozen`` whatever its white space, stripped.

    Placeholders may be written as an editor is shown them, in ``<>``.
    """
    found = []
    for part in re.split(r"(\s+|\{\{\s*[A-Za-z_]\w*\s*\}\})", frozen.strip()):
        if name := template.variables(part):
            found.append(rf"(?:\{{\{{\s*{name[0]}\s*\}}\}}|<{name[0]}>)")
        else:
            found.append(r"\s+" if part.isspace() else re.escape(part))
    return "".join(found)


def around(before: str, after: str) -> re.Pattern[str]:
    """Matches a text that begins with ``before`` and ends with ``after``; the rest of it is the lead."""
    head, tail = literal(before), literal(after)
    lead = (r"\s" if head else "") + ".*" + (r"\s" if tail else "")
    return re.compile(rf"\s*{head}(?P<lead>|{lead}){tail}\s*", re.DOTALL)
