"""A fallible prompt engineer, who reads any optimizer's request and answers in the layout it asks for.

It recognises rows by their numbers, compares what it sees near them with what is right, and words a rule when
it has seen enough of it. It sometimes learns nothing, writes advice that does harm, copies a row, drops a
sentence or loses a placeholder. From rows with right answers alone it learns less; from neither, nothing but
commonplaces.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.worlds._base import Messages, Rule, World, states

COMMON = (
    "Pay attention to detail.",
    "You are an experienced professional.",
    "Think about what the reader needs.",
    "Quality matters more than speed.",
    "Consider the context with care.",
    "Make sure that the result is accurate and consistent.",
)
_NEAR = 2500
"""Characters after a row's number that are read as being about it."""
_FIELD = re.compile(r"^\[\[ ## (\w+) ## \]\]\s*\n(.*?)(?=^\[\[ ## \w+ ## \]\]|\Z)", re.M | re.S)
_FENCE = re.compile(r"```[\w ]*\n(.*?)\n?```", re.S)
_TAG = re.compile(r"<([a-zA-Z_]\w*)>\n?(.*?)</\1>", re.S)
_HEAD = re.compile(r"^#+ ([^\n]{1,60})\n(.*?)(?=^#+ |\Z)", re.M | re.S)
_PROMPTS = re.compile(r"instruction|prompt(?!_)|template|advice|rule", re.I)
_ABOUT_PROMPT = re.compile(r"instruct|prompt|current|template|param", re.I)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked."""

    text: str
    current: str
    """The prompt to improve; empty where none is asked for (a summary, say)."""
    fields: tuple[tuple[str, str], ...]
    """Names and types of the fields to answer, if the request names some."""
    layout: str
    """"markers", "json", "names" (a JSON object of prompts by name) or "fence"."""


def edit(world: World, messages: Messages, seed: object) -> str:
    """The editor's answer."""
    rng = random.Random(f"{world.name} {seed} {[(m['role'], m['content']) for m in messages]}")
    request = _understand(world, messages)
    weights = _evidence(world, request)
    learnt = _learn(world, request, weights, rng)
    if weights:
        request = replace(request, current=_mended(world, request.current, rng))
    if request.layout in ("markers", "json"):
        values = {name: _value(world, request, name, kind, learnt, rng) for name, kind in request.fields}
        if request.layout == "json":
            return json.dumps(values)
        parts = [f"[[ ## {n} ## ]]\n{v if isinstance(v, str) else json.dumps(v)}" for n, v in values.items()]
        return "\n\n".join([*parts, "[[ ## completed ## ]]"])
    text = _rewrite(world, request.current, learnt, rng)
    if request.layout == "names":
        return json.dumps({name: text for name, _ in request.fields})
    return f"```\n{text}\n```"


# --- reading ------------------------------------------------------------------------------------------------


def _understand(world: World, messages: Messages) -> Request:
    text = "\n\n".join(m["content"] for m in messages)
    fields: tuple[tuple[str, str], ...] = ()
    layout = "fence"
    if "Your output fields are:" in text:
        wanted = text.split("Your output fields are:", 1)[1].split("All interactions will be structured", 1)[
            0
        ]
        fields = tuple(re.findall(r"^\s*\d+\. `(\w+)` \(([^)]*)\)", wanted, re.M))
        layout = "json" if "JSON object with the following fields" in text else "markers"
    elif re.search(r"valid JSON object using the EXACT prompt names", re.sub(r"\s+", " ", text)):
        fields = tuple(
            (name, "str") for name in re.findall(r'^\s*"([\w.-]+)":\s*"improved prompt', text, re.M)
        )
        layout = "names"
    writes = layout in ("fence", "names") or any(_PROMPTS.search(name) for name, _ in fields)
    current = _current(world, messages, text) if writes else ""
    return Request(text=text, current=current, fields=fields, layout=layout)


def _current(world: World, messages: Messages, text: str) -> str:
    """The block that reads most like the prompt that is asked about."""
    users = "\n\n".join(m["content"] for m in messages if m["role"] == "user")
    found: list[tuple[float, int, str]] = []
    named = [*_FIELD.findall(users), *_TAG.findall(users), *_HEAD.findall(users)]
    named += re.findall(r"(Template): (.*?)(?=\n\n[A-Z]{4,} [A-Z]{4,}|\nPrompt name|\Z)", users, re.S)
    for title, body in [*named, *(("", body) for body in _FENCE.findall(users))]:
        block = body.strip()
        inner = _FENCE.fullmatch(block)
        block = inner[1].strip() if inner else block
        if not block or not re.search(world.topic, block, re.I) or len(block) > 8000:
            continue
        rank = 2.0 * bool(_ABOUT_PROMPT.search(title)) - 1.0 * len(re.findall(world.ref, block))
        rank += 2.0 * (_opening(world) in block) + 0.5 * ("{{" in block)
        found.append((rank, -len(block), block))
    best = max(found, default=None)
    return best[2] if best and best[0] > -2 else world.task()


def _opening(world: World) -> str:
    return " ".join(world.task().split()[:5])


