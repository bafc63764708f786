"""The output contract that production's own answers show, mined without a model call.

A target model that misses the form of an answer fails every row, and the form can be read off what production
answered: a closed set of labels, a JSON object, a number, a text. The contract is written as instructions in
plain words; the race decides whether they help.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from promptmigrate import template
from promptmigrate.search import contract_json, contract_text
from promptmigrate.search.contract_labels import MAX_LABELS, is_label, is_open, no_punctuation, spelling
from promptmigrate.search.contract_text import most
from promptmigrate.types import Example

Kind = Literal["labels", "multilabel", "json", "number", "text"]

_NUMBER = re.compile(
    r"(?P<sign>[-+\u2212])?(?P<currency>[$\u20ac\u00a3\u00a5])?\s?"
    r"(?P<digits>(?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})(?:\.\d+)?|\.\d+)"
    r"\s?(?P<unit>%|[A-Za-z\u20ac\u00b0/]{1,12})?\.?"
)
_ANSWER_TAIL = re.compile(
    r"(?P<lead>(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:final\s+)?(?:answer|result|label|category|verdict)"
    r"\s*(?:is\s*:?|:|=)\s*|#{2,6}\s*)(?P<value>\S[^\n]*?)\s*\.?\s*$",
    re.IGNORECASE,
)


_LEAD = re.compile(r"(?P<lead>[^\W\d_][^\n:=]{0,30}[:=]\s*)(?P<value>\S[^\n]*?)\s*$")
"""A short label before a value, for a last line that all answers begin alike."""
_FIELD = re.compile(r"(?P<lead>[^\W\d_][^\n:=\d]{0,30}:\s*)\S")
"""The same for a field of a record; "Step 1:" and "cost = 3" are working."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """Where the answer sits in what production wrote."""

    lead: str = ""
    """What stands right before the answer on its line ("#### ", "Answer: ")."""
    works: bool = False
    """Whether production writes its working first."""

    @property
    def bare(self) -> bool:
        """The answer is all that production writes."""
        return not self.lead and not self.works


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What an answer has to look like."""

    kind: Kind
    rules: str
    """Instructions: the form that production's answers have; the answer alone only where theirs is alone."""
    steps: str | None
    """Instructions: working first, then the answer in production's form; None where that makes no sense. The
    same as :attr:`rules` where production itself shows its working."""
    facts: tuple[str, ...]
    """The same for an editor: what is known of the task."""
    labels: tuple[str, ...] = ()
    form: Form = Form()


def mine(examples: Sequence[Example]) -> Contract | None:
    """The contract that expected answers and production's outputs of ``examples`` show; None without any.

    Give train and validation rows, never test rows: only answers are read, no inputs.
    """
    pairs = [pair for example in examples if (pair := _pair(example)) is not None]
    if not pairs:
        return None
    objects = [contract_json.as_object(e) or contract_json.as_object(o) for e, o in pairs]
    found = [o for o in objects if o is not None]
    if len(found) >= 0.8 * len(pairs):
        shown = [contract_json.as_object(o) or contract_json.as_object(e) for e, o in pairs]
        outputs = [o for _, o in pairs if isinstance(o, str)]
        rules, facts = contract_json.describe([o for o in shown if o is not None], outputs)
        return Contract(kind="json", rules=rules, steps=None, facts=facts)
    texts, form = _answers(pairs)
    found_form = _multilabel(texts) or _labels(texts, form) or _numbers(texts, form) or _free(texts, form)
    if form.works and found_form.steps:
        # Production works its answers out: a contract for the bare answer would forbid what makes them right.
        return replace(found_form, rules=found_form.steps)
    return found_form


def _pair(example: Example) -> tuple[Any, str | None] | None:
    expected = example.expected
    several = isinstance(expected, dict) and "expected_response" not in example.expectations
    if several and contract_json.as_object(example.reference) is None:
        # Expectations of different names: only production's own text shows the form of an answer.
        expected = example.reference
    if expected is None or (isinstance(expected, str) and not expected.strip()):
        return None
    return expected, example.reference


