"""Small ads to be let through or held, by a model whose answers waver a lot."""

from __future__ import annotations

import re

from benchmarks.worlds._base import Reading, Row, Rule, Trap, World


class Adverts(World):
    name = "adverts"
    about = "let ads pass or hold them; one answer in seven is chance, and demos do harm"
    prompt = "Check this small ad before it is published: PASS or HOLD?\n\nAd: {{ad}}\nDecision:"
    topic = r"\bads?\b|advert"
    ref = r"\bAd-(\d{5})\b"
    noise = 0.14
    sticky = 0.4
    rules = (
        Rule(
            name="word",
            said=(
                r"\b(only|just|nothing (else|but)|no (explanation|other|extra)|one word|single|alone)\b",
                r"pass|hold|word|answer|decision|reply|output",
            ),
            words=(
                "Answer with the one word PASS or HOLD and nothing else.",
                "Only PASS or HOLD, no explanation.",
            ),
            alone=0.55,
            told=0.97,
            shown=0.95,
            everywhere=True,
        ),
        Rule(
            name="phone",
            said=(r"phone|number|contact", r"hold|not allowed|forbid"),
            words=("Ads with a phone number are on HOLD.", "HOLD whatever shows a phone number."),
            alone=0.2,
            told=0.95,
            shown=0.5,
        ),
        Rule(
            name="pets",
            said=(
                r"pet|animal|dog|cat|puppy|kitten",
                r"hold",
            ),
            words=("Living animals may not be sold: HOLD.", "HOLD ads for pets such as puppies."),
            alone=0.25,
            told=0.95,
            shown=0.5,
        ),
        Rule(
            name="knives",
            said=(r"knife|knives|blade|kitchen", r"pass"),
            words=("Kitchen knives are fine: PASS.", "PASS ordinary knives for the kitchen."),
            alone=0.2,
            told=0.95,
            shown=0.5,
        ),
    )
    traps = (
        Trap(
            said=(r"strict|careful|cautio|doubt", r"hold|strict"),
            words="Be strict: in doubt HOLD.",
            factor=0.85,
        ),
        Trap(
            said=(r"lenient|generous|benefit",), words="Give sellers the benefit of the doubt.", factor=0.85
        ),
    )

    def row(self, ref: int) -> Row:
        rng = self.rng(ref)
        kind = rng.choice(("phone", "pets", "knives", "fine", "fake"))
        thing = rng.choice(("oak table", "bicycle", "coat", "radio", "pram"))
        price = rng.choice(("30 crowns", "a fair price", "80 crowns"))
        if kind == "phone":
            text, truth = (
                f"{thing} for {price}, ring 0{rng.randint(411, 999)} {rng.randint(1000, 9999)}",
                "HOLD",
            )
        elif kind == "pets":
            text, truth = f"{rng.choice(('three puppies', 'a kitten', 'two parrots'))} for {price}", "HOLD"
        elif kind == "knives":
            text, truth = f"set of kitchen knives, sharp, {price}", "PASS"
        elif kind == "fake":
            text, truth = f"designer {thing}, first-class copy of the brand, {price}", "HOLD"
        else:
            text, truth = f"{thing}, hardly used, {price}", "PASS"
        traits = frozenset({kind} - {"fine", "fake"})
        return Row(ref=ref, inputs={"ad": f"Ad-{ref}: {text}."}, truth=truth, traits=traits)

    def share(self, rule: Rule, share: float, reading: Reading) -> float:
        # each demo draws some answers towards the last one shown
        demos = len(reading.right) + reading.wrong
        return share * (1.0 - 0.04 * min(demos, 5)) if rule.name != "word" else share

    def say(self, row: Row, kept: frozenset[str]) -> str:
        truth = row.truth
        if not row.traits <= kept:
            truth = "PASS" if truth == "HOLD" else "HOLD"
        return truth if "word" in kept else f"{truth} - judging by the wording of the ad."

    def slip(self, row: Row, where: float) -> str:
        return "PASS" if row.truth == "HOLD" else "HOLD"

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        if answer.strip() == row.truth:
            return 1.0, "Right decision."
        return 0.0, f"Got {answer.strip()[:80]!r}, right is {row.truth!r}."

    def broken(self, row: Row, text: str) -> set[str]:
        found = set()
        if "judging by the wording" in text:
            found.add("word")
        wrong = "PASS" if row.truth == "HOLD" else "HOLD"
        if row.traits and re.search(rf"\b{wrong}\b", text):
            found |= row.traits
        return found