def _evidence(world: World, request: Request) -> Mapping[str, float]:
    """How much speaks for each rule."""
    weights: dict[str, float] = defaultdict(float)
    rest = request.text.replace(request.current, " ") if request.current else request.text
    marks = list(re.finditer(world.ref, rest))
    seen: dict[int, str] = {}
    for mark, after in zip(marks, [*marks[1:], None], strict=False):
        piece = rest[mark.start() : min(mark.start() + _NEAR, after.start() if after else len(rest))]
        seen[int(mark[1])] = seen.get(int(mark[1]), "") + piece
    everywhere = {rule.name for rule in world.rules if rule.everywhere}
    for ref, piece in seen.items():
        row = world.row(ref)
        about = piece
        for value in row.inputs.values():
            about = about.replace(value, " ").replace(json.dumps(value)[1:-1], " ")
        right = row.truth in about or json.dumps(row.truth)[1:-1] in about
        broken = world.broken(row, about)
        for name in broken:
            weights[name] += 1.0 if right else 0.6
        if right and not broken:
            for name in row.traits | everywhere:
                weights[name] += 0.2
    for mark in reversed(marks):  # what is said about no row: hints, summaries
        rest = rest[: mark.start()] + rest[mark.start() + 200 :]
    for name in world.stated(rest):
        weights[name] += 0.5 if request.current else 2.0  # who sums up repeats what is there
    return weights


# --- learning ----------------------------------------------------------------------------------------------


def _learn(world: World, request: Request, weights: Mapping[str, float], rng: random.Random) -> list[str]:
    """Sentences to add."""
    stated = world.stated(request.current)
    learnt: list[str] = []
    for rule in sorted(world.rules, key=lambda rule: (-weights.get(rule.name, 0.0), rule.name)):
        weight = weights.get(rule.name, 0.0)
        if weight <= 0 or len(learnt) >= 3:
            break
        if rule.name in stated and rng.random() > 0.1:
            continue
        if rng.random() < 0.9 * weight / (weight + (0.5 if rule.everywhere else 0.9)):
            learnt.append(_worded(rule, rng))
    if not weights and rng.random() < 0.35:
        learnt.append(rng.choice(world.rules[0].words))  # the first thing anybody would advise
    if not learnt or rng.random() < 0.2:
        learnt.append(rng.choice(COMMON))
    if world.traps and rng.random() < (0.12 if weights else 0.3):
        learnt.append(rng.choice(world.traps).words)
    return learnt


def _worded(rule: Rule, rng: random.Random) -> str:
    words = rng.choice(rule.words)
    if rng.random() < 0.12:  # understood half: the sentence ends before what matters
        words = " ".join(words.split()[: max(3, len(words.split()) // 3)]).rstrip(",:;") + " needs care."
    return words


# --- writing -----------------------------------------------------------------------------------------------


def _rewrite(world: World, current: str, learnt: Sequence[str], rng: random.Random) -> str:
    chat = _chat(current)
    if chat is not None:  # a chat prompt as JSON: one turn is rewritten
        first = chat[0]["role"] == "system" and rng.random() < 0.7
        turn = chat[0] if first else chat[-1]
        turn["content"] = _rewrite(world, turn["content"], learnt, rng)
        return json.dumps(chat)
    head, frame = _parts(current)
    sentences = [s for s in re.split(r"(?<=[.!?:])[ ]+|\n+", head) if s.strip()]
    if len(sentences) > 3 and rng.random() < 0.06:
        sentences.pop(rng.randrange(1, len(sentences)))
        head = " ".join(sentences)
    added = "\n".join(f"- {s}" for s in learnt) if rng.random() < 0.4 else " ".join(learnt)
    text = f"{head}\n{added}" if added.startswith("- ") else f"{head} {added}"
    if rng.random() < 0.06:
        row = world.rows(1, seed=rng.randrange(10**6))[0]
        text += f" For example: {next(iter(row.inputs.values()))} -> {row.truth}"
    if frame and rng.random() < 0.05:
        frame = re.sub(r"\{\{\s*\w+\s*\}\}", "(see above)", frame)
    return f"{text}\n\n{frame}" if frame else text


def _mended(world: World, current: str, rng: random.Random) -> str:
    """The prompt without some of the sentences that do harm: failures give them away now and then."""
    for sentence in re.split(r"(?<=[.!?])[ ]+|\n+", current):
        harmful = any(states(trap.said, sentence) for trap in world.traps) and "{{" not in sentence
        if harmful and not world.stated(sentence) and rng.random() < 0.3:
            current = current.replace(sentence, "").replace("  ", " ")
    return current.strip()


def _chat(current: str) -> list[dict[str, str]] | None:
    try:
        found = json.loads(current)
    except ValueError:
        return None
    good = isinstance(found, list) and found and all(isinstance(m, dict) and "content" in m for m in found)
    return found if good else None


def _parts(current: str) -> tuple[str, str]:
    """The instructions, and the part with the placeholders."""
    found = re.search(r"\{\{\s*\w+\s*\}\}", current)
    if found is None:
        return current.rstrip(), ""
    cut = current.rfind("\n\n", 0, found.start())
    if cut < 0:
        cut = current.rfind("\n", 0, found.start())
    return (current[:cut].rstrip(), current[cut:].strip()) if cut > 0 else ("", current)


def _value(
    world: World, request: Request, name: str, kind: str, learnt: Sequence[str], rng: random.Random
) -> object:
    if kind.startswith("dict"):
        names = re.findall(
            r"\[\[ ## module_names ## \]\]\s*\n(.*?)\n\s*(?:\n|\[\[)", request.text + "\n\n", re.S
        )
        found = re.findall(r"[\"']([\w.]+)[\"']", names[-1]) if names else []
        return {module: " ".join(learnt) for module in found or ["predict"]}
    if kind.startswith("list"):
        return [_rewrite(world, request.current, learnt, rng)]
    if kind.startswith(("int", "float")):
        return 1
    if kind.startswith("bool"):
        return True
    if re.search(r"advice|rule", name):
        return " ".join(learnt)
    if _PROMPTS.search(name) and "prefix" not in name:
        return _rewrite(world, request.current, learnt, rng)
    return f"The task is about this: {world.task()} What I see: {' '.join(learnt)}"
