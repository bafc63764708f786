"""Purchase-order e-mails: what buyers write, and the facts that an order desk needs from them."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import Any

from promptmigrate.simulate.worlds._base import Span
from promptmigrate.simulate.worlds._people import FIRST, LAST, MONTH, Cast

KEYS = ("order_id", "customer", "order_date", "total", "currency", "rush")
SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP"}

_OPENINGS = (
    "please find our purchase order {order} attached",
    "this is to confirm purchase order {order}",
    "we would like to go ahead with {order}",
    "thank you for the quotation, our order number is {order}",
)
_PLACED = ("It was placed on {date}.", "The order is dated {date}.", "We placed it on {date}.")
_DELIVERY = (
    "Please deliver by {date}.",
    "We need the goods delivered by {date}.",
    "Delivery is expected by {date}.",
)
_TOTAL = ("The total is {total}.", "Total amount: {total}.", "The order comes to a total of {total}.")
_SPLIT_TOTAL = (
    "The goods come to {goods}, with shipping of {shipping} the total is {total}.",
    "Goods {goods} plus {shipping} for freight, total {total}.",
)
_BEHALF = ("I am ordering on behalf of {name}.", "I am sending this on behalf of {name}, who is travelling.")
_RUSH = ("This is a rush order.", "Please treat it as urgent.", "It is urgent, our stock is empty.")
_CALM = ("There is no hurry.", "No need to rush this one.", "Standard handling is fine.")
_PADDING = (
    "Please send the invoice to our accounts team at {email}.",
    "If anything is unclear, call me on {phone}.",
    "The delivery address is the same as last time.",
    "Please confirm receipt of this e-mail.",
    "We need {count} pieces, as discussed with your colleague {colleague}.",
    "Thanks for the good service last year.",
    "Our VAT number is on file.",
)
_GREETING = ("Hello,", "Dear order desk,", "Good afternoon,", "Hi,")
_CLOSING = ("Best regards,", "Kind regards,", "Sincerely,", "Thanks,")
_SUBJECTS = ("Purchase order", "New order", "Order from {company}", "Our order {order}")

_SPAN = re.compile(
    r"Subject: [^\n]{1,120}\n.{10,1800}?\n(?:Best regards|Kind regards|Sincerely|"
    r"Thanks),\n[A-Z][^\n]{1,60}\n[A-Z][^\n]{1,60}",
    re.DOTALL,
)
_ORDER = re.compile(r"\bPO-\d{5}\b")
_DATE = r"(\d{1,2} [A-Z][a-z]+ \d{4}|[A-Z][a-z]+ \d{1,2}, \d{4})"
_PLACED_AT = re.compile(r"(?:placed on|is dated|placed it on) " + _DATE)
_DELIVER_AT = re.compile(r"(?:deliver by|delivered by|expected by) " + _DATE)
_MONEY = r"([$€£][\d,]+\.\d\d)"
_TOTAL_AT = re.compile(r"(?:total is|Total amount:|total of|total) " + _MONEY)
_GOODS_AT = re.compile(r"(?:goods come to|Goods) " + _MONEY)
_BEHALF_OF = re.compile(r"on behalf of ([A-Z]\w+ [A-Z]\w+)")
_SIGNED = re.compile(r"\n(?:Best regards|Kind regards|Sincerely|Thanks),\n([^\n]+)\n")


@dataclass(frozen=True)
class Order:
    """The facts in an order e-mail; texts as written, dates also as YYYY-MM-DD."""

    order_id: str
    customer: str
    signer: str
    date_text: str | None
    date: str | None
    delivery_text: str | None
    delivery: str | None
    total_text: str
    total: float
    goods_text: str | None
    goods: float
    symbol: str
    rush: bool

    @property
    def values(self) -> dict[str, Any]:
        """The right answer."""
        return {
            "order_id": self.order_id, "customer": self.customer, "order_date": self.date,
            "total": self.total,
            "currency": SYMBOLS[self.symbol], "rush": self.rush,
        }  # fmt: skip


def iso(date: str) -> str:
    """``3 March 2025`` or ``March 3, 2025`` as ``2025-03-03``."""
    first, second, year = date.replace(",", "").split()
    day, month = (first, second) if first.isdigit() else (second, first)
    return f"{year}-{MONTH.index(month) + 1:02d}-{int(day):02d}"


def money(text: str) -> float:
    """``$1,249.50`` as 1249.5."""
    return float(text[1:].replace(",", ""))


def order_spans(text: str) -> list[Span]:
    """Where order e-mails stand in a text."""
    return [m.span() for m in _SPAN.finditer(text) if _ORDER.search(m[0])] if "Subject: " in text else []


def read_order(text: str) -> Order | None:
    """The facts in an order e-mail, None if it is not one."""
    order, total, signed = _ORDER.search(text), _TOTAL_AT.search(text), _SIGNED.search(text)
    if not (order and total and signed):
        return None
    behalf, placed = _BEHALF_OF.search(text), _PLACED_AT.search(text)
    deliver, goods = _DELIVER_AT.search(text), _GOODS_AT.search(text)
    lowered = text.lower()
    return Order(
        order_id=order[0],
        customer=behalf[1] if behalf else signed[1],
        signer=signed[1],
        date_text=placed[1] if placed else None,
        date=iso(placed[1]) if placed else None,
        delivery_text=deliver[1] if deliver else None,
        delivery=iso(deliver[1]) if deliver else None,
        total_text=total[1],
        total=money(total[1]),
        goods_text=goods[1] if goods else None,
        goods=money(goods[1]) if goods else 0.0,
        symbol=total[1][0],
        rush="a rush order" in lowered or "urgent" in lowered,
    )


def write_order(rng: random.Random, cast: Cast) -> tuple[str, str]:
    """A new order e-mail and its facts as JSON."""

    def date(year: int) -> str:
        month, day = rng.choice(MONTH), rng.randrange(1, 29)
        return f"{day} {month} {year}" if rng.random() < 0.6 else f"{month} {day}, {year}"

    symbol = rng.choice("$$€€£")
    goods, shipping = rng.randrange(4_000, 900_000) / 100, rng.randrange(900, 9_900) / 100
    slots = {
        "order": f"PO-{rng.randrange(10_000, 99_999)}", "name": f"{rng.choice(FIRST)} {rng.choice(LAST)}",
        "goods": f"{symbol}{goods:,.2f}", "shipping": f"{symbol}{shipping:,.2f}", "email": cast.email,
        "phone": cast.phone, "count": str(rng.randrange(5, 400)), "colleague": rng.choice(FIRST),
        "company": cast.company,
    }  # fmt: skip
    split = rng.random() < 0.25
    slots["total"] = f"{symbol}{goods + shipping if split else goods:,.2f}"
    year = rng.choice((2024, 2025))
    placed = rng.choice(_PLACED).replace("{date}", date(year)) if rng.random() < 0.88 else ""
    delivery = rng.choice(_DELIVERY).replace("{date}", date(year)) if rng.random() < 0.4 else ""
    dates = [delivery, placed] if rng.random() < 0.6 else [placed, delivery]
    behalf = rng.choice(_BEHALF) if rng.random() < 0.22 else ""
    mood = rng.random()
    haste = rng.choice(_RUSH) if mood < 0.3 else rng.choice(_CALM) if mood < 0.5 else ""
    opening = rng.choice(_OPENINGS)
    middle = [*dates, behalf, rng.choice(_SPLIT_TOTAL if split else _TOTAL)]
    sentences = [
        opening[0].upper() + opening[1:] + ".",
        *middle,
        haste,
        *rng.sample(_PADDING, rng.choice((0, 1, 2))),
    ]
    body = " ".join(s for s in sentences if s).format(**slots)
    text = (
        f"Subject: {rng.choice(_SUBJECTS).format(**slots)}\n{rng.choice(_GREETING)}\n{body}\n"
        f"{rng.choice(_CLOSING)}\n{cast.first} {cast.last}\n{cast.company}"
    )
    facts = read_order(text)
    assert facts is not None
    return text, json.dumps(facts.values, ensure_ascii=False)
