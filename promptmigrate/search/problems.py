"""What kind of failure an answer is: told from the answer and what was expected, without asking anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal

from promptmigrate import template
from promptmigrate.search import contract_json
from promptmigrate.search.contract import Contract
from promptmigrate.search.table import Cell
from promptmigrate.search.text import length, normalised, one_line, says
from promptmigrate.types import Example

_NUMBER = re.compile(r"[-+\u2212]?\d+(?:[.,'\u2019]\d+|[ \u00a0\u202f]\d{3}(?!\d))*")


def problem_of(
    example: Example, cell: Cell, contract: Contract | None, *, said: str = ""
) -> tuple[str, bool]:
    """The kind of failure in words, and whether it is one of form (the right answer may be in there).

    ``said`` is the kind that a scorer gave it.
    """
    text = cell.text.strip()
    target = template.as_text(example.expected).strip()
    if not target:
        return "an answer where none is expected: it should be empty", False
    if not text:
        return "the answer is empty", True
    if cell.cut:
        return "the answer is cut off at the token limit", True
    expected = example.expected
    if contract is None and isinstance(expected, dict) and "expected_response" not in example.expectations:
        # Several things are expected of the whole; what one prompt should have answered is not known.
        return "the answer in the end is not the expected one", False
    wanted = contract_json.as_object(expected) or (
        contract_json.as_object(example.reference) if contract and contract.kind == "json" else None
    )
    if wanted is not None:
        return _json_problem(wanted, text)
    items = contract_json.as_list(expected)
    if items is not None and contract and contract.kind == "json":
        return _list_problem(items, text)
    kind = contract.kind if contract else "text"
    if kind == "number":
        return _number_problem(target, text)
    if kind == "labels" and contract is not None:
        return _label_problem(target, text, contract.labels)
    tail = f" ({said})" if said else ""
    if normalised(target) and normalised(target) == normalised(text):
        return f"right words, but spelling, case or punctuation differ{tail}", True
    if says(text, target):
        return f"the expected answer is there, with other text around it{tail}", True
    ratio = length(text) / max(1, length(target))
    if ratio > 2:
        return f"the answer is much longer than expected{tail}", False
    if ratio < 0.5:
        return f"the answer is much shorter than expected{tail}", False
    return f"the answer differs from the expected one{tail}", False


def _label_problem(target: str, text: str, labels: Sequence[str]) -> tuple[str, bool]:
    if normalised(text) == normalised(target):
        return "the right label, but not spelled as expected (case, punctuation, quotes)", True
    named = [label for label in labels if says(text, label)]
    if length(text) > max(4, 2 + max((length(t) for t in labels), default=1)):
        if target in named and len(named) == 1:
            return "the right label with other text around it; only the label is wanted", True
        return "a whole sentence or explanation instead of only the label", True
    if named and named[0] != target and normalised(text) == normalised(named[0]):
        return f'expected "{target}", answered "{named[0]}"', False
    if named:
        return "the label with other text around it", target in named
    return f'not one of the labels: answered "{one_line(text, 40)}" where "{target}" is expected', True


def _number_problem(target: str, text: str) -> tuple[str, bool]:
    found = _NUMBER.findall(text)
    wanted = _NUMBER.findall(target)[-1:]
    if not found:
        return "no number in the answer", True
    if wanted and _readings(found[-1]) & _readings(wanted[0]):
        return "the right number, but not in the expected form", True
    if wanted and any(_readings(n) & _readings(wanted[0]) for n in found):
        return "the right number occurs, but it is not the final answer", True
    return "the number is wrong", False


def _readings(number: str) -> set[Decimal]:
    """What ``number`` may be, in English and in notations with a decimal comma."""
    plain = re.sub(r"[\s'\u2019]", "", number).replace("\u2212", "-")
    found = set()
    for groups, point in (",.", ".,"):
        text = plain.replace(groups, "").replace(point, ".")
        if text.count(".") <= 1:
            found.add(Decimal(text))
    return found


def _json_problem(wanted: dict[str, object], text: str) -> tuple[str, bool]:
    given = contract_json.as_object(text)
    if given is None:
        inner = re.search(r"\{.*\}", text, re.DOTALL)
        return _no_json(
            inner is not None, bool(inner and contract_json.as_object(inner[0]) is not None)
        ), True
    if text.startswith("```"):
        return "JSON inside a code fence", True
    missing = [k for k in wanted if k not in given]
    extra = [k for k in given if k not in wanted]
    if missing or extra:
        parts = []
        if missing:
            parts.append("missing key " + ", ".join(json.dumps(k) for k in missing[:4]))
        if extra:
            parts.append("unexpected key " + ", ".join(json.dumps(k) for k in extra[:4]))
        return "; ".join(parts), True
    wrong = [k for k in wanted if given[k] != wanted[k]]
    if wrong:
        form = all(normalised(str(given[k])) == normalised(str(wanted[k])) for k in wrong)
        return f"wrong value of {', '.join(json.dumps(k) for k in wrong[:3])}", form
    return "all fields agree, but the answer is not accepted", True


def _list_problem(wanted: Sequence[object], text: str) -> tuple[str, bool]:
    given = contract_json.as_list(text)
    if given is None:
        inner = re.search(r"\[.*\]", text, re.DOTALL)
        return _no_json(inner is not None, bool(inner and contract_json.as_list(inner[0]) is not None)), True
    if text.startswith("```"):
        return "JSON inside a code fence", True
    missing = sum(item not in given for item in wanted)
    extra = sum(item not in wanted for item in given)
    if not missing and not extra:
        again = len(given) == len(wanted)
        return (
            f"the right items, {'in another order' if again else 'some of them not as often as expected'}",
            False,
        )
    same = [normalised(template.as_text(list(each))) for each in (given, wanted)]
    if same[0] == same[1]:
        return "the right items, but spelling, case or punctuation differ", True
    if missing and extra:
        return "wrong items in the list", False
    return "items missing from the list" if missing else "items in the list that do not belong there", False


def _no_json(braces: bool, inside: bool) -> str:
    if inside:
        return "valid JSON with other text around it"
    return "not valid JSON" if braces else "not valid JSON (it is not JSON at all)"
