"""What a request for a better prompt shows: the prompt it is about and the cases it brings.

Optimizers of any make write inputs, outputs, expected answers and feedback under headings of their own, or as
JSON objects; a case is whatever belongs together of these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptmigrate.simulate._marks import Section, role_of
from promptmigrate.simulate._sections import sections

_TAG = re.compile(r"<([A-Za-z_]\w{1,30})>(.*?)</\1>", re.DOTALL)
_EXPECTED_IN_TEXT = re.compile(
    r"(?:expect(?:ed|s)(?: (?:answer|output|label|value))?|should (?:be|have been|say|read)|correct(?: "
    r"answer| label| value| output"
    r"| one)?(?: is| was|:)|wanted|reference(?: is| was|:)|instead of)(?: is| was| to be)?\s*:?\s*", re.I,
)  # fmt: skip
_GOT_IN_TEXT = re.compile(
    r"(?:\bgot|answered|produced|returned|predicted|\bsaid|but was|output was)\s*:?\s*", re.I
)  # fmt: skip
_CLOSING_QUOTE = {"`": "`", "'": "'", '"': '"', "“": "”", "‘": "’", "«": "»"}
_FENCED = re.compile(r"^```[^\n`]*\n(.*?)\n```[ \t]*$", re.DOTALL | re.MULTILINE)
_QUOTED = re.compile(r"\"\"\"\n?(.*?)\n?\"\"\"", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}")
_SPEAKS_OF_PROMPT = re.compile(r"instruction|prompt|template", re.I)
_OLD = re.compile(r"current|existing|original|basic|seed|parent|curr|base", re.I)
_ASIDE = re.compile(r"previous|tried|rejected|history|tip|proposed|new_|output|source_code|program", re.I)


@dataclass(slots=True)
class Case:
    """One example in a request, as far as it is shown."""

    input: str = ""
    output: str = ""
    expected: str = ""
    feedback: str = ""

    def filled(self, role: str) -> bool:
        """Whether this part is there."""
        return bool(getattr(self, role))


@dataclass(frozen=True)
class Evidence:
    """What a request shows."""

    prompt: str = ""
    """The text that it is about; empty if none was found."""
    cases: tuple[Case, ...] = ()
    sections: tuple[Section, ...] = field(default=(), repr=False)

    def first(self, role: str) -> str:
        """The first section of a role."""
        return next((s.body for s in self.sections if s.role == role and s.body), "")


def read_evidence(text: str) -> Evidence:
    """Read a request's text."""
    prompt, rest = _find_prompt(text)
    cases = list(_json_cases(rest))
    parts = tuple(sections(rest))
    if not cases:
        cases = _cases(parts)
    for case in cases:
        _complete(case)
    return Evidence(prompt, tuple(c for c in cases if c.output or c.expected), parts)


def _cases(parts: tuple[Section, ...]) -> list[Case]:
    cases: list[Case] = []
    case = Case()
    for part in parts:
        if part.role == "boundary":
            cases.append(case)
            case = Case(feedback=part.body)
        elif part.role in ("input", "output", "expected", "feedback"):
            if case.filled(part.role) and part.role != "feedback":
                if part.role == "input" and not (case.output or case.expected):
                    case.input += "\n" + part.body
                    continue
                cases.append(case)
                case = Case()
            body = part.body.split("\n```\n\n", 1)[0] if part.role == "feedback" else part.body
            setattr(case, part.role, f"{getattr(case, part.role)}\n{body}".strip())
    return [*cases, case]


def _complete(case: Case) -> None:
    """Take from the feedback what is not shown elsewhere."""
    if not case.expected and case.feedback:
        case.expected = _said_after(_EXPECTED_IN_TEXT, case.feedback)
    if case.expected and not case.output and case.feedback:
        case.output = _said_after(_GOT_IN_TEXT, case.feedback)


def _said_after(pattern: re.Pattern[str], text: str) -> str:
    """The value behind an "expected ..." or "got ...": quoted, a JSON object, or the next word."""
    for match in pattern.finditer(text):
        rest = text[match.end() :].strip()
        if rest[:1] == "{" and (value := _json_prefix(rest)):
            return value
        if closing := _CLOSING_QUOTE.get(rest[:1]):
            end = rest.find(closing, 1)
            if end > 1:
                return rest[1:end].strip()
        elif word := re.match(r"[\w.,-]{1,60}(?=[\s.,;)]|$)", rest):
            return word[0].rstrip(".,;")
    return ""


