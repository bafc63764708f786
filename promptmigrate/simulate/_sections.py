"""The sections that a request consists of, whatever marks them.

A section is marked in pairs (``<answer>`` and ``</answer>``, ``<<<ANSWER 3f>>>`` and ``<<<END ANSWER 3f>>>``,
``[ANSWER]`` and ``[/ANSWER]``, ``--- BEGIN ANSWER ---`` and ``--- END ANSWER ---``), by a heading (Markdown,
DSPy markers, bold, brackets, underlined) or by a plain ``Name: value`` line. What it holds is told by its
name alone. What stands between two marks is never searched for others, unless it is a container of sections.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import dedent

from promptmigrate.simulate._marks import Section, pairs_in, role_of

_MARKDOWN = re.compile(r"^(?:#{2,6}\s*|#\s+)(?![#\s!])(.{1,200}?)\s*$")
_MARKER = re.compile(r"^\[\[ ## (/?\w+) ## \]\]\s*$")
_BOLD = re.compile(r"^\s*(?:[-*•]\s+)?\*\*([^*\n]{2,40}?):?\*\*:?\s*(.*)$")
_BRACKETS = re.compile(r"^\s*(?:<{2,5}|\[{1,3}|[-=~+]{2,30}[ \t]*)([A-Za-z][^<>\[\]{}\n=~|+]{1,40}?)"
                       r"(?:>{2,5}|\]{1,3}|[ \t]*[-=~+]{2,30})[ \t]*:?[ \t]*(.*)$")  # fmt: skip
_RULE = re.compile(r"^[ \t]*(?:-{3,}|={3,}|\*{3,}|_{3,}|~{3,})[ \t]*$")
_BARE_NUMBER = re.compile(r"^[ \t]*\d{1,3}[.)][ \t]*$")
_WEAK = re.compile(
    r"^\s*(?:[-*•>]\s*|\d+[.)]\s*)?([A-Za-z][A-Za-z _'’()-]{1,40}?)\s*(?:#?(\d+))?\s*(?::|：|=>)\s*(.*)$"
)
_WEAK_WORDS = 6
_ORDINAL = re.compile(r"^(?:the )?(?:\w+ )?(?:first|second|[ab]|one|two|1|2)\b", re.I)
_NUMBERED = re.compile(r"\b#?\d+\b")
_IMPERATIVE = re.compile(
    r"(?:answer|reply|respond|output|return)\s+(?:with|in|using|as|only|just|yes|exactly)\b", re.I
)
_TRAILER = re.compile(
    r"\n[ \t]*\n(?=(?:Return|Respond|Reply|Answer(?!\s*:)|Provide|Write|Now|Please|Give|Put|Propose|"
    r"Your (?:task|job|turn)|Is|Are|Does|Do|Say|Judge|Compare|Decide|Improve|Revise|Rewrite|Based on|Using|"
    r"Output(?!\s*:)|Think|Consider|Score(?!\s*:)|Rate|Grade(?!\s*:)|Evaluate|Assess|Determine|Choose|Pick|Select|Which|"
    r"End|Finish|Conclude|Explain|Print|State|Mark|Classify)\b)"
)
_ASK_LINE = re.compile(
    r"\n\W{0,4}(?:(?:your|the|final|overall)\s+){0,2}(?:verdict|judge?ment|rating|score|grade|decision|answer|"
    r"assessment|conclusion)\b[^:\n]{0,40}:[ \t]*(?:[<\[({][^\n]{1,80}[>\])}])?[ \t]*\**[ \t]*\n?$",
    re.I,
)
_HELD = "\x00"
_COMPARED = frozenset({"output", "expected"})
_TELLING = frozenset({"output", "expected", "feedback"})
_OWN_PROSE = frozenset({"guidelines", "feedback", "prompt"})
"""Roles whose text often holds lines like ``Name: value`` of its own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A request, taken apart."""

    sections: tuple[Section, ...]
    talk: str
    """What is said to the reader, without the material."""


def sections(text: str) -> list[Section]:
    """The sections of a text, in order."""
    return list(read(text).sections)


def read(text: str, depth: int = 0) -> Reading:
    """Take a text apart."""
    text = text.replace(_HELD, " ")
    blocks: list[Section] = []
    pieces: list[str] = []
    position = 0
    for start, end, block in pairs_in(text):
        pieces += (text[position:start], f"\n{_HELD}{len(blocks)}\n")
        blocks.append(block)
        position = end
    pieces.append(text[position:])
    strong = list(_strong_sections("".join(pieces).split("\n"), blocks, depth))
    found = _with_labels(strong)
    trailer = ""
    if found and not found[-1].closed:  # what follows the last section is the request itself
        last = found[-1]
        body, trailer = _split_trailer(last.body)
        found[-1] = replace(last, body=body)
    talk = [
        f"{section.name}\n{section.body}"
        for section in found
        if section.role in (None, "boundary", "prompt", "guidelines", "feedback")
        and not (section.closed and section.role is None)
    ]
    return Reading(tuple(found), "\n\n".join([*talk, trailer]).strip() if found else text)


# --- headings


def _strong_sections(lines: list[str], blocks: list[Section], depth: int) -> Iterator[Section]:
    role: str | None = None
    name, body, level = "", list[str](), 0

    def close() -> Iterator[Section]:
        content = _tidy(body)
        if content or role == "boundary":
            yield Section(role, name, content)

    for index, line in enumerate(lines):
        if line.startswith(_HELD):
            block = blocks[int(line[1:])]
            label = "" if _tidy(body) else name
            if not _tidy(body) and role in ("input", "output", "expected"):
                block, label = replace(block, role=role), ""  # <answer> below "Reference:"
            elif body and (weak := _weak(body[-1], role, body, {})) and not weak[1]:
                block = replace(block, role=role_of(weak[0]) or block.role)
                body.pop()
            if label or _tidy(body):
                yield from close()
            yield from _opened(block, depth)
            role, name, body = None, "", []
            continue
        following = lines[index + 1] if index + 1 < len(lines) else ""
        begins = not any(map(str.strip, body[-1:])) or bool(_RULE.match(body[-1]))
        heading = _strong(line, following if begins else "")
        if heading is None:
            body.append(line)
            continue
        new, title, rest = heading
        level_here = len(line) - len(line.lstrip("#"))
        if new is None and role in ("input", "output") and level_here > level > 0:
            continue  # a sub-heading inside inputs or outputs names a variable
        yield from close()
        role, name, body, level = new, title, [rest], level_here
    yield from close()


def _opened(block: Section, depth: int) -> Iterator[Section]:
    """A container's sections; any other block as it is."""
    if block.role in (None, "boundary") and depth < 4:
        inner = read(block.body, depth + 1)
        if any(section.role in _TELLING for section in inner.sections):
            if block.role == "boundary":
                yield replace(block, body="")
            yield from (replace(section, closed=True) for section in inner.sections)
            return
    yield block


