"""What a request shows: the sections it consists of, the cases among them, and the prompt it is about.

Optimizers and judges of any make write inputs, outputs, expected answers and feedback under headings of their
own. A heading is recognised by what it names; Markdown, DSPy markers, XML tags, JSON objects and plain
``Name: value`` lines are all read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_ROLES = (
    ("expected", r"expect|reference|\bgold|ground ?truth|correct (?:answer|output|label|response|value)|"
                 r"desired|target"
                 r"|should (?:be|have)|wanted|right answer|\bideal|oracle|production(?:'s)? (?:answer|"
                 r"output)|\btruth\b|\bclaim"),
    ("prompt", r"instruction|prompt|template|system message"),
    ("guidelines", r"guideline|criteri|rubric|requirement"),
    ("feedback", r"feedback|critique|assessment|rationale|diagnos|what went wrong|complaint"),
    ("output", r"output|response|answer|\bgot\b|\bactual|predict|produced|generated|completion|\breply|"
               r"model said|candidate"
               r"|submission|observed|\bsaid\b"),
    ("input", r"input|question|ticket|e-?mail|\btext\b|message|query|document|problem|context|\brow\b|"
              r"conversation|request"),
    ("boundary", r"^(?:example|case|failure|item|sample|record|cluster|group)s?\b"),
)  # fmt: skip
_COMPILED = tuple((role, re.compile(pattern)) for role, pattern in _ROLES)
_MARKDOWN = re.compile(r"^#{1,6}\s+(.{1,60}?)\s*:?\s*$")
_MARKER = re.compile(r"^\[\[ ## (/?\w+) ## \]\]\s*$")
_BOLD = re.compile(r"^\s*(?:[-*•]\s+)?\*\*([^*\n]{2,40}?):?\*\*:?\s*(.*)$")
_WEAK = re.compile(
    r"^\s*(?:[-*•>]\s*|\d+[.)]\s*)?([A-Za-z][A-Za-z _'’()-]{1,34}?)\s*(?:#?\d+)?\s*(?::|=>)\s*(.*)$"
)
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
_IMPERATIVE = re.compile(
    r"(?:answer|reply|respond|output|return)\s+(?:with|in|using|as|only|just|yes|exactly)\b", re.I
)
_TRAILER = re.compile(
    r"\n\s*\n(?=(?:Return|Respond|Reply|Answer|Provide|Write|Now|Please|Give|Put|Propose|Your (?:task|job|"
    r"turn)|Is|Are|Does|Do|"
    r"Say|Judge|Compare|Decide|Improve|Revise|Rewrite|Based on|Using|Output|Think|Consider|Score|Rate|"
    r"Grade)\b)"
)  # fmt: skip
_FENCED = re.compile(r"^```[^\n`]*\n(.*?)\n```[ \t]*$", re.DOTALL | re.MULTILINE)
_QUOTED = re.compile(r"\"\"\"\n?(.*?)\n?\"\"\"", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}")
_SPEAKS_OF_PROMPT = re.compile(r"instruction|prompt|template", re.I)
_OLD = re.compile(r"current|existing|original|basic|seed|parent|curr|base", re.I)
_ASIDE = re.compile(r"previous|tried|rejected|history|tip|proposed|new_|output|source_code|program", re.I)


def role_of(name: str) -> str | None:
    """What a heading names: one of the roles above, None for anything else."""
    lowered = name.lower().replace("_", " ").strip()
    return next((role for role, pattern in _COMPILED if pattern.search(lowered)), None)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    role: str | None
    name: str
    body: str


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


def sections(text: str) -> list[Section]:
    """The headed sections of a text; ``Name: value`` lines count only where nothing stronger is there."""
    text = _TAG.sub(
        lambda m: f"\n[[ ## {m[1]} ## ]]\n{m[2]}\n[[ ## /{m[1]} ## ]]\n" if role_of(m[1]) else m[0], text
    )
    lines = text.split("\n")
    strong = [_strong(line) for line in lines]
    telling = {role_of(found[0]) for found in strong if found} & {
        "output",
        "expected",
        "feedback",
        "guidelines",
    }
    result: list[Section] = []
    role: str | None = None
    name, body, level = "", list[str](), 0

    def close() -> None:
        content = "\n".join(body).strip()
        if content or role == "boundary":
            result.append(Section(role, name, content))

    for line, heading in zip(lines, strong, strict=True):
        found = heading
        if found is None and not telling:
            found = _weak(line, role, body)
        if found is None:
            body.append(line)
            continue
        depth = len(line) - len(line.lstrip("#"))
        new = role_of(found[0])
        if new is None and role in ("input", "output") and depth > level > 0:
            continue  # a sub-heading inside inputs or outputs names a variable
        close()
        role, name, body, level = new, found[0], [found[1]], depth
    close()
    if result:  # what follows the last section is the request itself
        last = result[-1]
        result[-1] = Section(last.role, last.name, _TRAILER.split(last.body, maxsplit=1)[0].strip())
    return result


def _weak(line: str, role: str | None, body: list[str]) -> tuple[str, str] | None:
    """The heading in a plain ``Name: value`` line, if it opens a section."""
    match = _WEAK.match(line)
    new = role_of(match[1]) if match else None
    if match is None or new is None or new == role or _IMPERATIVE.match(match[1]):
        return None
    if (
        role == "expected"
        and match[1].lower() in ("answer", "result")
        and any("=" in earlier for earlier in body)
    ):
        return None  # the last line of a worked solution
    return match[1], match[2]


def _strong(line: str) -> tuple[str, str] | None:
    if match := _MARKDOWN.match(line) or _MARKER.match(line):
        return ("end" if match[1].startswith("/") else match[1]), ""
    match = _BOLD.match(line)
    return (match[1], match[2]) if match and role_of(match[1]) else None


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
    if not case.output and case.feedback:
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