def _json_prefix(text: str) -> str:
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return ""
    return text[:end]


def _json_cases(text: str) -> Iterator[Case]:
    decoder = json.JSONDecoder()
    position = 0
    while match := re.compile(r"[\[{]\s*[{\"]").search(text, position):
        try:
            value, end = decoder.raw_decode(text, match.start())
        except ValueError:
            position = match.start() + 1
            continue
        position = end
        yield from _walk(value)


def _walk(value: Any) -> Iterator[Case]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item)
    elif isinstance(value, Mapping):
        case = Case()
        for key, item in value.items():
            role = role_of(str(key))
            if role in ("input", "output", "expected", "feedback") and not isinstance(
                item, (list, type(None))
            ):
                setattr(case, role, f"{getattr(case, role)}\n{_flat(item)}".strip())
        if (case.output or case.expected) and (
            case.input or case.feedback or (case.output and case.expected)
        ):
            yield case
        else:
            for item in value.values():
                if isinstance(item, (list, Mapping)):
                    yield from _walk(item)


def _flat(value: Any) -> str:
    """A JSON value as text: the single value of a mapping stands for itself."""
    if isinstance(value, Mapping) and len(value) == 1:
        return _flat(next(iter(value.values())))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _find_prompt(text: str) -> tuple[str, str]:
    """The text that the request is about, and the request without it."""
    best, best_score, best_span = "", 0.0, (0, 0)
    for body, name, span in _candidates(text):
        score = _prompt_score(body, name)
        if score > best_score:
            best, best_score, best_span = body, score, span
    if not best:
        return "", text
    start, end = best_span
    return best, text[:start] + "\n" + text[end:]


def _candidates(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    for pattern in (_FENCED, _QUOTED):
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 160) : match.start()].strip().rsplit("\n", 1)[-1]
            yield match[1], before, match.span()
    for match in _TAG.finditer(text):
        yield match[2].strip("\n"), match[1], match.span()
    heads = [*re.finditer(r"^(?:\[\[ ## (\w+) ## \]\]|#{1,6} ([^\n]{2,60}))[ \t]*$", text, re.MULTILINE)]
    for head, following in zip(heads, [*heads[1:], None], strict=False):
        end = following.start() if following else len(text)
        body = text[head.end() : end]
        if not following:
            body = re.split(r"\n\s*Respond with ", body)[0]
        kept = body.strip("\n")
        yield kept, head[1] or head[2], (head.end(), head.end() + len(body))
    for match in re.finditer(r'"(\w*(?:prompt|instruction|template)\w*)"\s*:\s*("(?:[^"\\]|\\.)*")', text):
        try:
            yield str(json.loads(match[2], strict=False)), match[1], match.span()
        except ValueError:
            continue
    for match in re.finditer(
        r"^[ \t]*([^\n:]{0,40}(?:prompt|instructions?|template)[^\n:]{0,20}):[ \t]*\n?(.+?)(?=\n[ "
        r"\t]*\n[A-Z][^\n]{0,60}:|\Z)",
        text, re.IGNORECASE | re.DOTALL | re.MULTILINE,
    ):  # fmt: skip
        yield match[2].strip("\n"), match[1], match.span()


def _prompt_score(body: str, name: str) -> float:
    content = body.strip()
    if len(content) < 8 or re.fullmatch(r"\{\w+\}", content):
        return 0.0
    score = 3.0 * bool(_PLACEHOLDER.search(content)) + 3.0 * bool(_SPEAKS_OF_PROMPT.search(name))
    score += 1.5 * bool(_OLD.search(name)) - 3.5 * bool(_ASIDE.search(name) and not _OLD.search(name))
    if re.search(r"(?im)^(?:#+\s*|\W{0,4})(?:feedback|expected|generated outputs?|got)\b", content):
        score -= 3.0
    return score + (0.3 if len(content) > 60 else 0.0)