def _strong(line: str, following: str) -> tuple[str | None, str, str] | None:
    """A heading: its role, its name and what stands behind it on the line."""
    if match := _MARKER.match(line):
        return (None, "end", "") if match[1].startswith("/") else (role_of(match[1], mark=True), match[1], "")
    if match := _MARKDOWN.match(line):
        head, sign, rest = match[1].strip(" *").partition(":")
        bare = re.sub(r"\s*\(.*$", "", head).strip()
        role = role_of(bare, mark=True) if len(bare.split()) <= _WEAK_WORDS else None
        titled = bool(rest.strip()) or len(bare) < len(head.strip())
        if role not in _TELLING and titled and _NUMBERED.search(bare):
            return "boundary", match[1], ""  # "Problem 2 (5 rows): ..." heads a group
        if sign and rest.strip() and role in _COMPARED:
            return role, head, rest.strip()
        return role, match[1].rstrip(": "), ""
    if (match := _BOLD.match(line)) and (role := role_of(match[1])):
        return role, match[1], match[2]
    if (match := _BRACKETS.match(line)) and (role := role_of(match[1], mark=True)) not in (None, "boundary"):
        return role, match[1], match[2]
    title = line.strip(" :")
    if (
        _RULE.match(following)
        and len(title.split()) <= 4
        and ":" not in title
        and (role := role_of(title, mark=True))
    ):
        return role, title, ""  # underlined
    return None


