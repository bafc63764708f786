"""Meeting notes to a line that a machine reads: the content is easy, the form is all."""

from __future__ import annotations

import re

from benchmarks.worlds._base import Row, Rule, Trap, World

DAYS = {"Monday": "mo", "Tuesday": "tu", "Wednesday": "we", "Thursday": "th", "Friday": "fr"}


class Wire(World):
    name = "wire"
    about = "form alone: a line of four parts for a machine"
    prompt = "Turn this note into a booking line.\n\n{{note}}"
    topic = r"booking|line"
    ref = r"\bnote (\d{5})\b"
    rules = (
        Rule(
            name="chatter",
            said=(
                r"\b(only|just|nothing (else|but)|no (explanation|other|extra|prose)|single|one)\b",
                r"line|output|answer|reply",
            ),
            words=("Output the one line only.", "Reply with the line and nothing else."),
            alone=0.5,
            told=0.97,
            shown=0.93,
            everywhere=True,
        ),
        Rule(
            name="bars",
            said=(r"\||pipe|vertical bar",),
            words=("Separate the parts by | without spaces.", "The parts are joined with a pipe (|)."),
            alone=0.1,
            told=0.97,
            shown=0.9,
            everywhere=True,
        ),
        Rule(
            name="day",
            said=(r"day", r"two.letter|2.letter|two letters|abbrev|short|\bmo\b|\bwe\b"),
            words=(
                "The day is two small letters: mo, tu, we, th, fr.",
                "Shorten the day to two letters (mo, tu, we).",
            ),
            alone=0.2,
            told=0.96,
            shown=0.85,
            everywhere=True,
        ),
        Rule(
            name="clock",
            said=(r"time|hour|clock", r"24|four digits|4.digit|colon|hhmm|1430"),
            words=(
                "The time is four digits on the 24-hour clock, like 1430.",
                "Write the time as HHMM, no colon.",
            ),
            alone=0.25,
            told=0.96,
            shown=0.85,
            everywhere=True,
        ),
        Rule(
            name="room",
            said=(r"room", r"lower|small|hyphen|dash|room-"),
            words=(
                "The room is written like room-b, in lower case with a hyphen.",
                "Rooms in lower case: room-a, room-b.",
            ),
            alone=0.3,
            told=0.97,
            shown=0.88,
            everywhere=True,
        ),
        Rule(
            name="heads",
            said=(r"person|people|head|number|count|attend", r"\bp\b|\d+p\b|letter p|suffix"),
            words=("The number of persons ends with p, like 4p.", "Append p to the count of people (4p)."),
            alone=0.1,
            told=0.97,
            shown=0.88,
            everywhere=True,
        ),
    )
    traps = (
        Trap(
            said=(r"readable|friendly|polite|clear", r"line|sentence|note"),
            words="Make the line easy and friendly to read.",
            factor=0.85,
        ),
        Trap(said=(r"json|xml|table",), words="Answer as JSON.", factor=0.5),
    )

    def parts(self, ref: int) -> tuple[str, int, int, str, int]:
        rng = self.rng(ref)
        return (
            rng.choice(list(DAYS)),
            rng.randint(8, 18),
            rng.choice((0, 15, 30)),
            rng.choice("ABCD"),
            rng.randint(2, 9),
        )

    def row(self, ref: int) -> Row:
        day, hour, minute, room, heads = self.parts(ref)
        clock = f"{(hour - 1) % 12 + 1}:{minute:02d} {'am' if hour < 12 else 'pm'}"
        text = f"note {ref}: {heads} of us meet on {day} at {clock} in Room {room}."
        truth = f"{DAYS[day]}|{hour:02d}{minute:02d}|room-{room.lower()}|{heads}p"
        return Row(ref=ref, inputs={"note": text}, truth=truth, traits=frozenset())

    def say(self, row: Row, kept: frozenset[str]) -> str:
        day, hour, minute, room, heads = self.parts(row.ref)
        clock = f"{(hour - 1) % 12 + 1}:{minute:02d} {'am' if hour < 12 else 'pm'}"
        parts = [
            DAYS[day] if "day" in kept else day,
            f"{hour:02d}{minute:02d}" if "clock" in kept else clock,
            f"room-{room.lower()}" if "room" in kept else f"Room {room}",
            f"{heads}p" if "heads" in kept else f"{heads} persons",
        ]
        line = ("|" if "bars" in kept else ", ").join(parts)
        return line if "chatter" in kept else f"Booked as follows: {line}"

    def slip(self, row: Row, where: float) -> str:
        day, _, _, room, heads = self.parts(row.ref)
        return f"{DAYS[day]}|0000|room-{room.lower()}|{heads}p"

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        said, right = answer.strip().split("|"), row.truth.split("|")
        if len(said) != len(right):
            return 0.0, f"The machine cannot read {answer.strip()[:90]!r}; right is {row.truth!r}."
        same = sum(a == b for a, b in zip(said, right, strict=True)) / len(right)
        return (
            same,
            "The line is right." if same == 1 else f"Got {answer.strip()[:90]!r}, right is {row.truth!r}.",
        )

    def broken(self, row: Row, text: str) -> set[str]:
        day, hour, minute, room, heads = self.parts(row.ref)
        clock = f"{(hour - 1) % 12 + 1}:{minute:02d}"
        found = set()
        if "Booked as follows" in text:
            found.add("chatter")
        if re.search(rf"(?:{day}|{DAYS[day]}), ", text):
            found.add("bars")
        for name, sign in (
            ("day", day),
            ("clock", clock),
            ("room", f"Room {room}"),
            ("heads", f"{heads} persons"),
        ):
            if sign in text:
                found.add(name)
        return found
