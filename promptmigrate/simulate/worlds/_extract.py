"""Fields of purchase-order e-mails as JSON: smaller models fence, rename, reformat and mix up."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from promptmigrate.simulate._chance import Dice
from promptmigrate.simulate._reading import Demo, json_object
from promptmigrate.simulate._signals import Signals
from promptmigrate.simulate._types import SimModel
from promptmigrate.simulate.worlds._base import Guidance, Span, World
from promptmigrate.simulate.worlds._nature import Nature
from promptmigrate.simulate.worlds._order_prompts import ExtractGuidance, read_guidance, traits
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
        return read_guidance(text, demos)

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
