"""The material of a judge request: the answer, and what it is to be held against.

It is found by the names of its sections, in a JSON object, or by the order in which the request speaks of
texts between separators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptmigrate.simulate._marks import Section, role_of
from promptmigrate.simulate._ranks import ordinal
from promptmigrate.simulate._sections import Reading, read

_SOURCE = re.compile(r"context|document|source|passage|article|evidence", re.I)
_SEPARATOR = re.compile(r"\n[ \t]*(?:-{3,}|={3,}|\*{3,}|~{3,})[ \t]*(?=\n)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibits:
    """What is to be judged."""

    answer: str = ""
    expected: str = ""
    guidelines: str = ""
    question: str = ""
    source: str = ""
    """The document or context among the inputs; the question where there is none."""
    rivals: tuple[tuple[str, str], ...] = ()
    """Two answers to choose from, each with "1" or "2"."""


def exhibits_of(system: str, users: Sequence[str]) -> tuple[Exhibits, str]:
    """The material of a request, and what the request says besides."""
    last = users[-1]
    for text in dict.fromkeys((last, "\n\n".join([system, *users]))):
        reading = read(text)
        case = _case(reading, text)
        if not (case.expected or case.guidelines or case.rivals) and (ordered := _by_order(system, last)):
            return ordered, _without(last, (ordered.answer, ordered.expected))
        if case.answer or case.rivals:
            if not case.guidelines and not case.expected and system:
                rules = [s.body for s in read(system).sections if s.role == "guidelines"]
                case = replace(case, guidelines="\n".join(rules))
            return case, reading.talk
    return Exhibits(), last


def _without(text: str, pieces: Sequence[str]) -> str:
    for piece in pieces:
        text = text.replace(f"\n{piece}\n", "\n")
    return text


def _case(reading: Reading, text: str) -> Exhibits:
    parts = [s for s in reading.sections if s.body and not _is_talk(s)]
    bodies = {
        role: [_clean(s.body, s.closed) for s in parts if s.role == role]
        for role in ("output", "expected", "guidelines", "input", "prompt")
    }
    if not (bodies["output"] and bodies["expected"]):
        for role, value in _json_parts(text):
            bodies[role].append(value)
    outputs, expected = bodies["output"], bodies["expected"]
    inputs = bodies["input"] or bodies["prompt"]
    rivals = tuple(
        (which, _clean(s.body, s.closed))
        for s in parts
        if s.role in (None, "output") and (s.closed or s.role) and (which := ordinal(s.name))
    )
    if {which for which, _ in rivals} != {"1", "2"} or len(rivals) != 2:
        rivals = ()
    if rivals and not outputs:
        outputs = [text for _, text in rivals]
    if not outputs and expected and inputs:
        outputs = inputs[-1:]  # a "document" or "text" that is compared with a claim
    if len(outputs) > 1 and not expected and not rivals:
        expected, outputs = outputs[:1], outputs[1:]
    sources = [s.body for s in parts if s.role == "input" and _SOURCE.search(s.name)]
    question = "\n".join(inputs).strip()
    return Exhibits(
        answer=outputs[-1] if outputs else "", expected=expected[-1] if expected else "",
        guidelines="\n".join(bodies["guidelines"]).strip(), question=question,
        source="\n".join(sources) or question, rivals=rivals,
    )  # fmt: skip


def _by_order(system: str, text: str) -> Exhibits | None:
    """Two texts between separators, told apart by the order in which the request speaks of them."""
    chunks = [c for piece in _SEPARATOR.split(f"\n{text}\n") if (c := piece.strip())]
    if len(chunks) < 2:
        return None
    talk = system
    if len(chunks) > 2:
        talk, chunks = f"{system}\n{chunks[0]}", chunks[1:]
    named = [role_of(word) for word in re.findall(r"[a-z]+", talk.lower())]
    named = [role for role in named if role in ("output", "expected")]
    if set(named) != {"output", "expected"}:
        return None
    first, second = chunks[:2]
    return (
        Exhibits(answer=first, expected=second)
        if named[0] == "output"
        else Exhibits(answer=second, expected=first)
    )


def _json_parts(text: str) -> Iterator[tuple[str, str]]:
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        end = start + 1
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            value = None
        if isinstance(value, dict) and (found := list(_in_object(value))):
            yield from found
            return
        start = text.find("{", end)


def _in_object(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        role = role_of(str(key), mark=True)
        if role in ("output", "expected", "guidelines", "input") and not re.search(r"[|<]", str(item)[:40]):
            yield role, item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
        elif isinstance(item, Mapping):
            yield from _in_object(item)


def _is_talk(part: Section) -> bool:
    return (
        not part.closed
        and len(part.body) < 200
        and bool(re.match(r"(?i)(?:answer|reply|respond) with\b", part.body))
    )


def _clean(text: str, closed: bool) -> str:
    if not closed:
        text = re.split(
            r"\n[ \t]*(?:Respond with|Answer with|Reply with|Is the |Are the |Does the |Do the |Please |Give "
            r"your|Decide )",
            text,
        )[0]
    text = text.strip()
    if (match := re.fullmatch(r"```\w*\n(.*?)\n```", text, re.DOTALL)) and not match[1].lstrip().startswith(
        "{"
    ):
        text = match[1]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        text = text[1:-1]
    return text
