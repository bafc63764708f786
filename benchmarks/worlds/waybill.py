"""Fields of a waybill to a JSON object, with the customs of one warehouse."""

from __future__ import annotations

import json
import re
from typing import Any

from benchmarks.worlds._base import Row, Rule, Trap, World

FIELDS = ("carrier", "weight_kg", "ship_date", "fragile", "contact")
OTHERS = {
    "carrier": "haulier",
    "weight_kg": "weight",
    "ship_date": "date",
    "fragile": "breakable",
    "contact": "person",
}
MONTHS = ("January", "March", "May", "July", "October", "December")
NUMBER = {"January": 1, "March": 3, "May": 5, "July": 7, "October": 10, "December": 12}


class Waybill(World):
    name = "waybill"
    about = "five fields to JSON: keys, dates, units, absent values"
    prompt = (
        "Read this waybill and give carrier, weight, shipping date, whether it is fragile, and the contact "
        "as JSON.\n\nWaybill: {{waybill}}"
    )
    topic = r"waybill"
    ref = r"\bWB (\d{5})\b"
    rules = (
        Rule(
            name="pure",
            said=(
                r"\b(only|just|nothing (else|but)|no (markdown|fence|code|other|extra|explanation|prose)|"
                r"without)\b",
                r"json|object|fence|markdown",
            ),
            words=(
                "Return only the JSON object, without a code fence.",
                "Reply with nothing but the JSON object, no markdown.",
            ),
            alone=0.35,
            told=0.97,
            shown=0.7,
            everywhere=True,
        ),
        Rule(
            name="keys",
            said=tuple(rf"\b{key}\b" for key in FIELDS),
            whole=True,
            words=(f"The keys are {', '.join(FIELDS)}.", f"Use exactly these keys: {', '.join(FIELDS)}."),
            alone=0.1,
            told=0.97,
            shown=0.65,
            everywhere=True,
        ),
        Rule(
            name="iso",
            said=(r"date", r"iso|yyyy|year.?month|\d{4}-\d\d-\d\d"),
            words=("Write the date as YYYY-MM-DD.", "Dates are ISO 8601, like 2026-05-09."),
            alone=0.25,
            told=0.96,
            shown=0.6,
            everywhere=True,
        ),
        Rule(
            name="tonnes",
            said=(r"tonne|\bt\b|\btons?\b|1000|1,000", r"kg|kilogram|weight"),
            words=(
                "A weight in tonnes is turned into kg (1 t = 1000 kg).",
                "Convert tonnes: the weight is always in kilograms.",
            ),
            alone=0.15,
            told=0.93,
            shown=0.6,
        ),
        Rule(
            name="absent",
            said=(r"null", r"contact|missing|absent|not (given|stated|named|mentioned)|unknown|no "),
            words=("Where no contact is named, contact is null.", "Use null for a missing contact."),
            alone=0.1,
            told=0.95,
            shown=0.75,
        ),
        Rule(
            name="glass",
            said=(r"fragile", r"glass|ceramic|porcelain|vase"),
            words=(
                "Glass and ceramic goods are always fragile, even if the note does not say so.",
                "Set fragile to true for glass or porcelain.",
            ),
            alone=0.1,
            told=0.94,
            shown=0.6,
        ),
        Rule(
            name="number",
            said=(r"number|numeric|digits|no unit|without (a )?unit", r"weight|kg"),
            words=("The weight is a number without unit.", "Write weight_kg as a plain number, not as text."),
            alone=0.3,
            told=0.97,
            shown=0.65,
            everywhere=True,
        ),
    )
    traps = (
        Trap(
            said=(r"(step by step|explain|describe).{0,60}", r"before|first|fields?"),
            words="First describe the waybill step by step before you give the fields.",
            factor=0.7,
        ),
        Trap(
            said=(r"omit|leave out|skip", r"missing|absent|unknown|empty"),
            words="Leave out fields that are missing.",
            factor=0.88,
        ),
    )

    def facts(self, ref: int) -> tuple[dict[str, Any], dict[str, str], set[str]]:
        """The right object, how the note words it, and the traits."""
        rng = self.rng(ref)
        traits: set[str] = set()
        tonnes = rng.random() < 0.3
        kg = rng.choice((1200, 1500, 2400, 3000, 4500)) if tonnes else rng.randint(12, 980)
        traits |= {"tonnes"} if tonnes else set()
        year, month, day = 2026, rng.choice(MONTHS), rng.randint(1, 28)
        goods = rng.choice(
            ("glass panes", "porcelain", "ceramic tiles", "pipes", "textiles", "books", "screws", "paper")
        )
        glass = goods in ("glass panes", "porcelain", "ceramic tiles")
        traits |= {"glass"} if glass else set()
        contact = rng.choice(("Ms Oduya", "Mr Brandt", "Ms Leclerc", "Mr Ito", None, None))
        traits |= {"absent"} if contact is None else set()
        carrier = rng.choice(("Nordfracht", "Alvarez Cargo", "Blue Quay", "Tamm Lines"))
        truth = {
            "carrier": carrier,
            "weight_kg": kg,
            "ship_date": f"{year}-{NUMBER[month]:02d}-{day:02d}",
            "fragile": glass,
            "contact": contact,
        }
        words = {
            "weight": f"{kg / 1000:g} t" if tonnes else f"{kg} kg",
            "date": f"{day} {month} {year}",
            "goods": goods,
        }
        return truth, words, traits

    def row(self, ref: int) -> Row:
        truth, words, traits = self.facts(ref)
        text = (
            f"WB {ref}: {words['goods']} with {truth['carrier']}, leaving on {words['date']}, "
            f"{words['weight']} in all."
        )
        text += f" Ask for {truth['contact']}." if truth["contact"] else " Deliver to the ramp."
        return Row(ref=ref, inputs={"waybill": text}, truth=json.dumps(truth), traits=frozenset(traits))

    def say(self, row: Row, kept: frozenset[str]) -> str:
        truth, words, _ = self.facts(row.ref)
        made: dict[str, Any] = dict(truth)
        if "tonnes" in row.traits and "tonnes" not in kept:
            made["weight_kg"] = truth["weight_kg"] / 1000
        if "number" not in kept:
            made["weight_kg"] = (
                words["weight"] if made["weight_kg"] == truth["weight_kg"] else f"{made['weight_kg']:g} t"
            )
        if "iso" not in kept:
            made["ship_date"] = words["date"]
        if "absent" in row.traits and "absent" not in kept:
            made["contact"] = "N/A"
        if "glass" in row.traits and "glass" not in kept:
            made["fragile"] = False
        if "keys" not in kept:
            made = {OTHERS[key]: value for key, value in made.items()}
        body = json.dumps(made)
        return body if "pure" in kept else f"Here is the waybill:\n```json\n{body}\n```"

    def slip(self, row: Row, where: float) -> str:
        made = json.loads(row.truth)
        made["carrier"] = "unknown"
        made["weight_kg"] = int(where * 1000)
        return json.dumps(made)

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        truth = json.loads(row.truth)
        try:
            made = json.loads(answer)
        except ValueError:
            return 0.0, f"The answer is not JSON as a whole; right is {row.truth}."
        if not isinstance(made, dict):
            return 0.0, f"The answer is not an object; right is {row.truth}."
        same = [
            made.get(key, ...) == value and type(made.get(key)) is type(value) for key, value in truth.items()
        ]
        wrong = [
            f"{k} is {made.get(k, '(absent)')!r}, right is {json.dumps(v)}"
            for (k, v), ok in zip(truth.items(), same, strict=True)
            if not ok
        ]
        extra = set(made) - set(truth)
        score = sum(same) / len(same) if not extra else max(0.0, sum(same) / len(same) - 0.2)
        return score, "All fields are right." if score >= 1 else "; ".join(wrong)

    def broken(self, row: Row, text: str) -> set[str]:
        truth, words, _ = self.facts(row.ref)
        text = text.replace('\\"', '"')
        found = set()
        if "Here is the waybill" in text:
            found.add("pure")
        if re.search(rf"\b({'|'.join(OTHERS.values())})\"\s*:", text):
            found.add("keys")
        if words["date"] in text:
            found.add("iso")
        if re.search(r"[\"'][\d.]+ (kg|t)[\"']", text):
            found.add("number")
        if "tonnes" in row.traits and re.search(rf"[ \"']{truth['weight_kg'] / 1000:g}( t|[\",'\s}}])", text):
            found.add("tonnes")
        if "absent" in row.traits and "N/A" in text:
            found.add("absent")
        if "glass" in row.traits and re.search(r"(fragile|breakable)\W+(is )?false", text, re.I):
            found.add("glass")
        return found
