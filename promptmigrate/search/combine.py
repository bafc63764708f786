"""Candidates made from what is there already, without a reflection call: rules together with demos, splices
of siblings, other placement, and the removal tests that drop what buys nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from promptmigrate import template
from promptmigrate.search.anatomy import Candidate
from promptmigrate.search.base import Problem
from promptmigrate.search.failures import Report
from promptmigrate.search.seeds import DEMO_COUNTS, Seeds, own_demos
from promptmigrate.search.text import ITEM, LABEL, TAG, normalised, sentences, words

_SHORT = 3
"""Spaces below which a line is a heading."""
_SAMPLE_WORDS = 2
"""Words up to which a label may be that of a sample though the same always follows it."""
_LABEL_WORDS = 6
"""Words up to which a list item may be a label."""
_TAG = re.compile(r"(?m)^[^\S\n]*(<[A-Za-z][\w-]*)[^<>\n]*>")


def combinations(
    problem: Problem, seeds: Seeds, incumbent: Candidate, report: Report, siblings: Sequence[Candidate]
) -> Iterator[Candidate]:
    """Combinations around ``incumbent``, the most promising first."""
    text = "instructions" in problem.may_change
    if text:
        yield from splices(incumbent, siblings)
    if "demos" in problem.may_change:
        yield from _demos(seeds, incumbent, report, problem.seed)
    contract = seeds.contract
    if text and contract and not _contains(incumbent.instructions, contract.rules) and not incumbent.steps:
        yield incumbent.but(
            instructions=f"{incumbent.instructions}\n\n{contract.rules}".strip(),
            origin=f"{incumbent.origin} + contract",
        )
    if "format" in problem.may_change and incumbent.anatomy.chat_slot:
        other = "user" if incumbent.placement == "own" else "own"
        yield incumbent.but(placement=other, origin=f"{incumbent.origin}, placed in the {other} turn")
    if (
        text
        and contract
        and contract.steps
        and contract.steps != contract.rules
        and not incumbent.steps
        and report.form_share < 0.5
        and report.failed
    ):
        yield incumbent.but(
            instructions=f"{without(incumbent.instructions, contract.rules)}\n\n{contract.steps}".strip(),
            demos=(),
            origin=f"{incumbent.origin} + step by step",
            steps=True,
        )
    temperature = problem.original.params.get("temperature")
    if "temperature" in problem.may_change and isinstance(temperature, (int, float)) and temperature > 0:
        yield incumbent.but(
            params={**problem.original.params, "temperature": 0}, origin=f"{incumbent.origin}, temperature 0"
        )
    yield from removals(incumbent, text=text)


def _demos(seeds: Seeds, incumbent: Candidate, report: Report, seed: int) -> Iterator[Candidate]:
    if incumbent.steps:
        passed = [(row.example, row.cell.text) for row in report.passed]
        for count in DEMO_COUNTS[:2]:
            chosen = own_demos(passed, min(count, max(1, len(passed) // 2)), seed=seed)
            if chosen:
                yield incumbent.but(demos=chosen, origin=f"{incumbent.origin} + {len(chosen)} own demos")
        return
    if not seeds.usable:
        return
    hard = sorted(report.failing_ids)
    had = len(incumbent.demos)
    for count in (n for n in DEMO_COUNTS if n > had):
        chosen = seeds.demos(count)
        yield incumbent.but(demos=chosen, origin=f"{incumbent.origin} + {len(chosen)} demos")
        if hard:
            chosen = seeds.demos(count, prefer=hard)
            yield incumbent.but(demos=chosen, origin=f"{incumbent.origin} + {len(chosen)} hard demos")
    if had and hard:
        chosen = seeds.demos(had, prefer=hard)
        yield incumbent.but(demos=chosen, origin=f"{incumbent.origin}, hard demos")
    if had:
        chosen = seeds.demos(had, draw_seed=1)
        yield incumbent.but(demos=chosen, origin=f"{incumbent.origin}, other demos")


def splices(incumbent: Candidate, siblings: Sequence[Candidate]) -> Iterator[Candidate]:
    """``incumbent`` with the sentences that siblings of the same parent added and it lacks.

    Two children that each found a rule are each missing the other's; no reflection call is needed to join
    them.
    """
    have = {normalised(p) for p in pieces(incumbent.instructions)}
    gathered: list[str] = []
    for sibling in siblings:
        if sibling.key == incumbent.key or sibling.anatomy is not incumbent.anatomy:
            continue
        theirs = pieces(sibling.instructions)
        new = [p for p in theirs if normalised(p) and normalised(p) not in have]
        if not new or 2 * len(new) > len(theirs) or _are_marked_up(new):
            continue  # a rewrite, not an addition
        gathered += [p for p in new if normalised(p) not in {normalised(g) for g in gathered}]
        yield incumbent.but(
            instructions=_append(incumbent.instructions, new),
            origin=f"{incumbent.origin} + rules of a sibling",
        )
    if len(gathered) > 1:
        yield incumbent.but(
            instructions=_append(incumbent.instructions, gathered),
            origin=f"{incumbent.origin} + rules of all siblings",
        )


def union(parent: Candidate, children: Sequence[Candidate]) -> Candidate | None:
    """``parent`` with all that ``children`` add to it, where at least two only add."""
    have = {normalised(p) for p in pieces(parent.instructions)}
    gathered: dict[str, str] = {}
    adding = 0
    for child in children:
        if child.parent != parent.key or child.anatomy is not parent.anatomy:
            continue
        theirs = pieces(child.instructions)
        kept = {normalised(p) for p in theirs} & have
        new = {normalised(p): p for p in theirs if normalised(p) not in have}
        if new and len(kept) >= 0.8 * len(have) and not _are_marked_up(list(new.values())):
            adding += 1
            gathered |= {k: v for k, v in new.items() if k not in gathered}
    if adding < 2:
        return None
    return parent.but(
        instructions=_append(parent.instructions, list(gathered.values())), origin="all proposals' additions"
    )


def _are_marked_up(additions: Sequence[str]) -> bool:
    """Whether ``additions`` have fences or tags on lines of their own: sentence by sentence they would come
    apart."""
    return any(p.startswith(("```", "~~~")) or TAG.fullmatch(p) for p in additions)


def removals(incumbent: Candidate, *, text: bool) -> Iterator[Candidate]:
    """``incumbent`` without its demos, half of them, or one of its longer paragraphs."""
    if incumbent.demos:
        yield incumbent.but(demos=(), origin=f"{incumbent.origin} - demos")
        if len(incumbent.demos) > 3:
            half = incumbent.demos[: len(incumbent.demos) // 2]
            yield incumbent.but(demos=half, origin=f"{incumbent.origin} - half of the demos")
    parts = [p for p in re.split(r"\n\s*\n", incumbent.instructions) if p.strip()]
    if not text or len(parts) < 2:
        return
    # The longest first: removing it saves most.
    for index in sorted(range(len(parts)), key=lambda i: (-len(parts[i]), i))[:3]:
        rest = "\n\n".join(p for i, p in enumerate(parts) if i != index)
        yield incumbent.but(instructions=rest, origin=f"{incumbent.origin} - paragraph {index + 1}")


def pieces(text: str) -> list[str]:
    """Sentences and list items of ``text``."""
    return [p.strip() for line in text.splitlines() for p in sentences(line) if p.strip()]


def _append(instructions: str, additions: Sequence[str]) -> str:
    return "\n".join([instructions.rstrip(), "", *additions])


def _contains(instructions: str, rules: str) -> bool:
    inside, wanted = set(words(instructions)), set(words(rules))
    return not wanted or len(inside & wanted) >= 0.8 * len(wanted)


def without(instructions: str, rules: str) -> str:
    """``instructions`` without the sentences and list items of ``rules``.

    Short items (labels) go only out of paragraphs that have a sentence of ``rules``: elsewhere they belong to
    a list of the prompt's own.
    """
    found = pieces(rules)
    dropped = {normalised(p) for p in found} - {""}
    signs = {p for p in found if not normalised(p)}
    telling = {normalised(p) for p in found if len(words(p)) > (_LABEL_WORDS if ITEM.match(p) else _SHORT)}

    def cleared(paragraph: str) -> str:
        if telling.isdisjoint(normalised(p) for p in pieces(paragraph)):
            return paragraph
        return _filtered(paragraph, lambda piece: normalised(piece) not in dropped and piece not in signs)

    # Every other part is the space between two paragraphs.
    parts = re.split(r"(\n[^\S\n]*\n)", instructions)
    kept = [part if index % 2 else cleared(part) for index, part in enumerate(parts)]
    return instructions if kept == parts else re.sub(r"\n{3,}", "\n\n", "".join(kept)).strip()


def unrepeated(instructions: str) -> str:
    """``instructions`` without sentences and list items that they have said already.

    Editors like to add a rule twice. Lines of a few words may repeat (headings), and where labels of samples
    do ("Input:", "Output:") or tags, or there are fences, the text holds samples, whose answers may well be
    the same.
    """
    if "```" in instructions or _are_samples(instructions):
        return instructions
    said: set[str] = set()

    def new(piece: str) -> bool:
        text = normalised(piece)
        repeats = text in said and text.count(" ") >= _SHORT and not template.variables(piece)
        said.add(text)
        return not repeats

    return _filtered(instructions, new)


def _are_samples(text: str) -> bool:
    """Whether tags repeat, or labels as samples have them: short, or with something else behind each time.

    "No formatting of any kind: ...", twice with the same behind it, is a rule that is said twice.
    """
    behind: dict[str, list[str]] = {}
    for label in LABEL.finditer(text):
        behind.setdefault(label[1], []).append(normalised(text[label.end() :].partition("\n")[0]))
    labels = ((said, len(words(label))) for label, said in behind.items() if len(said) > 1)
    tags = Counter(_TAG.findall(text))
    return max(tags.values(), default=0) > 1 or any(
        size <= _SAMPLE_WORDS or len(set(said)) > 1 for said, size in labels
    )


def _filtered(text: str, keep: Callable[[str], bool]) -> str:
    lines: list[str] = []
    for line in text.splitlines():
        parts = pieces(line)
        kept = [p for p in parts if keep(p)]
        if len(kept) == len(parts):
            lines.append(line)
        elif kept:
            lines.append(line[: len(line) - len(line.lstrip())] + " ".join(kept))
    return text if lines == text.splitlines() else re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
