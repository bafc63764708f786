"""The simulated reflection model: a fallible editor of prompts that reads any optimizer's request.

It knows nothing of the worlds. It finds the text under revision and the cases in the request, concludes what
they suggest, and writes a revised text in the form that was asked for. Sometimes it adds something useless or
harmful, sometimes it loses a placeholder; without evidence it can only paraphrase.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptmigrate.simulate import _wording as words
from promptmigrate.simulate._chance import digest, pick, unit
from promptmigrate.simulate._edits import conclude
from promptmigrate.simulate._evidence import Evidence, read_evidence
from promptmigrate.simulate._forms import detect, fill
from promptmigrate.simulate._reading import Turn
from promptmigrate.simulate._value_edits import Edit

USELESS, HARMFUL, LOSES_PLACEHOLDER, FORGETS_EDIT = 0.10, 0.07, 0.04, 0.15
"""How often a revision gets a useless or harmful sentence, loses a placeholder, leaves out its best edit."""

_PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}")
_ROLE_MARK = re.compile(r"^\W*(?:system|user|assistant|developer)\W*$", re.IGNORECASE)
_ANALYSIS = re.compile(
    r"reason|analys|diagnos|thought|rationale|critique|observ|explanation|why|note|comment"
)
_ADVICE = re.compile(r"advice|rule|lesson|suggest|feedback|hint|\btip|edit|insight|change")
_SUMMARY = re.compile(r"summary|descri|title|name")
_ALONE = re.compile(
    r"\b(?:only|just|nothing but)\b[^.\n]*\b(?:number|answer|result)\b|\bno explanation", re.I
)
_TALKATIVE = re.compile(r"\b(?:explain|justify|elaborate|thorough|friendly)\b", re.I)


def edit(model: str, turns: Sequence[Turn], params: Mapping[str, Any], call: bytes) -> str:
    """The editor's answer to a request."""
    last = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=-1)
    if last < 0:
        return "What would you like me to improve?"
    system = "\n\n".join(turn.text for turn in turns if turn.role == "system")
    text = turns[last].text
    evidence = read_evidence(text)
    if not evidence.prompt and system:
        evidence = read_evidence(system + "\n\n" + text)
    # The text under revision may ask for a form of its own, which is not the form of this answer.
    frame = tuple(
        Turn(t.role, t.text.replace(evidence.prompt, "") if evidence.prompt else t.text) for t in turns
    )
    return fill(detect(frame, params), _Editor(evidence, text, digest(model, call.hex())))


class _Editor:
    """Fills in what a request asks an editor for."""

    def __init__(self, evidence: Evidence, request: str, seed: bytes) -> None:
        self._evidence = evidence
        self._request = request
        self._seed = seed

    def text(self, name: str, index: int) -> str:
        lowered = name.lower()
        seed = digest(self._seed.hex(), str(index))
        edits = conclude(self._evidence.prompt, self._evidence.cases, seed)
        if re.search(r"prompt|instruction|template|revis|improv|rewrit", lowered) and not _ANALYSIS.search(
            lowered
        ):
            return self._revised(edits, seed)
        if _ANALYSIS.search(lowered):
            return _analysis(edits, len(self._evidence.cases))
        if _ADVICE.search(lowered):
            return "\n".join(e.text for e in _chosen(edits, seed)) or "No change seems necessary."
        if _SUMMARY.search(lowered):
            return "The task turns one input text into one short answer of a fixed form."
        if "prefix" in lowered:
            return "Answer:"
        return self._revised(edits, seed)

    def truth(self, name: str) -> bool:
        return bool(self._evidence.cases) or unit(self._seed, name) < 0.5

    def number(self, name: str, low: float, high: float) -> float:
        return low + (high - low) * round(unit(self._seed, name), 2)

    def choice(self, name: str, options: Sequence[Any], index: int) -> Any:  # noqa: ARG002 - part of the protocol
        return pick(self._seed, name, options)

    def count(self, name: str) -> int:  # noqa: ARG002 - part of the protocol
        match = re.search(r"\b(two|three|four|five|six|[2-8])\b (?:\w+ ){0,3}(?:proposals|variants|"
                          r"candidates|versions|prompts|"
                          r"instructions|alternatives|rewrites|edits|lessons|rules)", self._request,
                          re.I)  # fmt: skip
        names = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
        return (names.get(match[1].lower()) or int(match[1])) if match else 3

    def keys(self, name: str) -> Sequence[str]:  # noqa: ARG002 - part of the protocol
        match = re.search(r"module_names[^\[\n]*(?:\n+)?\s*(\[[^\]]*\])", self._request)
        found = re.findall(r"[\"']([\w.]+)[\"']", match[1]) if match else []
        return found or ["advice"]

    def _revised(self, edits: Sequence[Edit], seed: bytes) -> str:
        prompt = self._evidence.prompt.strip("\n")
        if not prompt:
            rules = "\n".join(e.text for e in _chosen(edits, seed))
            return rules or "Please show me the text that I am to improve, and where it fails."
        chosen = _chosen(edits, seed)
        additions = [e.text for e in chosen]
        if additions or self._evidence.cases:
            if unit(seed, "useless") < USELESS:
                additions.append(pick(seed, "useless words", words.USELESS))
            if unit(seed, "harmful") < HARMFUL:
                additions.append(pick(seed, "harmful words", words.HARMFUL))
        text = _without_contradictions(prompt, {e.name for e in chosen}, seed)
        inside = unit(seed, "where") < 0.25
        if additions:
            text = _over_messages(text, inside, lambda part: _insert(part, additions, inside, seed))
        else:
            text = _over_messages(text, inside, lambda part: _paraphrase(part, seed))
        if unit(seed, "lost") < LOSES_PLACEHOLDER and (found := _PLACEHOLDER.findall(text)):
            text = text.replace(pick(seed, "which", found), "the input")
        return text


