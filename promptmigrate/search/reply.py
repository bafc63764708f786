"""Reading an editor's reply, however it was written.

Editors answer with DSPy field headers, JSON, XML-like tags, a fenced block or bare text, whatever was asked
for. One reply is one call: nothing is asked again because of its format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_THOUGHT = re.compile(
    r"\A\s*<(think|thinking|thought|reasoning)>(?:.*?</\1>\s*|(?!.*</\1>).*)", re.DOTALL | re.IGNORECASE
)
"""Thoughts before the reply; all of it where they never end. Later such tags belong to the instructions."""
_OPENED_BEFORE = re.compile(r"\A(?:(?!<think>).)*?</think>\s*", re.DOTALL | re.IGNORECASE)
"""Thoughts whose opening tag stands in the model's chat template."""
_CANNOT = (
    r"(?:can(?:no|['\u2019])t|can not|(?:am|['\u2019]m)\s+(?:unable|not able)|won['\u2019]t|will not|"
    r"must decline)"
)
_REGRET = (
    r"(?:(?:i['\u2019]m|i am)\s+(?:really\s+|very\s+|so\s+)?sorry|sorry|i apologi[sz]e|"
    r"unfortunately|as an ai)"
)
_ASKED = r"(?:assist|help|comply|do (?:that|this)|fulfil|provide|create|write|rewrite|generate|continue)"
_REFUSAL = re.compile(
    rf"{_REGRET}\b[^.\n]{{0,60}}\bi\s*{_CANNOT}\b|i\s*{_CANNOT}\s+(?:to\s+)?{_ASKED}\b", re.IGNORECASE
)
"""How a reply begins that is none."""
_REFUSAL_WORDS = 80
_FIELD = re.compile(r"\[\[\s*##\s*(\w+)\s*##\s*\]\]")
_TEXT_NAMES = (
    "new_instructions", "instructions", "new_instruction", "instruction", "improved_instructions",
    "improved_instruction", "revised_instructions", "updated_instructions", "new_prompt", "improved_prompt",
    "revised_prompt", "updated_prompt", "optimized_prompt", "proposed_instruction", "prompt", "template",
    "system_prompt", "system", "text", "content", "output", "answer", "result",
)  # fmt: skip
_CLEAR_NAMES = _TEXT_NAMES[:16]
_SECTION_NAMES = frozenset({"instructions", "instruction", "prompt", "template"})
"""Names that a section of a prompt may have as well."""
_NOTE_NAMES = ("diagnosis", "reasoning", "analysis", "explanation", "rationale", "thoughts", "notes")
_CLOSED = re.compile(r"</([A-Za-z][\w-]*)>")
_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})(?P<tag>[^\n`]*)$", re.MULTILINE)
_HEADING = re.compile(
    r"(?im)^\s*(?:#{1,6}\s*|\*\*\s*)?(?:the\s+)?(?:complete\s+|full\s+)?(?:new|improved|revised|updated|rewritten|final|optimi[sz]ed)"
    r"\s+(?:set\s+of\s+)?(?:system\s+)?(?:instructions?|prompts?|template)\s*(?:\*\*)?\s*:\s*(?:\*\*)?\s*"
)
_PREAMBLE = re.compile(
    r"(?i)^(?:sure|certainly|of course|okay|ok|here)\b[^\n]{0,160}:\s*\n+"
    r"|^here (?:is|are)\b[^\n]{0,160}\n\s*\n"
)
_CLOSING = re.compile(
    r"\n\s*\n(?:let me know|i hope|these changes|this version|feel free)\b[^\n]*\s*$", re.IGNORECASE
)


class Reading(NamedTuple):
    """What an editor wrote."""

    text: str
    """The new instructions (or whole prompt); empty if there is nothing usable."""
    note: str
    """Its diagnosis, if it wrote one."""


def read(reply: str) -> Reading:
    """The new text and the diagnosis in ``reply``."""
    reply = reply.replace("\r\n", "\n")
    if not reply.lstrip().lower().startswith("<think>"):
        reply = _OPENED_BEFORE.sub("", reply, count=1)
    reply = _THOUGHT.sub("", reply).strip()
    for reader in (_fields, _json, _tags, _fences, _headed):
        reading = reader(reply)
        if reading is not None and reading.text:
            break
    else:
        reading = Reading(_tidy(reply), "")
    return Reading("", reading.text) if _is_refusal(reading.text) else reading


def _is_refusal(text: str) -> bool:
    return bool(_REFUSAL.match(text)) and len(text.split()) <= _REFUSAL_WORDS


def _fields(reply: str) -> Reading | None:
    pieces = _FIELD.split(reply)
    if len(pieces) < 3:
        return None
    fields = {name.lower(): body.strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
    return _named(fields)


def _json(reply: str) -> Reading | None:
    body = reply
    fence = _FENCE.search(reply)
    if (
        fence
        and fence["tag"].strip().lower() in ("json", "")
        and reply[fence.end() :].lstrip().startswith("{")
    ):
        body = reply[fence.end() :].rsplit(fence["fence"], 1)[0].strip()
    if not body.startswith("{"):
        return None
    try:
        parsed, _ = json.JSONDecoder(strict=False).raw_decode(body)
    except (ValueError, RecursionError):
        return None
    # A fenced object behind other text may be a sample, whose "answer" is no prompt.
    names = _TEXT_NAMES if reply.startswith(("{", "```", "~~~")) else _CLEAR_NAMES
    return _named({str(k).lower(): v for k, v in parsed.items()}, names) if isinstance(parsed, dict) else None


def _named(fields: Mapping[str, object], names: Sequence[str] = _TEXT_NAMES) -> Reading | None:
    note = next((str(fields[name]).strip() for name in _NOTE_NAMES if fields.get(name)), "")
    for name in names:
        value = fields.get(name)
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            value = "\n".join(value)
        if isinstance(value, str) and value.strip():
            inner = _fences(value)
            return Reading(inner.text if inner and _mostly(inner.text, value) else _tidy(value), note)
    return None


def _tags(reply: str) -> Reading | None:
    for name in _CLEAR_NAMES:
        match = re.search(rf"<{name}>(.*?)</{name}>", reply, re.DOTALL | re.IGNORECASE)
        if match and match[1].strip() and not _is_part(name, match, reply):
            return Reading(_tidy(match[1]), reply[: match.start()].strip())
    return None


def _is_part(name: str, match: re.Match[str], reply: str) -> bool:
    """Whether a tagged text is only a section of the new prompt: inside a fence, or beside other sections."""
    before, after = reply[: match.start()], reply[match.end() :]
    fenced = len(_FENCE.findall(before)) % 2 == 1
    others = {tag.lower() for tag in _CLOSED.findall(before + after)} - {*_NOTE_NAMES, name}
    return fenced or (name in _SECTION_NAMES and bool(others))


def _fences(reply: str) -> Reading | None:
    """The fenced block that is the answer, unless fences are only examples inside a bare text."""
    marks = list(_FENCE.finditer(reply))
    if not marks:
        return None
    first = marks[0]
    before = reply[: first.start()].strip()
    closing = [m for m in marks[1:] if m["fence"].startswith(first["fence"]) and not m["tag"].strip()]
    if not closing:
        return Reading(_tidy(reply[first.end() :]), before)
    last = closing[-1]
    if len(marks) > 2 and not _nested(reply, marks):
        blocks = _blocks(reply, marks)
        body = max(blocks, key=len)
        outside = len(reply) - sum(map(len, blocks))
        if outside > 2 * len(body) and _is_sample(body):
            return None
        return Reading(_tidy(body), before)
    body, after = reply[first.end() : last.start()], reply[last.end() :].strip()
    if _is_sample(body) and len(before) + len(after) > len(body):
        return None
    return Reading(_tidy(body), before)


def _nested(reply: str, marks: list[re.Match[str]]) -> bool:
    """Whether the first fence opens the whole answer and the others are fenced samples inside it."""
    tail = reply[marks[-1].end() :].strip()
    head = reply[: marks[0].start()].strip()
    return (
        len(marks) % 2 == 0
        and not tail
        and len(marks) >= 4
        and (
            bool(marks[1]["tag"].strip())
            or reply[marks[1].end() : marks[2].start()].lstrip()[:1] in ("{", "[")
        )
        and len(head) < 600
    )


def _blocks(reply: str, marks: list[re.Match[str]]) -> list[str]:
    pairs = zip(marks[::2], marks[1::2], strict=False)
    return [reply[a.end() : b.start()].strip() for a, b in pairs] or [""]


def _is_sample(body: str) -> bool:
    return body.lstrip()[:1] in ("{", "[") or len(body.split()) < 4


def _headed(reply: str) -> Reading | None:
    marks = list(_HEADING.finditer(reply))
    if not marks:
        return None
    return Reading(_tidy(reply[marks[-1].end() :]), reply[: marks[-1].start()].strip())


def _mostly(inner: str, outer: str) -> bool:
    return len(inner) > 0.6 * len(outer)


def _tidy(text: str) -> str:
    text = _PREAMBLE.sub("", text.strip("\n")).strip()
    text = _CLOSING.sub("", text).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" and text.count(text[0]) == 2:
        text = text[1:-1].strip()
    return text
