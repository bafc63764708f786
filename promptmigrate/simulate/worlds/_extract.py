"""Fields of purchase-order e-mails as JSON: smaller models fence, rename, reformat and mix up."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from promptmigrate.simulate._chance import Dice
from promptmigrate.simulate._reading import Demo, json_object
from promptmigrate.simulate._signals import NEGATION, Signals, clauses, read_signals
from promptmigrate.simulate._types import SimModel, count_tokens
from promptmigrate.simulate.worlds._base import Guidance, Nature, Span, World
from promptmigrate.simulate.worlds._orders import KEYS, SYMBOLS, Order, order_spans, read_order, write_order
from promptmigrate.simulate.worlds._people import Cast

_OTHER_KEYS = (
    {"order_id": "orderNumber", "customer": "customerName", "order_date": "orderDate",
    "total": "totalAmount", "rush": "isRush"},
    {"order_id": "order_number", "customer": "customer_name", "order_date": "date", "total": "amount",
    "rush": "urgent"},
    {"order_id": "Order ID", "customer": "Customer", "order_date": "Order Date", "total": "Total",
    "currency": "Currency", "rush": "Rush"},
)  # fmt: skip
_PROSE = (
    ("Here is the extracted information:\n\n", ""),
    ("Sure! Below are the details from the e-mail.\n\n", "\n\nLet me know if you need anything else."),
    ("", "\n\nNote: values were taken from the body of the e-mail."),
)
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


def _mix(**changes: float) -> Mapping[str, float]:
    return changes


class Extract(World):
    """What does an order e-mail say?"""

    name = "extract"
    variable = "email"
    about = "Purchase-order e-mails to JSON. Smaller models fence it, rename keys and mix up values."
    prompt = (
        {
            "role": "system",
            "content": "You read purchase order e-mails for the order desk of Northwind. Extract "
            "order_id, customer, "
            "order_date, total, currency and rush, and return them as JSON.",
        },
        {"role": "user", "content": "{{email}}"},
    )
    source = "sim/extract-large"
    rescuable = ("sim/extract-small", "sim/extract-userturn")
    hopeless = ("sim/extract-tiny",)
    models = (
        SimModel(
            name="sim/extract-large", role="source", world="extract", input_per_mtok=2.5,
            output_per_mtok=10.0,
            base_latency_s=0.8, token_latency_s=0.012, about="what production runs on",
        ),
        SimModel(
            name="sim/extract-small", role="target", world="extract", input_per_mtok=0.3, output_per_mtok=1.2,
            base_latency_s=0.25, token_latency_s=0.004, context_tokens=32_000,
            about="fences, renames keys, keeps dates and amounts as written; good when the form is "
                  "spelled out",
        ),
        SimModel(
            name="sim/extract-userturn", role="target", world="extract", input_per_mtok=0.25,
            output_per_mtok=1.0,
            base_latency_s=0.25, token_latency_s=0.004, context_tokens=32_000,
            about="like extract-small, but reads only the user turn: instructions have to stand there",
        ),
        SimModel(
            name="sim/extract-tiny", role="target", world="extract", input_per_mtok=0.05, output_per_mtok=0.2,
            base_latency_s=0.1, token_latency_s=0.002, context_tokens=8_000,
            about="invents values; no prompt helps enough",
        ),
    )  # fmt: skip
    _small_base = _mix(
        summary=0.97, fence=0.5, prose=0.25, rename=0.6, date=0.4, number=0.35, currency=0.12, boolean=0.1,
        null=0.6,
        party=0.65, delivery=0.45, part=0.5, value=0.01, shared=0.008,
    )  # fmt: skip
    _small_floor = _mix(party=0.01, delivery=0.008, part=0.01, null=0.015, value=0.004, shared=0.008)
    natures: ClassVar[Mapping[str, Nature]] = {
        "sim/extract-large": Nature(
            base=_mix(summary=0.5, fence=0.005, prose=0.003, rename=0.008, date=0.002, number=0.002,
            currency=0.001, boolean=0.001,
                      null=0.01, party=0.03, delivery=0.01, part=0.012, value=0.004, shared=0.008),
            floor=_mix(party=0.01, delivery=0.005, part=0.005, value=0.005, shared=0.008),
            obeys=0.99, imitates=0.99, attention_tokens=6000,
        ),
        "sim/extract-small": Nature(
            base=_small_base, floor=_small_floor, obeys=0.97, imitates=0.95, attention_tokens=800,
            reads_system=0.99,
        ),
        "sim/extract-userturn": Nature(
            base=_small_base, floor=_small_floor, obeys=0.97, imitates=0.95, attention_tokens=800,
            reads_system=0.0,
        ),
        "sim/extract-tiny": Nature(
            base=_mix(summary=0.98, fence=0.6, prose=0.4, rename=0.9, date=0.6, number=0.5, currency=0.4,
            boolean=0.4, null=0.8,
                      party=0.8, delivery=0.7, part=0.7, value=0.5, shared=0.008),
            floor=_mix(fence=0.04, prose=0.04, rename=0.05, date=0.08, number=0.05, null=0.3, party=0.4,
            delivery=0.4, part=0.4,
                       value=0.42, shared=0.008),
            obeys=0.75, imitates=0.85, attention_tokens=400,
        ),
    }  # fmt: skip

    def write(self, rng: random.Random, cast: Cast) -> tuple[str, str]:
        return write_order(rng, cast)

    def spans(self, text: str) -> list[Span]:
        return order_spans(text)

    def parse(self, row: str) -> Order | None:
        return read_order(row)

    def truth(self, facts: Order) -> str:
        return json.dumps(facts.values, ensure_ascii=False)

    def correct(self, output: str, expected: str) -> bool:
        try:
            return bool(json.loads(output) == json.loads(expected))
        except ValueError:
            return False

    def inline_answer(self, tail: str) -> str | None:
        head = tail.find("{")
        if head < 0 or head > 60:
            return None
        value = json_object(tail)
        return json.dumps(value) if value else None

    def study(self, text: str, demos: Sequence[Demo]) -> ExtractGuidance:
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

    def enforce(self, guidance: Guidance, response_format: Mapping[str, Any]) -> Guidance:
        assert isinstance(guidance, ExtractGuidance)
        if response_format.get("type") not in ("json_object", "json_schema"):
            return guidance
        named = set((response_format.get("json_schema") or {}).get("schema", {}).get("properties") or ())
        told = 1.0 if named >= set(KEYS) else 0.0
        return replace(
            guidance, enforced=True, json=1.0, keys=max(guidance.keys, told), number=max(guidance.number,
            told),
            boolean=max(guidance.boolean, told),
        )  # fmt: skip

    def ideal(self) -> ExtractGuidance:
        return ExtractGuidance(
            tokens=400, demos=4, signals=Signals(bare=1, raw_json=1, exact=1), json=1, keys=1, date=1,
            number=1, currency=1,
            boolean=1, null=1, party=1, placed=1, whole=1, shown=1, seen=frozenset({"null", "party",
            "delivery", "part"}),
        )  # fmt: skip

    def pressures(self, guidance: Guidance, facts: Order) -> Mapping[str, tuple[float, float]]:
        assert isinstance(guidance, ExtractGuidance)
        g, s = guidance, guidance.signals
        shown = g.shown
        clean = 1.0 if g.enforced else max(s.raw_json, 0.75 * s.bare)
        result = {
            "summary": (g.json, min(1.0, shown * 1.05)),
            "fence": (1.0 if g.enforced else max(s.raw_json, 0.5 * s.bare), shown),
            "prose": (0.5 * clean if s.explain and not g.enforced else clean, 0.0 if s.explain else shown),
            "rename": (g.keys, shown),
            "number": (g.number, shown),
            "currency": (g.currency, shown),
            "boolean": (g.boolean, shown),
            "value": (0.0, 0.5 * shown),
            "shared": (0.0, 0.0),
        }
        if facts.date:
            result["date"] = (g.date, shown)
        told = {"null": g.null, "party": g.party, "delivery": g.placed, "part": g.whole}
        for trait in traits(facts):
            result[trait] = (told[trait], (0.95 if trait in g.seen else 0.2) * shown)
        return result

    def render(self, facts: Order, struck: frozenset[str], guidance: Guidance, dice: Dice) -> str:  # noqa: ARG002
        if "summary" in struck:
            when = f", placed on {facts.date_text}" if facts.date_text else ""
            about = f"The e-mail confirms order {facts.order_id} for {facts.customer}{when}."
            return f"{about} The total is {facts.total_text}."
        values = _values(facts, struck, dice)
        if "rename" in struck:
            names = dice.pick("keys", _OTHER_KEYS)
            values = {names.get(key, key): value for key, value in values.items()}
        fenced, prose = "fence" in struck, "prose" in struck
        text = json.dumps(
            values, ensure_ascii=False, indent=2 if fenced or dice.chance("indent", 0.3) else None
        )
        if fenced:
            text = f"```json\n{text}\n```"
        before, after = dice.pick("prose", _PROSE) if prose else ("", "")
        return before + text + after


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


def _values(facts: Order, struck: frozenset[str], dice: Dice) -> dict[str, Any]:
    values = facts.values
    if "party" in struck:
        values["customer"] = facts.signer
    date_text = facts.date_text
    if "delivery" in struck:
        values["order_date"], date_text = facts.delivery, facts.delivery_text
    if "null" in struck:
        values["order_date"] = facts.delivery or dice.pick("missing", ("N/A", "", "not specified"))
    if "date" in struck and date_text:
        values["order_date"] = date_text
    total_text = facts.total_text
    if "part" in struck and facts.goods_text:
        values["total"], total_text = facts.goods, facts.goods_text
    if "number" in struck:
        values["total"] = dice.pick("amount", (total_text, total_text[1:]))
    if "currency" in struck:
        values["currency"] = facts.symbol
    if "boolean" in struck:
        values["rush"] = "yes" if facts.rush else "no"
    if "value" in struck or "shared" in struck:
        key = dice.pick("invented", ("order_id", "customer", "currency"))
        wrong = {
            "order_id": facts.order_id[:-1] + str((int(facts.order_id[-1]) + 1) % 10),
            "customer": facts.customer.split()[-1],
            "currency": next(code for code in SYMBOLS.values() if code != SYMBOLS[facts.symbol]),
        }
        values[key] = wrong[key]
    return values


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
