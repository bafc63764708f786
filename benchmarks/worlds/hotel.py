"""Guests' requests go to a hotel's desks, by rules that only the house knows."""

from __future__ import annotations

import re

from benchmarks.worlds._base import Row, Rule, Trap, World

DESKS = {
    "Reception": "Front office",
    "Housekeeping": "Room cleaning",
    "Kitchen": "Restaurant",
    "Engineering": "Repairs",
    "Spa": "Wellness",
    "Security": "Guards",
    "Banquets": "Events",
}
PLAIN = {
    "Reception": ("would like a late check-out", "asks for a taxi to the airport", "wants the bill by mail"),
    "Housekeeping": ("has no towels left", "needs the bed made again", "asks for two more pillows"),
    "Kitchen": ("orders breakfast to the bed", "wants a club sandwich", "asks when dinner starts"),
    "Engineering": ("says the shower drips", "cannot switch the heating on", "reports a dead lamp"),
    "Spa": ("books a massage", "asks for a sauna slot", "wants to move a facial"),
}


class Hotel(World):
    name = "hotel"
    about = "requests to desks, five house rules and two of form"
    prompt = (
        "A guest of our hotel has sent the request below. Say which desk should deal with it.\n\n"
        "Request: {{request}}\nDesk:"
    )
    topic = r"desk"
    ref = r"\[R-(\d{5})\]"
    rules = (
        Rule(
            name="bare",
            said=(
                r"\b(only|just|nothing (else|but)|single|one word|alone|no (explanation|other|extra))\b",
                r"\b(desk|name|label|answer|output|respond|reply|word|response)\b",
            ),
            words=("Answer with the desk's name only.", "Give just the name of the desk, no explanation."),
            alone=0.3,
            told=0.97,
            shown=0.9,
            everywhere=True,
        ),
        Rule(
            name="vocabulary",
            said=tuple(rf"\b{desk}\b" for desk in DESKS),
            whole=True,
            words=(f"The desks are {', '.join(DESKS)}.", f"Choose one of: {', '.join(DESKS)}."),
            alone=0.4,
            told=0.96,
            shown=0.6,
            everywhere=True,
        ),
        Rule(
            name="night",
            said=(r"nois|loud|party", r"security", r"night|22|ten|late|after"),
            words=("Noise after 22:00 is for Security.", "Loud neighbours late at night belong to Security."),
            alone=0.1,
            told=0.94,
            shown=0.65,
        ),
        Rule(
            name="suite",
            said=(
                r"suite|9\d\d\b|ninth|room.{0,20}9",
                r"reception",
                r"broken|repair|defect|fault|engineering|technical",
            ),
            words=(
                "Anything broken in a suite goes to Reception, not to Engineering.",
                "Defects in suites are handled by Reception first.",
            ),
            alone=0.08,
            told=0.94,
            shown=0.65,
        ),
        Rule(
            name="allergy",
            said=(r"allerg", r"kitchen"),
            words=(
                "Whatever mentions an allergy goes to the Kitchen.",
                "Requests with an allergy are for the Kitchen, even about pillows or creams.",
            ),
            alone=0.12,
            told=0.95,
            shown=0.65,
        ),
        Rule(
            name="lost",
            said=(r"lost|left behind|missing|misplaced|forgot", r"security"),
            words=("Lost property is looked after by Security.", "Send lost or missing items to Security."),
            alone=0.1,
            told=0.95,
            shown=0.65,
        ),
        Rule(
            name="group",
            said=(
                r"group|party of|people|persons|guests",
                r"banquets",
                r"six|seven|\b6\b|\b7\b|large|more than|big",
            ),
            words=(
                "Tables for more than six persons are for Banquets.",
                "Groups of seven people or more go to Banquets, not to the Kitchen.",
            ),
            alone=0.1,
            told=0.94,
            shown=0.65,
        ),
    )
    traps = (
        Trap(
            said=(r"unsure|doubt|unclear", r"reception"), words="When in doubt choose Reception.", factor=0.9
        ),
        Trap(
            said=(r"explain|justify|reason", r"brief|why|sentence"),
            words="Explain in one sentence why.",
            factor=0.75,
        ),
    )

    def row(self, ref: int) -> Row:
        rng = self.rng(ref)
        room = rng.randint(101, 899)
        kind = rng.choice(("night", "suite", "allergy", "lost", "group", *[""] * 5))
        if kind == "night":
            text, truth = rng.choice(("hears a loud party", "complains about noise next door")), "Security"
            text += f" at {rng.choice(('22:40', '23:15', 'half past eleven', '01:20'))}"
        elif kind == "suite":
            room, truth = rng.randint(901, 924), "Reception"
            text = f"in the suite says the {rng.choice(('blind', 'safe', 'minibar', 'tap'))} is broken"
        elif kind == "allergy":
            text, truth = (
                rng.choice(
                    (
                        "has a feather allergy and wants another pillow",
                        "is allergic to the massage oil",
                        "mentions an allergy to the washing powder",
                    )
                ),
                "Kitchen",
            )
        elif kind == "lost":
            text = f"left {rng.choice(('a ring', 'a phone', 'a scarf', 'glasses'))} in the room after leaving"
            truth = "Security"
        elif kind == "group":
            text = f"wants a table for {rng.choice(('nine', 'twelve', 'eight', 'fifteen'))} tonight"
            truth = "Banquets"
        else:
            truth = rng.choice(list(PLAIN))
            text = rng.choice(PLAIN[truth])
        text = f"[R-{ref}] The guest of room {room} {text}."
        if rng.random() < 0.3:
            text += rng.choice((" They sound annoyed.", " They have stayed before.", " It is a birthday."))
        traits = {kind} if kind else set()
        return Row(ref=ref, inputs={"request": text}, truth=truth, traits=frozenset(traits))

    def naive(self, row: Row) -> str:
        """The desk that somebody without the house rules would choose."""
        text = row.inputs["request"]
        kind = next(iter(row.traits), "")
        if kind == "allergy":
            return "Spa" if "massage" in text else "Housekeeping"
        return {"night": "Reception", "suite": "Engineering", "lost": "Housekeeping", "group": "Kitchen"}.get(
            kind, row.truth
        )

    def say(self, row: Row, kept: frozenset[str]) -> str:
        desk = row.truth if row.traits <= kept else self.naive(row)
        if "vocabulary" not in kept:
            desk = DESKS[desk]
        return desk if "bare" in kept else f"I would pass this on to **{desk}**, given what the guest writes."

    def slip(self, row: Row, where: float) -> str:
        others = [desk for desk in DESKS if desk != row.truth]
        return others[int(where * len(others))]

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        said = answer.strip()
        if said == row.truth:
            return 1.0, "Right desk."
        return 0.0, f"The answer was {said[:80]!r}; the right answer is {row.truth!r}."

    def broken(self, row: Row, text: str) -> set[str]:
        found = set()
        if re.search(r"pass this on to \*\*", text):
            found.add("bare")
        if any(re.search(rf"\b{other}\b", text) for other in DESKS.values()):
            found.add("vocabulary")
        naive = self.naive(row)
        if row.traits and re.search(rf"\b({naive}|{DESKS[naive]})\b", text):
            found |= row.traits
        return found