def _answers(pairs: Sequence[tuple[Any, str | None]]) -> tuple[list[str], Form]:
    """The bare answers, and where production puts them."""
    texts = [template.as_text(e).strip() for e, _ in pairs]
    outputs = [o.strip() if isinstance(o, str) else None for _, o in pairs]
    if all(o is None or o == t for t, o in zip(texts, outputs, strict=True)):
        for pattern in (_ANSWER_TAIL, _LEAD):
            tails = [_tail(t, pattern) for t in texts]
            leads = Counter(lead.lower() for lead, _, _ in (t for t in tails if t))
            worked = [t for t in tails if t and t[2]]
            if pattern is _LEAD and _are_records(texts):
                break
            if leads and leads.most_common(1)[0][1] >= 0.7 * len(texts) and len(worked) >= 0.6 * len(texts):
                lead = next(t[0] for t in tails if t and t[0].lower() == leads.most_common(1)[0][0])
                return [t[1] for t in tails if t], Form(lead=lead, works=True)
        return texts, Form()
    return texts, _form(texts, outputs)


def _are_records(texts: Sequence[str]) -> bool:
    """Whether ``texts`` are several labelled lines ("Queue: ...", "Priority: ..."): the last one is a field
    like the others, and what stands above it is no working."""
    leads = [[m["lead"].lower() for m in map(_FIELD.match, t.splitlines()) if m] for t in texts]
    first = Counter(lead[0] for lead in leads if len(set(lead)) > 1)
    return first.total() > 0 and max(first.values()) >= 0.7 * len(texts)


def _tail(text: str, pattern: re.Pattern[str]) -> tuple[str, str, bool] | None:
    last = text.rstrip().splitlines()[-1]
    # A label of its own stands at the start of the line; "the answer is" may end a sentence.
    match = pattern.search(last) if pattern is _ANSWER_TAIL else pattern.match(last)
    if match is None:
        return None
    works = bool(text.rstrip()[: -len(last)].strip()) or len(last[: match.start()].split()) > 3
    return match["lead"], match["value"], works


def _form(texts: Sequence[str], outputs: Sequence[str | None]) -> Form:
    leads: Counter[str] = Counter()
    works = seen = 0
    for text, output in zip(texts, outputs, strict=True):
        if output is None:
            continue
        seen += 1
        at = output.rfind(text)
        if at < 0 or output == text:
            leads[""] += 1
            continue
        start = output.rfind("\n", 0, at) + 1
        tail = _ANSWER_TAIL.search(output[start : at + len(text)])
        lead = tail["lead"] if tail else output[start:at]
        leads[lead if len(lead) <= 40 else ""] += 1
        works += bool(output[:start].strip()) or len(output[start:at].split()) > 8
    if not seen:
        return Form()
    lead, count = leads.most_common(1)[0]
    return Form(lead=lead if count >= 0.6 * seen else "", works=works >= 0.5 * seen)


def _labels(texts: Sequence[str], form: Form) -> Contract | None:
    counts = Counter(texts)
    short = {t: n for t, n in counts.items() if is_label(t)}
    if sum(short.values()) < 0.9 * len(texts) or len(short) > MAX_LABELS or len(short) < 2:
        return None
    repeated = sum(n for n in short.values() if n > 1)
    closed = len(short) <= max(2, len(texts) / 2.5) and repeated >= 0.7 * len(texts)
    closed = closed and not is_open(Counter(short))
    identifiers = all(re.fullmatch(r"[A-Za-z0-9_\-./]+", t) and not t[0].isdigit() for t in short)
    if not closed and not (identifiers and repeated >= 0.3 * len(texts)):
        return None
    if (
        closed
        and all(_NUMBER.fullmatch(t) for t in short)
        and (len(short) > 11 or len(texts) < 3 * len(short))
    ):
        return None
    labels = tuple(sorted(short, key=lambda t: (-short[t], t)))
    listed = "\n".join(f"- {label}" for label in sorted(labels))
    notes, points = spelling(labels), no_punctuation(labels)
    if closed:
        head = f"Answer with exactly one of these {len(labels)} labels:\n{listed}"
        extra = "Never invent another label: if several seem to fit, choose the one that fits best."
    else:
        head = f"Answer with exactly one label. Labels in use include:\n{listed}"
        extra = "If none of these fits, answer with a label of the same style."
    rules = (
        f"Output format:\n{head}\n"
        f"Output only the label itself, exactly as it is spelled above{notes}, and nothing else: no "
        f"explanation, no other words, {points}, no quotes, no markdown. {extra}"
    )
    steps = (
        f"Output format:\n{head}\n"
        "First think step by step about which label fits best. Then write the label alone on the last line"
        f"{_as_line(form)}, exactly as it is spelled above{notes}, with {points}, quotes or markdown "
        "around it."
    )
    of = f"one of {len(labels)} labels" if closed else "a label; in use are"
    facts = [f"The answer is {of}: " + ", ".join(f"{t} ({short[t]} rows)" for t in labels)]
    if not form.bare:
        facts.append(contract_text.form_fact(form.lead, form.works))
    return Contract(kind="labels", rules=rules, steps=steps, facts=tuple(facts), labels=labels, form=form)


