"""Choosing worked examples from train rows: known-good answers, short, and spread over the labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from promptmigrate import template
from promptmigrate.search import contract_json
from promptmigrate.search.anatomy import Demo
from promptmigrate.search.text import draw, words
from promptmigrate.types import Example

_LEAD = re.compile(r"(?:[:=#>\n]|\b(?:is|are))[\s\"'`*_(\[{<$]*\Z")
"""What may stand between other words and an answer that they lead to."""
_PART_OF_NUMBER = re.compile(r"(?:[-\u2212]|\d[.,]?)\Z")
_SENTENCE = 3
"""Words before an answer from which on they are taken for a sentence, or working, that ends with it."""
_DENIES = frozenset({
    "no", "not", "non", "never", "nicht", "kein", "keine", "keinen", "pas", "ni", "não", "nie",
    "geen", "niet", "не",
})  # fmt: skip
"""Words right before an answer that turn it into its opposite."""


def usable(examples: Sequence[Example]) -> list[tuple[Example, Demo]]:
    """Train rows whose answer is known to be good, as demos.

    A row counts as good if production's answer agrees with what is expected (or nothing else is known).
    Where it disagrees, a plain expected text stands in. Rows with text that a template engine would read
    (``{{x}}``, ``{%``) are left out: they would change the meaning of the prompt.
    """
    rows = []
    for example in examples:
        answer = good_answer(example)
        texts = [template.as_text(v) for v in example.inputs.values()]
        if not answer or not answer.strip() or not all(map(template.is_literal, [answer, *texts])):
            continue
        rows.append((example, Demo(example=example.id, inputs=dict(example.inputs), answer=answer)))
    return rows


def good_answer(example: Example) -> str | None:
    """The answer of ``example`` that is known to be good, in production's form where possible."""
    expected, reference = example.expected, example.reference
    if expected is None:
        return None
    text = template.as_text(expected).strip()
    if reference is None:
        return text if isinstance(expected, (str, int, float)) else _dump(expected)
    if not example.expectations or _agrees(text, expected, reference):
        return reference
    if (
        isinstance(expected, str)
        and contract_json.as_object(reference) is None
        and "\n" not in reference.strip()
    ):
        return text
    alike = (
        contract_json.as_object(reference)
        if isinstance(expected, dict)
        else isinstance(expected, list) and contract_json.as_list(reference) is not None
    )
    return _dump(expected) if alike else None


def _dump(expected: object) -> str | None:
    return template.as_text(expected) if isinstance(expected, (dict, list)) else None


def _agrees(text: str, expected: object, reference: str) -> bool:
    wanted, given = contract_json.as_object(expected), contract_json.as_object(reference)
    if wanted is not None:
        return given is not None and all(given.get(k) == v for k, v in wanted.items())
    items = contract_json.as_list(expected)
    if items is not None:
        return contract_json.as_list(reference) == items
    if not words(text):
        return False
    before, found, after = reference.lower().rpartition(text.lower())
    if not found or words(after):
        return words(text) == words(reference)
    if text[0].isdigit() and _PART_OF_NUMBER.search(before):
        return False
    # "not spam" does not say "spam", nor "billing, account" "account".
    lead = words(before)
    return (
        not lead
        or bool(_LEAD.search(before))
        or (
            len(lead) >= _SENTENCE
            and lead[-1] not in _DENIES
            and before[-1].isspace()
            and before.rstrip()[-1].isalnum()
        )
    )


def choose(
    rows: Sequence[tuple[Example, Demo]],
    count: int,
    *,
    seed: int,
    prefer: Collection[str] = (),
    weights: Mapping[str, int] | None = None,
) -> tuple[Demo, ...]:
    """``count`` demos of ``rows``, round robin over their answers, short inputs first.

    ``prefer``: ids of rows to take before others of the same answer (rows that a model gets wrong teach
    more). ``weights``: how often an answer is asked for; the more frequent ones come first. The order of the
    result is drawn from ``seed``, so that no label sits at the end by habit.
    """
    if not rows or count < 1:
        return ()
    sizes = sorted(_size(example) for example, _ in rows)
    typical = sizes[len(sizes) // 2]
    groups: dict[str, list[tuple[Example, Demo]]] = {}
    for example, demo in rows:
        groups.setdefault(_answer_key(demo), []).append((example, demo))
    repeated = len(groups) <= max(2, len(rows) // 2)
    if not repeated:
        groups = {"": list(rows)}
    for members in groups.values():
        members.sort(
            key=lambda row: (
                row[0].id not in prefer,
                _size(row[0]) > 1.5 * typical,
                draw(seed, "demo", row[0].id),
            )
        )
    counted = weights or {}
    preferred = {k: any(e.id in prefer for e, _ in m) for k, m in groups.items()}
    order = sorted(groups, key=lambda k: (not preferred[k], -(counted.get(k) or len(groups[k])), k))
    chosen: list[Demo] = []
    depth = 0
    while len(chosen) < min(count, len(rows)):
        for key in order:
            if depth < len(groups[key]) and len(chosen) < count:
                chosen.append(groups[key][depth][1])
        depth += 1
    return tuple(sorted(chosen, key=lambda demo: draw(seed, "order", demo.example)))


def _size(example: Example) -> int:
    return sum(len(template.as_text(v)) for v in example.inputs.values())


def _answer_key(demo: Demo) -> str:
    return " ".join(words(demo.answer))[:80]