def _chosen(edits: Sequence[Edit], seed: bytes) -> list[Edit]:
    """One to three edits, drawn by weight (so the strongest is likely, not certain, to be among them)."""
    count = 1 + int(3 * unit(seed, "count"))
    kept = [
        e for i, e in enumerate(edits) if i > 0 or len(edits) == 1 or unit(seed, "forgets") >= FORGETS_EDIT
    ]
    # Efraimidis and Spirakis (2006): the largest u ** (1 / weight) are a weighted sample without replacement.
    ranked = sorted(
        kept, key=lambda e: (-(unit(seed, "draw " + e.name) ** (1.0 / max(e.weight, 0.05))), e.name)
    )
    return ranked[:count]


def _analysis(edits: Sequence[Edit], cases: int) -> str:
    if not edits:
        return "The examples show no clear pattern of failure."
    about = ", ".join(e.name for e in edits[:3])
    return (
        f"I looked at {cases} examples. The failures concern: {about}. The revision addresses these points."
    )


def _without_contradictions(prompt: str, chosen: set[str], seed: bytes) -> str:
    for trigger, pattern in (("steps", _ALONE), ("bare", _TALKATIVE)):
        if trigger in chosen and pattern.search(prompt) and unit(seed, "tidy " + trigger) < 0.7:
            pieces = re.split(r"(?<=[.!?])(\s+)", prompt)
            kept = [
                piece
                for piece in pieces
                if not piece.strip() or _PLACEHOLDER.search(piece) or not pattern.search(piece)
            ]
            prompt = "".join(kept).strip()
    return prompt


def _over_messages(prompt: str, inside: bool, change: Callable[[str], str]) -> str:
    """Apply a change to a prompt's text; of a JSON list of messages, to the content of one of them."""
    try:
        messages = json.loads(prompt)
    except ValueError:
        return change(prompt)
    if not (
        isinstance(messages, list)
        and messages
        and all(isinstance(m, dict) and "content" in m for m in messages)
    ):
        return change(prompt)
    at = next(
        (i for i, m in enumerate(messages) if m.get("role") == ("user" if inside else "system")),
        len(messages) - 1,
    )
    messages[at]["content"] = change(str(messages[at]["content"]))
    return json.dumps(messages, ensure_ascii=False)


def _insert(prompt: str, additions: Sequence[str], inside: bool, seed: bytes) -> str:
    """Put sentences before the paragraph with the first placeholder, or at the end where there is none."""
    if unit(seed, "style") < 0.5 or any("\n" in a for a in additions):
        block = "\n\n".join(additions) if len(additions) < 3 else "\n".join(additions)
    else:
        block = "\n".join([pick(seed, "lead", words.LIST_LEAD), *(f"- {a}" for a in additions)])
    match = _PLACEHOLDER.search(prompt)
    if not match:
        return f"{prompt}\n\n{block}"
    start = prompt.rfind("\n\n", 0, match.start()) + 2 if "\n\n" in prompt[: match.start()] else 0
    head = prompt[start : match.start()]
    first_line = head.split("\n", 1)[0]
    if "\n" in head and _ROLE_MARK.match(first_line):
        if inside or start == 0:
            start += len(first_line) + 1
    elif start == 0 and len(head) > 60:  # instructions and input in one paragraph
        start = match.start()
    return f"{prompt[:start].rstrip()}\n\n{block}\n\n{prompt[start:]}".lstrip("\n")


def _paraphrase(prompt: str, seed: bytes) -> str:
    text = prompt
    for old, new in words.SWAPS:
        if unit(seed, "swap " + old) < 0.5:
            text = text.replace(old, new, 1)
    if unit(seed, "opening") < 0.4 and not text.lstrip().startswith(("[", "{", "<", "#")):
        text = pick(seed, "opening words", words.OPENINGS) + text
    return text