def _multilabel(texts: Sequence[str]) -> Contract | None:
    for separator in (", ", ",", "; ", ";", " | ", "|", "、", "，", "；"):
        parts = [[p.strip() for p in t.split(separator)] for t in texts]
        if sum(len(p) > 1 for p in parts) < 0.3 * len(texts):
            continue
        counts = Counter(p for row in parts for p in row)
        if len(counts) >= len(set(texts)) or any(_NUMBER.fullmatch(p) for p in counts):
            continue  # the comma belongs to the labels themselves, or to numbers
        if is_open(counts):
            continue
        if not all(is_label(p) and p for p in counts) or len(counts) > min(MAX_LABELS, len(texts) / 1.5):
            continue
        listed = "\n".join(f"- {label}" for label in sorted(counts))
        rules = (
            f"Output format:\nAnswer with all of these labels that apply, and no others:\n{listed}\n"
            f"Write them on one line, separated by {separator!r}. Output only the labels, exactly as they "
            "are spelled above, and nothing else: no explanation, no quotes, no markdown."
        )
        fact = f"The answer is a list, separated by {separator!r}, of the labels {', '.join(sorted(counts))}"
        return Contract(
            kind="multilabel", rules=rules, steps=None, facts=(fact,), labels=tuple(sorted(counts))
        )
    return None


def _numbers(texts: Sequence[str], form: Form) -> Contract | None:
    matches = [m for t in texts if (m := _NUMBER.fullmatch(t))]
    if len(matches) < 0.9 * len(texts):
        return None
    decimals = [len(m["digits"].partition(".")[2]) for m in matches]
    # None: some have it and some have not, which is nothing to be told.
    currency = most([m["currency"] or "" for m in matches], 0.8)
    unit = most([m["unit"] or "" for m in matches], 0.8)
    thousands = any("," in m["digits"] for m in matches)
    parts = []
    if all(d == 0 for d in decimals):
        parts.append("a whole number in digits")
    elif len(set(decimals)) == 1:
        parts.append(f"a number in digits with exactly {decimals[0]} decimal places")
    else:
        parts.append("a number in digits")
    if currency is not None:
        parts.append(f"with the sign {currency} before it" if currency else "without a currency sign")
    if unit is not None:
        parts.append(f"with {unit!r} after it" if unit else "without a unit")
    parts.append("with commas between thousands" if thousands else "without commas between thousands")
    shape = ", ".join(parts)
    sample = min((m[0] for m in matches), key=lambda t: (len(t), t))
    only = "number" if form.bare else "answer"
    rules = (
        f"Output format:\nAnswer with only the final {only}: {shape}. Nothing else: no explanation, no "
        "working, no words, no markdown."
    )
    line = f"{form.lead.strip()} <number>" if form.lead else ""
    if line and not form.works:
        rules = (
            f'Output format:\nAnswer with one line of the form "{line}", where the number is {shape}. '
            "Nothing else."
        )
    steps = (
        "Output format:\nWork through the problem step by step: write down what is given and "
        "every calculation, one step per line, and check the result. Then give the final answer alone on "
        "the last line"
        + (f", in the form: {line}" if line else ", as the number only")
        + f". The final answer is {shape}; no markdown, no LaTeX."
    )
    facts = [f"The answer is {shape}, for example {sample}"]
    if not form.bare:
        facts.append(contract_text.form_fact(form.lead, form.works))
    return Contract(kind="number", rules=rules, steps=steps, facts=tuple(facts), form=form)


def _free(texts: Sequence[str], form: Form) -> Contract:
    rules, facts = contract_text.describe(texts)
    steps = None
    if form.works or form.lead:
        facts = (*facts, contract_text.form_fact(form.lead, form.works))
        steps = (
            "Output format:\nThink step by step and write down each step. Then give the final answer alone "
            "on the last line"
            f"{_as_line(form)}."
        )
    return Contract(kind="text", rules=rules, steps=steps, facts=facts, form=form)


def _as_line(form: Form) -> str:
    return f', in the form "{form.lead.strip()} <answer>"' if form.lead else ""
