"""The output contract that production's own answers show, mined without a model call.

A target model that misses the form of an answer fails every row, and the form can be read off what production
answered: a closed set of labels, a JSON object, a number, a text. The contract is written as instructions in
plain words; the race decides whether they help.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from promptmigrate.search import contract_json, contract_text
from promptmigrate.search.contract_form import Form, answers_in
from promptmigrate.search.contract_labels import MAX_LABELS, forbidden, is_label, is_open, spelling
from promptmigrate.search.contract_numbers import date_form, is_number, number_form
from promptmigrate.search.contract_shapes import shape_of
from promptmigrate.types import Example

Kind = Literal["labels", "multilabel", "json", "number", "text"]


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
    form: Form = field(default_factory=Form)


_BLANK = 2
"""Empty answers from which on they are no slip."""


def mine(examples: Sequence[Example]) -> Contract | None:
    """The contract that expected answers and production's outputs of ``examples`` show; None without any.

    Give train and validation rows, never test rows: only answers are read, no inputs.
    """
    known = [pair for example in examples if (pair := _pair(example)) is not None]
    pairs = [pair for pair in known if not _is_blank(pair[0])]
    if not pairs:
        return None
    blank = len(known) - len(pairs)
    found = _mined(pairs)
    return _with_blank(found, blank, of=len(known)) if blank >= _BLANK else found


def _mined(pairs: Sequence[tuple[Any, str | None]]) -> Contract:
    objects = [contract_json.as_object(e) or contract_json.as_object(o) for e, o in pairs]
    found = [o for o in objects if o is not None]
    if len(found) >= 0.8 * len(pairs):
        shown = [contract_json.as_object(o) or contract_json.as_object(e) for e, o in pairs]
        outputs = [o for _, o in pairs if isinstance(o, str)]
        rules, facts = contract_json.describe([o for o in shown if o is not None], outputs)
        return Contract(kind="json", rules=rules, steps=None, facts=facts)
    arrays = [one for one in map(_shown_list, pairs) if one is not None]
    if len(arrays) >= 0.8 * len(pairs):
        rules, facts = contract_json.describe_lists(arrays, [o for _, o in pairs if isinstance(o, str)])
        return Contract(kind="json", rules=rules, steps=None, facts=facts)
    texts, form = answers_in(pairs)
    found_form = _multilabel(texts) or _labels(texts, form) or _numbers(texts, form) or _free(texts, form)
    if form.works and found_form.steps:
        # Production works its answers out: a contract for the bare answer would forbid what makes them right.
        return replace(found_form, rules=found_form.steps)
    return found_form


def _shown_list(pair: tuple[Any, str | None]) -> list[Any] | None:
    shown = contract_json.as_list(pair[1])
    return contract_json.as_list(pair[0]) if shown is None else shown


def _pair(example: Example) -> tuple[Any, str | None] | None:
    expected = example.expected
    several = isinstance(expected, dict) and "expected_response" not in example.expectations
    if several and contract_json.as_object(example.reference) is None:
        # Expectations of different names: only production's own text shows the form of an answer.
        expected = example.reference
    return None if expected is None else (expected, example.reference)


def _is_blank(expected: Any) -> bool:
    return isinstance(expected, str) and not expected.strip()


def _with_blank(contract: Contract, blank: int, *, of: int) -> Contract:
    """``contract`` where ``blank`` of all answers are empty."""
    rule = "For some inputs the right answer is empty: then write nothing at all."
    return replace(
        contract,
        # Where working is written, nobody knows how much of it a row without an answer has.
        rules=f"{contract.rules}\n{rule}" if contract.form.bare else contract.rules,
        facts=(*contract.facts, f"For {blank} of {of} inputs the right answer is empty: nothing at all"),
    )


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
    if closed and all(is_number(t) for t in short) and (len(short) > 11 or len(texts) < 3 * len(short)):
        return None
    labels = tuple(sorted(short, key=lambda t: (-short[t], t)))
    listed = "\n".join(f"- {label}" for label in sorted(labels))
    notes, signs = spelling(labels), forbidden(labels)
    if closed:
        head = f"Answer with exactly one of these {len(labels)} labels:\n{listed}"
        extra = "Never invent another label: if several seem to fit, choose the one that fits best."
    else:
        head = f"Answer with exactly one label. Labels in use include:\n{listed}"
        extra = "If none of these fits, answer with a label of the same style."
    rules = (
        f"Output format:\n{head}\n"
        f"Output only the label itself, exactly as it is spelled above{notes}, and nothing else: no "
        f"explanation, no other words, {', '.join(f'no {sign}' for sign in signs)}. {extra}"
    )
    steps = (
        f"Output format:\n{head}\n"
        "First think step by step about which label fits best. Then write the label alone on the last line"
        f"{form.as_line}, exactly as it is spelled above{notes}, with no {_either(signs)} around it."
    )
    of = f"one of {len(labels)} labels" if closed else "a label; in use are"
    facts = [f"The answer is {of}: " + ", ".join(f"{t} ({short[t]} rows)" for t in labels)]
    if not form.bare:
        facts.append(form.fact)
    return Contract(kind="labels", rules=rules, steps=steps, facts=tuple(facts), labels=labels, form=form)


def _either(words: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _multilabel(texts: Sequence[str]) -> Contract | None:
    for separator in (", ", ",", "; ", ";", " | ", "|", "、", "，", "；", "\n"):
        parts = [[p.strip() for p in t.split(separator)] for t in texts]
        if sum(len(p) > 1 for p in parts) < 0.3 * len(texts):
            continue
        counts = Counter(p for row in parts for p in row)
        if len(counts) >= len(set(texts)) or any(is_number(p) for p in counts):
            continue  # the comma belongs to the labels themselves, or to numbers
        if is_open(counts):
            continue
        if not all(is_label(p) and p for p in counts) or len(counts) > min(MAX_LABELS, len(texts) / 1.5):
            continue
        listed = "\n".join(f"- {label}" for label in sorted(counts))
        lines = separator == "\n"
        parted = "one a line" if lines else f"on one line, separated by {separator!r}"
        rules = (
            f"Output format:\nAnswer with all of these labels that apply, and no others:\n{listed}\n"
            f"Write them {parted}. Output only the labels, exactly as they "
            "are spelled above, and nothing else: no explanation, no quotes, no markdown."
        )
        fact = f"The answer is a list, {parted}, of the labels {', '.join(sorted(counts))}"
        return Contract(
            kind="multilabel", rules=rules, steps=None, facts=(fact,), labels=tuple(sorted(counts))
        )
    return None


def _numbers(texts: Sequence[str], form: Form) -> Contract | None:
    found = number_form(texts)
    if found is None:
        return None
    shape, sample = found
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
        facts.append(form.fact)
    return Contract(kind="number", rules=rules, steps=steps, facts=tuple(facts), form=form)


def _free(texts: Sequence[str], form: Form) -> Contract:
    if form.bare and (date := date_form(texts)):
        rule = f"Output format:\nAnswer with only {date} and nothing else: no explanation, no other words."
        return Contract(kind="text", rules=rule, steps=None, facts=(f"The answer is {date}",), form=form)
    rules, facts = contract_text.describe(texts, shape_of(texts))
    steps = None
    if form.works or form.lead:
        facts = (*facts, form.fact)
        steps = (
            "Output format:\nThink step by step and write down each step. Then give the final answer alone "
            "on the last line"
            f"{form.as_line}."
        )
    return Contract(kind="text", rules=rules, steps=steps, facts=facts, form=form)
