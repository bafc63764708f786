"""What names tell, and pairs of marks around a text.

Pairs are ``<answer>`` and ``</answer>``, ``<<<ANSWER 3f>>>`` and ``<<<END ANSWER 3f>>>``, ``[ANSWER]`` and
``[/ANSWER]``, ``--- BEGIN ANSWER ---`` and ``--- END ANSWER ---``, and what else follows these customs.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

_REPLY = r"(?:answer|output|label|response|value|result|reply|completion)"
_ROLES = (
    ("expected", r"expect|reference|\bgold|ground ?truth|\bcorrect " + _REPLY + r"|desired|target|\bexpert"
                 r"|should (?:be|have)|wanted|right answer|\bideal|oracle|production(?:'s)? (?:answer|"
                 r"output)|\btruth\b|\bclaim|\btrue " + _REPLY + r"|answer key|official|canonical|teacher"
                 r"|(?:sample|standard|model) solution|^(?:right|correct) one$"),
    ("prompt", r"instruction|prompt|template|system message"),
    ("guidelines", r"guideline|criteri|rubric|requirement|\brules?\b|constraint|principle|checklist"),
    ("feedback", r"feedback|critique|assessment|rationale|diagnos|what went wrong|complaint"),
    ("output", r"output|response|answer|\bgot\b|\bactual|predict|produced|generated|completion|"
               r"\brepl(?:y|ie[ds])|model said|candidate|submission|submitted|observed|\bsaid\b|\bwrote\b"),
    ("input", r"input|question|ticket|e-?mail|\btext\b|message|query|document|problem|context|\brow\b|"
              r"conversation|request|passage|article"),
    ("boundary", r"^(?:example|case|failure|item|sample|record|cluster|group)s?\b"),
)  # fmt: skip
_COMPILED = tuple((role, re.compile(pattern)) for role, pattern in _ROLES)
_OF_MARKS = (  # too common in running text to be a label there
    ("output", re.compile(r"^(?:the |ai )?(?:assistant|student|model|bot|agent|attempt|hypothesis)s?$")),
    ("expected", re.compile(r"^(?:labels?|key|solution)$")),
    ("input", re.compile(r"^(?:user|customer|source|conversation)$")),
)
_OF_FORM = re.compile(r"\b(?:format|formatting|schema|style|length|language)\b")
"""A heading with such a word is about how to answer, not about an answer."""

_MARKS = re.compile(
    r"<(?P<slash>/)?(?P<tag>[A-Za-z_][\w.-]{0,40})(?:\s[^<>\n]{0,120})?>"
    r"|(?P<left><{2,5}|\[{1,3}|\{{2,3}|[-=*#~+]{2,30})[ \t]*"
    r"(?P<end>/[ \t]*|(?:the[ _-])?end(?:ing)?\b[ _-]?(?:of[ _-])?(?:the[ _-])?[: \t]*)?"
    r"(?P<begin>(?:the[ _-])?(?:begin(?:ning)?|start)[ _-](?:of[ _-])?(?:the[ _-])?[: \t]*)?"
    r"(?P<name>[A-Za-z][^<>\[\]{}\n=*#~|+]{0,60}?)?[ \t]*(?P<right>>{2,5}|\]{1,3}|\}{2,3}|[-=*#~+]{2,30})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below a heading or between two marks. ``role`` is None where the name tells none."""

    role: str | None
    name: str
    body: str
    closed: bool = False
    """It stands between two marks, so that its text is certain."""


def role_of(name: str, *, mark: bool = False) -> str | None:
    """What a heading names: one of the roles above, None for anything else. ``mark``: it is no mere label."""
    lowered = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower().replace("_", " ").replace("’", "'").strip()
    if _OF_FORM.search(lowered) or "?" in lowered:
        return None
    found = next((role for role, pattern in _COMPILED if pattern.search(lowered)), None)
    if found is None and mark:
        return next((role for role, pattern in _OF_MARKS if pattern.search(lowered)), None)
    return found


@dataclass(frozen=True, slots=True)
class _Mark:
    start: int
    end: int
    style: str
    name: str
    closing: bool
    begins: bool


def pairs_in(text: str) -> Iterator[tuple[int, int, Section]]:
    """The outermost pairs of marks: from, to, and the section between."""
    marks = [mark for match in _MARKS.finditer(text) if (mark := _mark(match)) is not None]
    closings: dict[tuple[str, str], list[int]] = {}
    for index, mark in enumerate(marks):
        if mark.closing:
            closings.setdefault((mark.style, _key(mark.name)), []).append(index)
    position = 0
    for index, mark in enumerate(marks):
        if mark.closing or not mark.name or mark.start < position:
            continue
        role = role_of(mark.name, mark=True)
        if role is None and mark.style == "tag" and text[mark.start - 1 : mark.start] not in ("", "\n"):
            continue  # markup inside a line
        if role is None and mark.style not in ("tag", "<", "[", "{") and not mark.begins:
            continue
        for key in ((mark.style, _key(mark.name)), (mark.style, "")):
            at = closings.get(key, [])
            later = bisect_right(at, index)
            if later < len(at):
                closing = marks[at[later]]
                body = text[mark.end : closing.start].strip()
                if role is None and mark.style == "tag" and not _MARKS.search(body):
                    break  # some other markup
                yield mark.start, closing.end, Section(role, mark.name, body, closed=True)
                position = closing.end
                break


def _mark(match: re.Match[str]) -> _Mark | None:
    if tag := match["tag"]:
        return _Mark(match.start(), match.end(), "tag", tag, bool(match["slash"]), False)
    name = (match["name"] or "").strip(" \t:_-")
    closing, begins = bool(match["end"]), bool(match["begin"])
    words = re.split(r"[\s_-]+", name)
    if len(words) > 1 and words[-1].lower() in ("end", "start", "begin"):
        closing, begins = words[-1].lower() == "end", words[-1].lower() != "end"
        name = name[: -len(words[-1])].rstrip(" \t:_-")
    if not name and not closing:
        return None
    return _Mark(match.start(), match.end(), match["left"][0], name, closing, begins)


def _key(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.lower()))
