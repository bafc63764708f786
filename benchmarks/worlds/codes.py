"""Remarks in a dialect to codes: nobody can say the meaning well, examples show it."""

from __future__ import annotations

import re

from benchmarks.worlds._base import Row, Rule, Trap, World

FAMILIES = {
    "K7": ("gleffy", "snorrid", "quabbed"),
    "M2": ("tunderly", "wimmocked", "drassy"),
    "P9": ("fobbish", "yarkled", "hemmerous"),
    "R4": ("plonset", "vixled", "brambly-wise"),
    "T1": ("osterous", "jinkled", "mawlish"),
    "X5": ("crundle-ish", "peffled", "lorrimy"),
}


def _family(code: str, words: tuple[str, ...]) -> Rule:
    return Rule(
        name=code,
        said=(rf"\b{code}\b", rf"{words[0]}|{words[1]}|{words[2]}"),
        words=(
            f"Words like {words[0]}, {words[1]} or {words[2]} are {code}.",
            f"{code}: {words[0]} and its kind.",
        ),
        alone=0.12,
        told=0.5,
        shown=0.92,
    )


class Codes(World):
    name = "codes"
    about = "dialect remarks to codes: demos matter most"
    prompt = "Which code fits the remark?\n\nRemark: {{remark}}\nCode:"
    topic = r"remark|code"
    ref = r"\((\d{5})\)"
    rules = (
        Rule(
            name="code",
            said=(
                r"\b(only|just|nothing (else|but)|no (explanation|other|extra)|alone|single)\b",
                r"code|answer|reply|output",
            ),
            words=("Answer with the code only.", "Just the code, nothing else."),
            alone=0.4,
            told=0.97,
            shown=0.93,
            everywhere=True,
        ),
        *(_family(code, words) for code, words in FAMILIES.items()),
    )
    traps = (
        Trap(
            said=(r"explain|why|reason|think",),
            words="Think about the remark and explain the code.",
            factor=0.75,
        ),
    )

    def row(self, ref: int) -> Row:
        rng = self.rng(ref)
        code = rng.choice(list(FAMILIES))
        word = rng.choice(FAMILIES[code])
        thing = rng.choice(("the weather", "that ferry", "this soup", "my uncle", "the new road", "the fair"))
        text = rng.choice(
            (
                f"I call {thing} right {word}.",
                f"Well, {thing} was {word} again.",
                f"They say {thing} is {word}, they do.",
            )
        )
        return Row(ref=ref, inputs={"remark": f"({ref}) {text}"}, truth=code, traits=frozenset({code}))

    def naive(self, row: Row) -> str:
        codes = [code for code in FAMILIES if code != row.truth]
        return codes[row.ref % len(codes)]

    def say(self, row: Row, kept: frozenset[str]) -> str:
        code = row.truth if row.traits <= kept else self.naive(row)
        return code if "code" in kept else f"My best guess would be code {code}."

    def slip(self, row: Row, where: float) -> str:
        return self.naive(row)

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        if answer.strip() == row.truth:
            return 1.0, "Right code."
        return 0.0, f"Got {answer.strip()[:60]!r}, right is {row.truth!r}."

    def broken(self, row: Row, text: str) -> set[str]:
        found = set()
        if "best guess would be code" in text:
            found.add("code")
        if re.search(rf"\b{self.naive(row)}\b", text):
            found |= row.traits
        return found
