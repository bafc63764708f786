"""Toy worlds: deterministic target models whose answers depend on the prompt, and an editor of many manners.

They know nothing of the search but the messages it sends; the search knows nothing of them.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from promptmigrate.errors import BudgetExceeded
from promptmigrate.search import Problem
from promptmigrate.types import Example, Outcome, Prompt, Reply, Request, Variant
from scorers import Score


def chance(*parts: object) -> float:
    """In [0, 1), from its arguments alone."""
    raw = "|".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(raw).digest()[:6], "big") / 2**48


class Table:
    """What ``Problem.evaluate`` gives."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], Outcome] = {}

    def outcome(self, variant: Variant, example: Example, repeat: int = 0) -> Outcome | None:
        return self.cells.get((variant.digest, example.id)) if repeat == 0 else None

    def quality(self, variant: Variant, example: Example) -> float | None:
        outcome = self.outcome(variant, example)
        if outcome is None or not outcome.scores:
            return None
        return outcome.scores[0].value


@dataclass
class World:
    """A task, a target model and an editor; counts what it is asked."""

    prompt: Prompt
    rows: list[Example]
    answer: Callable[[Sequence[dict[str, str]], Example], str]
    score: Callable[[Example, str], Score]
    editor: Callable[[str, int], str | None] = lambda text, turn: None
    calls_per_row: int = 1
    broken: float = 0.0
    """Share of task calls that fail with an infrastructure error."""
    shuffle: int = 0
    """Seed of the order in which rows are worked on: must not matter."""
    limit: int | None = None
    """Requests after which BudgetExceeded is raised."""
    asked: Counter[str] = field(default_factory=Counter)
    requests: list[str] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        n = len(self.rows)
        self.train = tuple(self.rows[: n * 3 // 10])
        self.validation = tuple(self.rows[n * 3 // 10 : n * 6 // 10])
        self.test = tuple(self.rows[n * 6 // 10 :])

    def problem(self, calls: int, **changes: Any) -> Problem:
        original = Variant(prompt=self.prompt, model="toy/small", params=self.params, origin="original")
        problem = Problem(
            original=original,
            train=self.train,
            validation=self.validation,
            evaluate=self.evaluate,
            reflect=self.reflect,
            reflection_model="toy/editor",
            calls_per_row=self.calls_per_row,
            calls=calls,
        )
        return replace(problem, **changes)

    def evaluate(self, variants: Sequence[Variant], examples: Sequence[Example]) -> Table:
        table = Table()
        jobs = [(v, e) for v in variants for e in examples]
        if self.shuffle:
            random.Random(self.shuffle).shuffle(jobs)
        for variant, example in jobs:
            self._count("task", self.calls_per_row)
            table.cells[variant.digest, example.id] = self._outcome(variant, example)
        return table

    def reflect(self, request: Request) -> Reply:
        text = "\n".join(m["content"] for m in request.messages)
        with self._lock:
            self.requests.append(text)
        self._count("reflection", 1)
        # The manner depends on the request alone, so threads may come in any order.
        written = self.editor(text, int(chance("manner", text) * 1000))
        if written is None:
            return Reply(kind="provider_error", error="the editor is down")
        return Reply(kind="ok", text=written, input_tokens=len(text) // 4, output_tokens=len(written) // 4)

    def true_quality(self, variant: Variant) -> float:
        values = []
        for example in self.test:
            outcome = self._outcome(variant, example, sure=True)
            values.append(outcome.scores[0].value or 0.0)
        return sum(values) / len(values)

    @property
    def calls(self) -> int:
        return sum(self.asked.values())

    def _count(self, kind: str, number: int) -> None:
        with self._lock:
            if self.limit is not None and self.calls + number > self.limit:
                raise BudgetExceeded(f"{self.limit} calls are spent")
            self.asked[kind] += number

    def _outcome(self, variant: Variant, example: Example, *, sure: bool = False) -> Outcome:
        if not sure and chance("down", variant.digest, example.id) < self.broken:
            reply = Reply(kind="timeout", error="no answer in 60 s: DOWNSTREAM-OUTAGE")
            return Outcome(variant=variant.digest, example=example.id, repeat=0, reply=reply)
        messages = [dict(m) for m in variant.prompt.render(example.inputs)]
        text = self.answer(messages, example)
        size = sum(len(m["content"]) for m in messages) // 4
        reply = Reply(
            kind="ok",
            text=text,
            input_tokens=size,
            output_tokens=len(text) // 4 + 1,
            cost_usd=(size + 4 * len(text) // 4) * 1e-6,
            latency_s=0.2 + len(text) / 500,
        )
        score = self.score(example, text)
        return Outcome(variant=variant.digest, example=example.id, repeat=0, reply=reply, scores=(score,))


def example(inputs: dict[str, Any], *, reference: str | None = None, **expectations: Any) -> Example:
    return Example(
        id=Example.content_id(inputs), inputs=inputs, reference=reference, expectations=expectations
    )


# --- labels ---------------------------------------------------------------------------------------------

TOPICS = {
    "billing": ["invoice", "charged", "payment", "receipt"],
    "bug": ["crash", "error", "freezes", "broken"],
    "account": ["password", "login", "username", "locked"],
    "shipping": ["parcel", "courier", "delivery", "tracking"],
}
LORE = {
    "voucher": "billing", "kiosk": "shipping", "badge": "account", "relay": "bug", "ledger": "account",
    "stamp": "billing", "crane": "shipping", "turnstile": "account", "gasket": "bug", "coupon": "billing",
    "pallet": "shipping", "visor": "bug", "alias": "account", "tariff": "billing",
}  # fmt: skip
"""What only this company knows: words whose label the small model misses unless a rule or demo tells it."""
_FILLER = [
    "please",
    "help",
    "me",
    "with",
    "this",
    "as",
    "soon",
    "as",
    "you",
    "can",
    "since",
    "it",
    "is",
    "urgent",
    "for",
    "our",
    "team",
    "in",
    "the",
    "north",
    "office",
]


def ticket_rows(count: int, *, seed: int = 1, lore: float = 0.45, words: int = 5) -> list[Example]:
    rows = []
    for i in range(count):
        label = sorted(TOPICS)[int(chance(seed, "label", i) * 4)]
        if chance(seed, "lore", i) < lore:
            word = list(LORE)[int(chance(seed, "which", i) * words)]
            label = LORE[word]
        else:
            word = TOPICS[label][int(chance(seed, "word", i) * 4)]
        start = int(chance(seed, "fill", i) * (len(_FILLER) - 9))
        filler = " ".join(_FILLER[start : start + 9])
        text = f"Ticket {i}: my {word} case, {filler} number {int(chance(seed, i) * 9999)}"
        rows.append(example({"ticket": text}, reference=label))
    return rows


def ticket_answer(
    *, deaf: bool = False, noise: float = 0.04, calm: float = 1.0
) -> Callable[[Sequence[dict[str, str]], Example], str]:
    def answer(messages: Sequence[dict[str, str]], row: Example) -> str:
        heard = [m for m in messages if not (deaf and m["role"] == "system")]
        prompt = "\n".join(m["content"] for m in heard if m["role"] != "assistant").lower()
        shots = [m["content"].strip().lower() for m in heard if m["role"] == "assistant"]
        turns = [m["content"].lower() for m in heard]
        ticket = str(row.inputs["ticket"]).lower()
        word = next(
            w for w in re.findall(r"[a-z]+", ticket) if w in LORE or any(w in t for t in TOPICS.values())
        )
        label = next((k for k, t in TOPICS.items() if word in t), None)
        luck = chance("answer", ticket)
        if word in LORE:
            truth = LORE[word]
            told = any(
                word in line and truth in line
                for line in prompt.replace(ticket, "").splitlines()
                if "case" not in line
            )
            shown = any(word in turns[i] and turns[i + 1].strip() == truth for i in range(len(turns) - 1))
            wrong = sorted(k for k in TOPICS if k != truth)[int(chance("wrong", ticket) * 3)]
            label = truth if told or shown else wrong
            if any(
                f'"{word}"' in line and truth not in line and "answer" in line for line in prompt.splitlines()
            ):
                label = wrong
        assert label is not None
        if luck < noise * (calm if len(shots) > 2 else 1.0):  # worked examples steady the model
            label = sorted(k for k in TOPICS if k != label)[int(luck * 1e6) % 3]
        listed = label in prompt.replace(ticket, "")
        bare = bool(shots) or re.search(r"\bonly\b|nothing else|just the", prompt)
        name = label if listed or shots else {"billing": "Finance", "bug": "Defect"}.get(label, label.title())
        if not bare:
            return f"This looks like a **{name}** matter, because the customer mentions it."
        return name

    return answer


def label_score(row: Example, text: str) -> Score:
    good = text.strip() == row.reference
    kind = "match" if good else "extra_text" if str(row.reference) in text else "wrong"
    return Score(
        name="label",
        value=float(good),
        rationale="" if good else f"expected {row.reference!r}",
        evidence={"kind": kind},
    )


# --- the editor -----------------------------------------------------------------------------------------


_SHOWN = re.compile(
    r"#### Inputs\n(.*?)\n#### Generated Outputs\n(.*?)\n#### Feedback\nExpected answer: (.*?)\n", re.DOTALL
)


def rule_editor(*, clumsy: float = 0.25, rules: int = 2) -> Callable[[str, int], str | None]:
    """Adds a rule or two it reads off the failures shown; sometimes clumsy; never the same format twice."""

    def edit(request: str, turn: int) -> str:
        current = re.search(r"# Current instructions\n(`{3,})\n(.*?)\n\1", request, re.DOTALL)
        text = current[2] if current else ""
        counts: Counter[tuple[str, str]] = Counter()
        for shown, _, wanted in _SHOWN.findall(request):
            for word in re.findall(r"[a-z]{4,}", shown.lower()):
                if word not in _FILLER and word not in {"ticket", "case", "number"}:
                    counts[word, wanted.strip()] += 1
        known = text.lower()
        shown_rows = [(wanted, given) for _, given, wanted in _SHOWN.findall(request)]
        wordy = [w for w, given in shown_rows if len(given.split()) > 4 and len(w.split()) < 3]
        numbers = [w for w, _ in shown_rows if re.fullmatch(r"-?\d+", w.strip())]
        form = ""
        if numbers and "step" not in known:
            form = 'Work step by step and end with a line "#### <number>".'
        elif wordy and "only" not in known:
            form = f"Answer with only one of: {', '.join(sorted(set(wordy)))}."
        new = [(w, label) for (w, label), _ in counts.most_common() if f'"{w}"' not in known]
        added = [f'If the ticket mentions "{w}", the answer is {label}.' for w, label in new[:rules]]
        luck = chance("clumsy", request)
        if luck < clumsy / 3:
            text += "\nRead the {{document}} with care."
        elif luck < 2 * clumsy / 3 and new:
            added = [f'If the ticket mentions "{new[0][0]}", the answer is unknown.']
        elif luck < clumsy:
            return "I am sorry, I cannot see what to improve."
        written = "\n".join([text, *([form] if form else []), *added]).strip()
        return manner(written, turn)

    return edit


def manner(written: str, turn: int) -> str:
    """``written`` in one of the forms in which editors answer."""
    return (
        f"The model lacks some rules.\n\n```\n{written}\n```",
        json.dumps({"diagnosis": "It lacks rules.", "new_instructions": written}),
        written,
        f"[[ ## diagnosis ## ]]\nIt lacks rules.\n\n[[ ## new_instructions ## ]]\n{written}\n\n"
        "[[ ## completed ## ]]",
        f"Here is the improved prompt:\n\n{written}",
        f"<think>hm ``` hm</think>\n```markdown\n{written}\n```\n",
        f"**New instructions:**\n{written}",
        f"```json\n{json.dumps({'instructions': written})}\n```",
    )[turn % 8]


# --- worlds ---------------------------------------------------------------------------------------------


def tickets(
    count: int = 200,
    *,
    seed: int = 1,
    deaf: bool = False,
    chat: bool = True,
    words: int = 5,
    noise: float = 0.04,
    calm: float = 1.0,
    rules: int = 2,
    clumsy: float = 0.25,
    **changes: Any,
) -> World:
    if chat:
        prompt = Prompt.of(
            [
                {"role": "system", "content": "You are a support agent.\nSort the ticket into its queue."},
                {"role": "user", "content": "Ticket: {{ticket}}\nQueue:"},
            ]
        )
    else:
        prompt = Prompt.of("You sort tickets.\nName the queue.\n\nTicket: {{ticket}}\nQueue:")
    return World(
        prompt=prompt,
        rows=ticket_rows(count, seed=seed, words=words),
        answer=ticket_answer(deaf=deaf, noise=noise, calm=calm),
        score=label_score,
        editor=rule_editor(clumsy=clumsy, rules=rules),
        **changes,
    )


def extraction(count: int = 200, *, seed: int = 2, **changes: Any) -> World:
    people, kinds = ["Ann", "Bob", "Cleo", "Dan", "Eve"], ["order", "return"]
    rows = []
    for i in range(count):
        who = people[int(chance(seed, "who", i) * 5)]
        kind = kinds[int(chance(seed, "kind", i) * 2)]
        day, price = 1 + int(chance(seed, "day", i) * 27), int(chance(seed, "price", i) * 500)
        text = f"{who} wrote on {day} May 2024 about the {kind} worth {price} dollars (ref {i})."
        fields = {"customer": who, "kind": kind, "date": f"2024-05-{day:02d}", "amount": price}
        rows.append(example({"mail": text}, reference=json.dumps(fields)))

    def answer(messages: Sequence[dict[str, str]], row: Example) -> str:
        prompt = "\n".join(m["content"] for m in messages if m["role"] != "assistant").lower()
        shot = any(m["role"] == "assistant" for m in messages)
        fields = json.loads(row.reference or "{}")
        if not shot and not all(f'"{k}"' in prompt for k in fields):
            fields = {"name": fields["customer"], **{k: v for k, v in fields.items() if k != "customer"}}
        if "date" in fields and not shot and "yyyy-mm-dd" not in prompt:
            fields["date"] = str(row.inputs["mail"]).split(" on ")[1].split(" about")[0]
        if chance("slip", row.id) < 0.05:
            fields["amount"] = 0
        text = json.dumps(fields)
        return text if shot or "code fence" in prompt else f"Sure!\n```json\n{text}\n```"

    def score(row: Example, text: str) -> Score:
        try:
            got = json.loads(text)
        except ValueError:
            return Score(name="json", value=0.0, rationale="not JSON", evidence={"kind": "invalid_json"})
        wanted = json.loads(row.reference or "{}")
        right = sum(got.get(k) == v for k, v in wanted.items())
        return Score(name="json", value=right / len(wanted), rationale="fields differ" if right < 4 else "")

    prompt = Prompt.of("Extract the customer, kind, date and amount from this mail as JSON: {{mail}}")
    return World(prompt=prompt, rows=rows, answer=answer, score=score, editor=rule_editor(), **changes)


def sums(count: int = 200, *, seed: int = 3, **changes: Any) -> World:
    rows = []
    for i in range(count):
        a, b, c = (2 + int(chance(seed, k, i) * 40) for k in "abc")
        text = (
            f"A box holds {a} pens. {b} boxes arrive, then {c} pens are lost. How many pens are left? (#{i})"
        )
        rows.append(
            example({"question": text}, reference=f"#### {a * b - c}", expected_response=str(a * b - c))
        )

    def answer(messages: Sequence[dict[str, str]], row: Example) -> str:
        prompt = "\n".join(m["content"] for m in messages).lower()
        right = int(str(row.expected))
        luck = chance("sum", row.id)
        if "step" in prompt and "no working" not in prompt:
            value = right if luck > 0.06 else right + 10
            line = (
                f"#### {value}"
                if "####" in prompt
                else f"So there are {value} pens left, out of {value + 7}."
            )
            return f"First I multiply.\nThen I subtract.\n{line}"
        return f"#### {right if luck < 0.3 else right + 1 + int(luck * 9)}"

    def score(row: Example, text: str) -> Score:
        found = re.findall(r"-?\d+", text)
        good = bool(found) and found[-1] == row.expected
        return Score(name="number", value=float(good), rationale="" if good else f"expected {row.expected}")

    prompt = Prompt.of(
        [
            {"role": "system", "content": "Answer the question with one number."},
            {"role": "user", "content": "{{question}}"},
        ]
    )
    return World(prompt=prompt, rows=rows, answer=answer, score=score, editor=rule_editor(), **changes)


def hopeless(count: int = 120, **changes: Any) -> World:
    world = tickets(count, **changes)
    world.answer = lambda messages, row: "billing" if chance("coin", row.id) < 0.5 else "I do not know."
    return world