def _tidy(body: list[str]) -> str:
    """The lines without separators around them; an indented YAML text without its sign."""
    first, last = 0, len(body)
    while first < last and (not body[first].strip() or _RULE.match(body[first])):
        first += 1
    while last > first and (
        not body[last - 1].strip()
        or _RULE.match(body[last - 1])
        or (last - 1 > first and _BARE_NUMBER.match(body[last - 1]) and not body[last - 2].strip())
    ):
        last -= 1
    if last - first > 1 and re.fullmatch(r"[|>][-+]?", body[first].strip()):
        return dedent("\n".join(body[first + 1 : last])).strip()
    return "\n".join(body[first:last]).strip()


# --- plain labels


def _with_labels(strong: list[Section]) -> list[Section]:
    """The sections with those in plain labels; labels count only where nothing stronger tells as much."""
    telling = {section.role for section in strong}
    regular = _regular(strong)
    found: list[Section] = []
    for section in strong:
        if section.closed:
            found.append(section)
        elif not telling & _COMPARED:
            found += _labelled(section, regular)
        elif section.role in (None, "boundary") and not telling >= _COMPARED:
            split = _labelled(section, regular)
            roles = {part.role for part in split} & _TELLING
            found += split if len(roles) > 1 and roles & _COMPARED else [section]
        else:
            found.append(section)
    return found


def _regular(strong: list[Section]) -> dict[str, frozenset[str]]:
    """For each role the labels that recur; empty where none does.

    Where each of several cases has an "Output:", a line that happens to begin with "Response time:" is none.
    """
    counts: dict[str, Counter[str]] = {}
    for section in strong:
        if not section.closed:
            for line in section.body.split("\n"):
                if (match := _WEAK.match(line)) and (role := role_of(match[1])):
                    counts.setdefault(role, Counter())[match[1].lower()] += 1
    return {
        role: frozenset(name for name, n in names.items() if 2 * n >= max(names.values()))
        for role, names in counts.items()
        if max(names.values()) >= 3
    }


def _labelled(section: Section, regular: dict[str, frozenset[str]]) -> list[Section]:
    found: list[Section] = []
    role, name, body = section.role, section.name, list[str]()
    strong = role in _OWN_PROSE

    def close() -> None:
        content = _tidy(body)
        if content or (role == "boundary" and not found):
            found.append(Section(role, name, content))

    for line in section.body.split("\n"):
        opened = _weak(line, role, body, regular)
        if opened and strong and (role_of(opened[0]) in _OWN_PROSE or (body and body[-1].strip())):
            opened = None
        if opened is None:
            body.append(line)
            continue
        close()
        role, name, body, strong = role_of(opened[0]), opened[0], [opened[1]], False
    close()
    return found


def _weak(
    line: str, role: str | None, body: list[str], regular: dict[str, frozenset[str]]
) -> tuple[str, str] | None:
    """The label and the rest of a plain ``Name: value`` line, if it opens a section."""
    match = _WEAK.match(line)
    new = role_of(match[1]) if match and len(match[1].split()) <= _WEAK_WORDS else None
    if match is None or new is None or _IMPERATIVE.match(match[1]):
        return None
    name = f"{match[1]} {match[2]}" if match[2] else match[1]
    if new == role and not (new == "output" and _ORDINAL.search(name)):
        return None
    if new in regular and match[1].lower() not in regular[new]:
        return None
    if (
        role == "expected"
        and match[1].lower() in ("answer", "result")
        and any("=" in earlier for earlier in body)
    ):
        return None  # the last line of a worked solution
    return name, match[3]


def _split_trailer(body: str) -> tuple[str, str]:
    """A last section's text, and what is said to the reader behind it."""
    cuts = [match.start() for pattern in (_TRAILER, _ASK_LINE) if (match := pattern.search(body))]
    if not cuts:
        return body, ""
    return _tidy(body[: min(cuts)].split("\n")), body[min(cuts) :].strip()
