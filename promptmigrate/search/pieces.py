"""Instructions in pieces that can be dropped one by one: sentences, list items, and whole blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from promptmigrate import template
from promptmigrate.search.text import ITEM, LABEL, TAG, sentences, words

_SHORT_ITEM = 4
"""Words up to which a list item belongs to the line above it: labels, keys, not rules."""
_ABOVE = re.compile(r"\babove\b", re.IGNORECASE)
_ROW = re.compile(r"(?:^|\n)\s*\|[^\n]*$")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A sentence, a list item, or a block that only makes sense as a whole."""

    lead: str
    """White space before it."""
    text: str

    @property
    def fixed(self) -> bool:
        """It holds a placeholder, which may not be lost, or is a tag, which goes with its block."""
        return bool(template.variables(self.text)) or bool(TAG.fullmatch(self.text))


def pieces(instructions: str) -> list[Piece]:
    """``instructions`` in pieces; their leads and texts joined give it back (but for space at its end)."""
    found: list[Piece] = []
    fence = ""
    lead = ""
    counts = Counter(LABEL.findall(instructions))
    repeated = {label for label, count in counts.items() if count > 1}
    sample = ""
    for line in instructions.rstrip().splitlines(keepends=True):
        body = line.rstrip()
        mark = re.match(r"\s*(`{3,})", body)
        inside = bool(fence)
        if mark:
            fence = "" if inside and mark[1] == fence else fence or mark[1]
        if not body:
            lead += line
            continue
        if lead.count("\n") > 1 or TAG.fullmatch(body.strip()):
            sample = ""
        # Lines of a sample ("Input:", "Output:") make no sense one by one, nor do those of a table.
        label = LABEL.match(body)
        part = bool(sample) and (label is None or label[1] != sample)
        if not part and label and label[1] in repeated and len(repeated) > 1:
            sample = label[1]
        if found and _ROW.search(found[-1].text):
            part |= body.lstrip().startswith("|")
        short = ITEM.match(body) and len(words(body)) <= _SHORT_ITEM
        if found and (inside or ((short or part) and not mark)):
            last = found.pop()
            found.append(Piece(lead=last.lead, text=last.text + lead + body))
        else:
            for sentence in sentences(body) if not mark else [body]:
                text = sentence.lstrip()
                found.append(Piece(lead=lead + sentence[: len(sentence) - len(text)], text=text))
                lead = ""
        lead = line[len(body) :]
    return found


def joined(kept: Sequence[Piece]) -> str:
    """The text of ``kept``."""
    return "".join(p.lead + p.text for p in kept).strip()


_HEADING = re.compile(r"^(?:#{1,6}\s.*|\*\*[^*\n]+\*\*:?|[^\n.!?]{1,60}:)$")


def without(parts: Sequence[Piece], dropped: Collection[int]) -> str:
    """The text of ``parts`` without those ``dropped``, and without headings that then have nothing below."""
    gone = set(dropped)
    while more := _emptied(parts, gone):
        gone |= more
    kept: list[Piece] = []
    lead = ""
    for index, part in enumerate(parts):
        if index in gone:
            lead = part.lead if _breaks(part.lead) else lead
            continue
        # What stood behind a dropped sentence begins the line in its place.
        kept.append(replace(part, lead=lead) if lead and not _breaks(part.lead) else part)
        lead = ""
    return joined(kept)


def _breaks(lead: str) -> bool:
    """Whether white space ends a line."""
    return len(f"{lead}.".splitlines()) > 1


def _emptied(parts: Sequence[Piece], gone: Collection[int]) -> set[int]:
    """Tags and headings among ``parts`` that have nothing left below them without those ``gone``."""
    empty: set[int] = set()
    opened: list[tuple[int, str]] = []
    for index, part in enumerate(parts):
        tag = TAG.fullmatch(part.text)
        if tag is None or index in gone:
            continue
        if not tag["end"]:
            opened.append((index, tag["name"]))
        elif opened and opened[-1][1] == tag["name"]:
            start, _ = opened.pop()
            if index - start > 1 and all(i in gone for i in range(start + 1, index)):
                empty |= {start, index}
    gone = {*gone, *empty}
    for index in reversed(range(len(parts))):
        if parts[index].fixed or index in gone or not _HEADING.match(parts[index].text):
            continue
        below = _below(parts, index)
        if below and gone.issuperset(below):
            gone.add(index)
            empty.add(index)
    return empty


def _below(parts: Sequence[Piece], heading: int) -> list[int]:
    """The pieces that stand under ``heading``: up to the next one, a blank line or the end of its block."""
    below: list[int] = []
    depth = 0
    for index in range(heading + 1, len(parts)):
        tag = TAG.fullmatch(parts[index].text)
        if tag:
            depth += -1 if tag["end"] else 1
        # A blank line ends a section, unless it stands right under the heading.
        ends = below and parts[index].lead.count("\n") > 1
        if depth < 0 or ends or _HEADING.match(parts[index].text):
            break
        below.append(index)
    return below


def dangles(parts: Sequence[Piece], dropped: Collection[int]) -> bool:
    """Whether some piece that stays speaks of what stood above it, where all lists above it are dropped."""
    lists: list[int] = []
    for index, piece in enumerate(parts):
        speaks = index not in dropped and _ABOVE.search(piece.text)
        if speaks and lists and all(i in dropped for i in lists):
            return True
        if ITEM.match(piece.text) or "\n" in piece.text:
            lists.append(index)
    return False
