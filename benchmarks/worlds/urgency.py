"""Reports of a lift company to urgencies, by a model that does not hear system messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.worlds._base import Row, Rule, Source, Trap, World


class Urgency(World):
    name = "urgency"
    about = "urgency of reports; the model ignores system messages"
    prompt: ClassVar[Source] = [
        {
            "role": "system",
            "content": "You rate how urgent a report about a lift is, from U1 (most urgent) to U4.",
        },
        {"role": "user", "content": "Site: {{site}}\nReport: {{report}}"},
    ]
    topic = r"report|lift|urgen"
    ref = r"\bLF(\d{5})\b"
    hears_system = False
    rules = (
        Rule(
            name="levels",
            said=(r"\bU1\b", r"\bU4\b"),
            whole=True,
            words=(
                "Rate the report's urgency from U1 (most urgent) to U4.",
                "The urgency of the report is U1, U2, U3 or U4.",
            ),
            alone=0.15,
            told=0.96,
            shown=0.75,
            everywhere=True,
        ),
        Rule(
            name="terse",
            said=(
                r"\b(only|just|nothing (else|but)|no (explanation|other|extra)|alone|single)\b",
                r"level|rating|answer|reply|U\d|urgency|label|output",
            ),
            words=("Answer with the level only.", "Just the level, no explanation."),
            alone=0.3,
            told=0.97,
            shown=0.92,
            everywhere=True,
        ),
        Rule(
            name="trapped",
            said=(r"trapped|stuck|inside|people in|person in", r"\bU1\b"),
            words=("Persons inside a stopped lift are U1.", "If somebody is stuck inside it is U1."),
            alone=0.45,
            told=0.96,
            shown=0.7,
        ),
        Rule(
            name="clinic",
            said=(r"clinic|hospital|medical|surgery", r"up|higher|more urgent|U1|U2|raise"),
            words=(
                "At a clinic everything is one level more urgent: a noise there is U2.",
                "Raise reports from clinics to U2.",
            ),
            alone=0.08,
            told=0.93,
            shown=0.6,
        ),
        Rule(
            name="again",
            said=(r"again|repeat|second|third|recurr|already|time", r"\bU2\b"),
            words=(
                "A fault that has come back again is U2.",
                "Recurring faults, the third time or so, are U2.",
            ),
            alone=0.1,
            told=0.93,
            shown=0.6,
        ),
        Rule(
            name="cosmetic",
            said=(r"paint|scratch|light|mirror|cosmetic|look", r"\bU4\b"),
            words=(
                "Scratches and other matters of looks are U4.",
                "Cosmetic damage such as a scratched mirror is U4.",
            ),
            alone=0.3,
            told=0.95,
            shown=0.65,
        ),
    )
    traps = (
        Trap(
            said=(r"safe side|cautio|when in doubt",),
            words="To be on the safe side choose the higher urgency.",
            factor=0.85,
        ),
    )

    def row(self, ref: int) -> Row:
        rng = self.rng(ref)
        kind = rng.choice(("trapped", "clinic", "again", "cosmetic", "plain"))
        site = rng.choice(("Mill Street 4", "North Tower", "Library", "Car park East"))
        when = rng.choice(("this morning", "since noon", "since yesterday"))
        if kind == "trapped":
            who = rng.choice(("two people are", "a child is"))
            text = f"it has stopped between floors {when} and {who} inside"
        elif kind == "clinic":
            site, text = rng.choice(("St Vitus clinic", "Lake clinic")), f"there is a humming noise {when}"
        elif kind == "again":
            text = f"the door jams {when}, for the {rng.choice(('third', 'fourth'))} time this month"
        elif kind == "cosmetic":
            text = f"the {rng.choice(('mirror', 'panel'))} is scratched {when}"
        else:
            text = f"the door closes slowly {when}"
        truth = {"trapped": "U1", "clinic": "U2", "again": "U2", "cosmetic": "U4", "plain": "U3"}[kind]
        report = f"LF{ref} {text}."
        traits = frozenset({kind} - {"plain"})
        return Row(ref=ref, inputs={"site": site, "report": report}, truth=truth, traits=traits)

    def naive(self, row: Row) -> str:
        kind = next(iter(row.traits), "")
        return {"trapped": "U2", "clinic": "U3", "again": "U3", "cosmetic": "U3"}.get(kind, row.truth)

    def say(self, row: Row, kept: frozenset[str]) -> str:
        level = row.truth if row.traits <= kept else self.naive(row)
        if "levels" not in kept:
            level = {"U1": "critical", "U2": "high", "U3": "medium", "U4": "low"}[level]
        return level if "terse" in kept else f"In my view the urgency here is {level}."

    def slip(self, row: Row, where: float) -> str:
        others = [level for level in ("U1", "U2", "U3", "U4") if level != row.truth]
        return others[int(where * 3)]

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        if answer.strip() == row.truth:
            return 1.0, "Right level."
        return 0.0, f"Got {answer.strip()[:80]!r}, right is {row.truth!r}."

    def broken(self, row: Row, text: str) -> set[str]:
        found = set()
        if "In my view the urgency" in text:
            found.add("terse")
        if re.search(r"\b(critical|high|medium|low)\b", text):
            found.add("levels")
        naive = self.naive(row)
        word = {"U1": "critical", "U2": "high", "U3": "medium", "U4": "low"}[naive]
        if row.traits and re.search(rf"\b({naive}|{word})\b", text):
            found |= row.traits
        return found

    def best(self, rows: Sequence[Row]) -> list[Source]:
        made = []
        text = " ".join(rule.words[0] for rule in self.rules)
        for size in (0, 4, 8):
            turns = [(demo.inputs, demo.truth) for demo in self.cover(rows, size)]
            source = self.assemble("You rate reports.", turns)
            assert isinstance(source, list)
            last = source[-1]
            made.append([*source[:-1], {"role": "user", "content": f"{text}\n\n{last['content']}"}])
        return list(made)
