"""Minutes of a village council to tags: long texts, several right answers at once."""

from __future__ import annotations

import re

from benchmarks.worlds._base import Row, Rule, Trap, World

TAGS = {
    "roads": ("resurfacing Church Lane", "the bridge over the brook", "new kerbs in Mill Road"),
    "school": ("a second teacher", "the school kitchen", "the playground fence"),
    "water": ("the pump house", "a leak at the reservoir", "new water meters"),
    "culture": ("the brass band", "the summer fair", "opening hours of the museum"),
    "housing": ("six flats at the mill", "the old station house", "plots behind the church"),
    "waste": ("a second bottle bank", "bins at the bus stop", "garden waste in spring"),
}
OTHER = {
    "roads": "traffic",
    "school": "education",
    "water": "utilities",
    "culture": "leisure",
    "housing": "building",
    "waste": "rubbish",
    "money": "finance",
}
FILLER = (
    "The chair thanked everybody for coming in spite of the rain.",
    "The last minutes were approved with one correction of a name.",
    "Mrs Holm asked about the parking of vans and was told to write.",
    "There was coffee, and the heating was praised.",
    "The clerk reported on letters received since spring.",
    "Mr Adeyemi was absent with apologies.",
    "The next meeting is on the second Tuesday as usual.",
    "A member of the public read a poem.",
)


class Minutes(World):
    name = "minutes"
    about = "tags of long minutes, graded by overlap (F1)"
    prompt = "Tag the topics of these council minutes.\n\n{{minutes}}\n\nTags:"
    topic = r"minutes|tag"
    ref = r"\bMinutes no\. (\d{5})\b"
    noise = 0.04
    rules = (
        Rule(
            name="list",
            said=(r"comma|separated",),
            words=(
                "Write the tags separated by commas on one line.",
                "Output a comma-separated list of tags.",
            ),
            alone=0.4,
            told=0.97,
            shown=0.8,
            everywhere=True,
        ),
        Rule(
            name="names",
            said=tuple(rf"\b{tag}\b" for tag in TAGS),
            whole=True,
            words=(
                f"Allowed tags: {', '.join((*TAGS, 'money'))}.",
                f"Use the tags {', '.join((*TAGS, 'money'))}.",
            ),
            alone=0.25,
            told=0.96,
            shown=0.6,
            everywhere=True,
        ),
        Rule(
            name="decided",
            said=(
                r"decid|vote|resol|agreed|approved|adopt",
                r"only|not|ignore|leave|merely|postpon|discuss|defer",
            ),
            words=(
                "Tag only what was decided, not what was postponed.",
                "Ignore topics that were merely discussed or deferred; tag those that were voted.",
            ),
            alone=0.1,
            told=0.93,
            shown=0.3,
        ),
        Rule(
            name="money",
            said=(r"money", r"amount|sum|thousand|crown|10,?000|large|above|over|more than"),
            words=(
                "Add the tag money when an amount above 10,000 crowns is named.",
                "A sum over 10000 also gets the tag money.",
            ),
            alone=0.1,
            told=0.93,
            shown=0.35,
        ),
    )
    traps = (
        Trap(
            said=(r"\b(every|all|as many)\b", r"\b(topic|tag)"),
            words="List every topic that comes up, as many tags as fit.",
            factor=0.8,
        ),
        Trap(said=(r"summar",), words="Summarise the minutes first.", factor=0.75),
    )

    def row(self, ref: int) -> Row:
        rng = self.rng(ref)
        tags = rng.sample(list(TAGS), rng.choice((2, 3, 3)))
        open_ = rng.random() < 0.5 and len(tags) > 1
        rich = rng.random() < 0.45
        lines = []
        for index, tag in enumerate(tags):
            what = rng.choice(TAGS[tag])
            if open_ and index == len(tags) - 1:
                lines.append(f"As to {what}, views differed and the matter was put off.")
            else:
                lines.append(f"It was resolved to go ahead with {what}.")
        if rich:
            lines.append(f"This will cost {rng.randint(11, 80)},500 crowns.")
        body = rng.sample(FILLER, 5)
        for line in lines:
            body.insert(rng.randint(0, len(body)), line)
        decided = sorted(tags[:-1] if open_ else tags) + (["money"] if rich else [])
        traits = ({"decided"} if open_ else set()) | ({"money"} if rich else set())
        text = f"Minutes no. {ref}. " + " ".join(body)
        return Row(ref=ref, inputs={"minutes": text}, truth=", ".join(decided), traits=frozenset(traits))

    def undecided(self, row: Row) -> str:
        found = re.search(r"As to (.+?), views differed", row.inputs["minutes"])
        return next((tag for tag, what in TAGS.items() if found and found[1] in what), "culture")

    def say(self, row: Row, kept: frozenset[str]) -> str:
        tags = row.truth.split(", ")
        if "money" in row.traits and "money" not in kept:
            tags.remove("money")
        if "decided" in row.traits and "decided" not in kept:
            tags.append(self.undecided(row))
        if "names" not in kept:
            tags = [OTHER[tag] for tag in tags]
        return ", ".join(tags) if "list" in kept else "\n".join(f"* {tag}" for tag in tags)

    def slip(self, row: Row, where: float) -> str:
        return sorted(TAGS)[int(where * len(TAGS))]

    def grade(self, row: Row, answer: str) -> tuple[float, str]:
        said = {part.strip() for part in answer.strip().split(",") if part.strip()}
        right = set(row.truth.split(", "))
        both = len(said & right)
        score = 2 * both / (len(said) + len(right)) if both else 0.0
        if score == 1:
            return 1.0, "All tags are right."
        more, less = (
            ", ".join(sorted(said - right))[:120] or "nothing",
            ", ".join(sorted(right - said)) or "nothing",
        )
        return score, f"Too much: {more}. Missing: {less}. Right: {row.truth}"

    def broken(self, row: Row, text: str) -> set[str]:
        found = set()
        if re.search(r"^\s*\* \w+|\\n\* \w+", text, re.M):
            found.add("list")
        if any(re.search(rf"\b{other}\b", text) for other in OTHER.values()):
            found.add("names")
        if "decided" in row.traits:
            tag = self.undecided(row)
            if re.search(rf"\b({tag}|{OTHER[tag]})\b", text):
                found.add("decided")
        if "money" in row.traits and re.search(r"(Missing: [^.]*\bmoney|\bmoney\b)", text):
            found.add("money")
        return found
