"""Orders of a print shop to prices: sums that come out right only when they are worked out."""

from __future__ import annotations

import re
from typing import ClassVar

from benchmarks.worlds._base import Reading, Row, Rule, Source, Trap, World


class Sums(World):
    name = "sums"
    about = "arithmetic that needs working, then a fixed last line"
    prompt: ClassVar[Source] = [
        {"role": "system", "content": "You work out the price of orders for a print shop."},
        {"role": "user", "content": "{{order}}"},
    ]
    topic = r"price|order"
    ref = r"\bOrder (\d{5})\b"
    rules = (
        Rule(
            name="working",
            said=(
                r"step|working|work (it|this|the|each|out)|line by line|reason|intermediate|"
                r"show how|calculat",
                r"step|before|first|then|each|show|one after",
            ),
            words=(
                "Show your working step by step before the result.",
                "Work it out line by line first, one step after another.",
            ),
            alone=0.35,
            told=0.94,
            shown=0.65,
            everywhere=True,
        ),
        Rule(
            name="line",
            said=(r"total:", r"last|end|final|finish|clos"),
            words=(
                "The last line is 'TOTAL: ' and the amount in cents, like TOTAL: 1250.",
                "End with a line of the form TOTAL: <cents>.",
            ),
            alone=0.05,
            told=0.96,
            shown=0.7,
            everywhere=True,
        ),
        Rule(
            name="cents",
            said=(r"cent", r"whole|integer|amount|total|result|price|in cents|form"),
            words=("Give the amount in whole cents.", "The total is an integer number of cents, not euros."),
            alone=0.15,
            told=0.95,
            shown=0.7,
            everywhere=True,
        ),
        Rule(
            name="packs",
            said=(r"pack", r"round|full|whole|started|begun", r"\bten\b|\b10\b|up"),
            words=(
                "Copies are sold in packs of ten: round up to full packs.",
                "Round the number of copies up to the next full pack of 10.",
            ),
            alone=0.12,
            told=0.93,
            shown=0.4,
        ),
        Rule(
            name="rush",
            said=(r"rush|express|urgent|same.day", r"half|50|1\.5"),
            words=("A rush order costs half as much again (x 1.5).", "Add 50 % to rush orders."),
            alone=0.1,
            told=0.93,
            shown=0.4,
        ),
    )
    traps = (
        Trap(
            said=(r"\b(only|just|nothing but)\b", r"number|amount|answer|result|total|price"),
            words="Reply with just the amount.",
            factor=0.95,
        ),
        Trap(said=(r"euro", r"two decimals|decimal"), words="Write euros with two decimals.", factor=0.7),
    )

    def sum(self, row: Row, kept: frozenset[str]) -> tuple[int, list[str]]:
        """The price in cents under the kept rules, and the working."""
        copies, cents, rush = self._order(row.ref)
        lines = []
        if "packs" in row.traits and "packs" in kept:
            copies = -(-copies // 10) * 10
            lines.append(f"full packs: {copies} copies")
        total = copies * cents
        lines.append(f"{copies} x {cents} = {total}")
        if rush and "rush" in kept:
            total = total * 3 // 2
            lines.append(f"x 1.5 = {total}")
        return total, lines

    def _order(self, ref: int) -> tuple[int, int, bool]:
        rng = self.rng(ref)
        copies = rng.randint(11, 89)
        if rng.random() < 0.6:
            copies = copies // 10 * 10 + 10
        return copies, rng.choice((4, 6, 8, 12, 14, 22)), rng.random() < 0.35

    def row(self, ref: int) -> Row:
        rng = self.rng(-ref)
        copies, cents, rush = self._order(ref)
        name = rng.choice(("The Osei bakery", "A choir", "The chess club", "Dr Varga", "The flower shop"))
        what = rng.choice(("flyers", "menus", "programmes", "cards"))
        text = f"Order {ref}: {name} wants {copies} {what} at {cents} cents each"
        text += (
            rng.choice((", as a rush job.", ", needed in a rush."))
            if rush
            else rng.choice((".", ", no hurry."))
        )
        traits = frozenset(({"packs"} if copies % 10 else set()) | ({"rush"} if rush else set()))
        row = Row(ref=ref, inputs={"order": text}, truth="", traits=traits)
        total, lines = self.sum(row, frozenset({"packs", "rush"}))
        truth = "\n".join([*lines, f"TOTAL: {total}"])
        return Row(ref=ref, inputs={"order": text}, truth=truth, traits=traits)

    def share(self, rule: Rule, share: float, reading: Reading) -> float:
        bare = re.search(
            r"\b(only|just|nothing but)\b.{0,40}\b(number|amount|answer|result|total|line)\b",
            reading.text,
            re.I,
        )
        if rule.name != "working" or not bare:
            return share
        return min(share, 0.6 if len(reading.right) > 2 else 0.4)  # demos that work it out are a hint

    def say(self, row: Row, kept: frozenset[str]) -> str:
        total, lines = self.sum(row, kept)
        if "working" not in kept:
            total += 10 if total % 3 else -20
            lines = []
        shown = str(total) if "cents" in kept else f"{total / 100:.2f} euros"
        last = f"TOTAL: {shown}" if "line" in kept else f"So they pay {shown} altogether."
        return "\n".join([*lines, last])

    def slip(self, row: Row, where: float) -> str:
        return f"TOTAL: {int(where * 900) + 7}"

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        right = row.truth.rsplit("TOTAL: ", 1)[1]
        last = answer.strip().rsplit("\n", 1)[-1].strip()
        if last == f"TOTAL: {right}":
            return 1.0, "The price is right."
        return 0.0, f"The last line is {last[:80]!r}, right is 'TOTAL: {right}'. Worked out: {row.truth}"

    def broken(self, row: Row, text: str) -> set[str]:
        found = set()
        if "So they pay" in text:
            found.add("line")
        if re.search(r"\d\.\d\d euros", text):
            found.add("cents")
        everything = frozenset({"packs", "rush"})
        said = {int(n.replace(".", "")) for n in re.findall(r"(?:TOTAL: |pay )(\d+(?:\.\d\d)?)", text)}
        right = self.sum(row, everything)[0]
        for rule in row.traits:
            if self.sum(row, everything - {rule})[0] in said - {right}:
                found.add(rule)
        if said - {right} and not found & everything:
            found.add("working")
        return found
