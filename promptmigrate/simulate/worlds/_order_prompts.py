"""What a prompt says about the fields of order e-mails, and what makes an order tricky."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.simulate._reading import Demo
from promptmigrate.simulate._signals import NEGATION, Signals, clauses, read_signals
from promptmigrate.simulate._types import count_tokens
from promptmigrate.simulate.worlds._base import Guidance
from promptmigrate.simulate.worlds._orders import KEYS, Order, read_order

_ISO = re.compile(
    r"y{4}-m{2}-d{2}|iso[- ]?8601|\biso (?:date|format|style)|(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)|year-month-day"
)
_NUMBER = re.compile(r"\b(?:numbers?|numeric|floats?|decimals?|integer)\b")
_NUMBER_CONTEXT = re.compile(
    r"total|amount|string|quot|symbol|separator|json|\btype|comma|plain|unquoted|currency sign|value|price"
)
_TYPED_NUMBER = re.compile(r"[\"'`]?total[\"'`]?\s*[:=(]\s*[<(]?(?:\d+(?:\.\d+)?\b|numb|float|decimal)")
_CURRENCY = re.compile(r"4217|(?:three|3)[- ](?:letter|character)|currency code|iso code|\b(?:usd|eur|gbp)\b")
_BOOLEAN = re.compile(r"\bbool|\btrue\b|\bfalse\b")
_NULL = re.compile(r"\bnull\b|\bnone\b")
_PARTY = re.compile(
    r"behalf|(?:sender|signer|signatory|signature|person (?:who|that) (?:writes|signs|sends|wrote|"
    r"signed))|for whom"
)
_PARTY_WRONG = re.compile(
    r"customer\W+(?:is |= ?|: ?)?(?:always )?(?:the )?(?:sender|signer|signature|person who signs)"
)
_PLACED = re.compile(r"plac(?:ed|ing)|\bdated\b|order was (?:made|given)|\bordered\b")
_DELIVER = re.compile(r"deliver|arriv|\bdue\b|shipp?(?:ing|ed|ment)? date|expected by")
_WHOLE_SUM = re.compile(
    r"inclu|grand|overall|payable|\bwith (?:shipping|freight)|everything|full total|final (?:total|amount|"
    r"sum)"
)
_PART_SUM = re.compile(
    r"goods|sub-?total|\bnet\b|before (?:shipping|freight)|without (?:shipping|freight)|shipping|freight"
)


@dataclass(frozen=True, kw_only=True)
class ExtractGuidance(Guidance):
    """What a prompt says about the fields."""

    signals: Signals
    json: float
    """JSON is asked for or shown."""
    keys: float
    """How plainly the keys are spelled out."""
    date: float
    number: float
    currency: float
    boolean: float
    null: float
    party: float
    placed: float
    whole: float
    shown: float
    """How firmly demos show the wanted form."""
    seen: frozenset[str]
    """Tricky traits that demos show."""
    enforced: bool = False
    """The request itself enforces JSON (``response_format``)."""


def read_guidance(text: str, demos: Sequence[Demo]) -> ExtractGuidance:
    """What instructions (rows cut out) and demos say about the fields."""
    lines = clauses(text)
    whole = "\n".join(lines)
    good = [demo for demo in demos if set(_loads(demo.output)) == set(KEYS)]
    facts = [read_order(demo.row) for demo in good]
    share = sum(1.0 if demo.turn else 0.85 for demo in good) / len(demos) if demos else 0.0
    listed = sum(bool(re.search(rf"(?<!\w){key}(?!\w)", whole)) for key in KEYS) / len(KEYS)
    explicit = sum(
        bool(re.search(rf"[\"'`*<]{key}[\"'`*>]|(?:^|\n){key}\s*(?:[:=(]|[-–—]\s)",
        whole)) for key in KEYS
    ) / len(KEYS)  # fmt: skip
    signals = read_signals(text)
    return ExtractGuidance(
        tokens=count_tokens(text),
        demos=len(demos),
        signals=signals,
        json=1.0 if "json" in whole or '{"' in "".join(text.split()) or good else signals.raw_json,
        keys=listed * max(0.5 + 0.5 * explicit, 0.85 if signals.exact else 0.0),
        date=float(bool(_ISO.search(whole))),
        number=max((_number(line) for line in lines), default=0.0),
        currency=float(bool(_CURRENCY.search(whole))),
        boolean=float(bool(_BOOLEAN.search(whole))),
        null=float(bool(_NULL.search(whole))),
        party=_strongest(lines, _party),
        placed=_strongest(lines, _placed_rule),
        whole=_strongest(lines, _sum_rule),
        shown=share * min(1.0, 0.55 + 0.25 * len(good)),
        seen=frozenset(trait for fact in facts if fact for trait in traits(fact)),
    )


def traits(facts: Order) -> tuple[str, ...]:
    """What makes an order tricky."""
    found = []
    if facts.date is None:
        found.append("null")
    elif facts.delivery:
        found.append("delivery")
    if facts.customer != facts.signer:
        found.append("party")
    if facts.goods_text:
        found.append("part")
    return tuple(found)


def _loads(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(line: str) -> float:
    return float(bool(_TYPED_NUMBER.search(line) or (_NUMBER.search(line) and _NUMBER_CONTEXT.search(line))))


def _strongest(lines: Sequence[str], rule: Any) -> float:
    values = [rule(line) for line in lines]
    best = max(values, default=0.0)
    return best or min(values, default=0.0)


def _party(line: str) -> float:
    if "behalf" in line:
        return 1.0
    if _PARTY.search(line) and NEGATION.search(line):
        return 0.8
    return -0.3 if _PARTY_WRONG.search(line) else 0.0


def _placed_rule(line: str) -> float:
    if "date" not in line and "order" not in line:
        return 0.0
    placed, deliver, negated = _PLACED.search(line), _DELIVER.search(line), NEGATION.search(line)
    if deliver and (negated or placed):
        return 1.0
    if placed and "date" in line:
        return 0.75
    return -0.3 if deliver and "order_date" in line else 0.0


def _sum_rule(line: str) -> float:
    if "total" not in line and "amount" not in line and "sum" not in line:
        return 0.0
    if _PART_SUM.search(line) and (NEGATION.search(line) or _WHOLE_SUM.search(line)):
        return 1.0
    return 0.75 if _WHOLE_SUM.search(line) else 0.0
