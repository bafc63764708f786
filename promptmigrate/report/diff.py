"""What changed between two prompts: by message, by line, and by word where a line was only edited."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from promptmigrate.report.shapes import Turn
from promptmigrate.report.wording import clean

Kind: TypeAlias = Literal["same", "removed", "added"]
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_ALIKE = 0.5
"""Lines less alike than this are shown as one text replaced by another, not as confetti of words."""
_MAX_LINES = 2_000
_MAX_WORDS = 3_000
_MAX_PAIRS = 400
_MAX_MESSAGES = 200
"""Above these, matching would take longer than it is worth: the texts are shown one after the other."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Part of a line."""

    text: str
    kind: Kind = "same"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of one side, or of both where it did not change."""

    kind: Kind
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One message, with what happened to it."""

    role: str
    kind: Literal["same", "changed", "removed", "added"]
    lines: tuple[Line, ...]


def compare(original: str | Sequence[Turn], candidate: str | Sequence[Turn]) -> tuple[Block, ...]:
    """The messages of both prompts in order; a text prompt is one user message.

    Messages are matched by content where equal, else by role in order, so that worked examples that were put
    in between show as added and the messages around them as what they are.
    """
    before, after = _turns(original), _turns(candidate)
    blocks: list[Block] = []
    for i, j in _align(before, after):
        if i is None and j is not None:
            blocks.append(_whole(after[j], "added"))
        elif j is None and i is not None:
            blocks.append(_whole(before[i], "removed"))
        elif i is not None and j is not None:
            lines = _lines(before[i][1], after[j][1])
            changed = any(line.kind != "same" for line in lines)
            blocks.append(Block(role=after[j][0], kind="changed" if changed else "same", lines=lines))
    return tuple(blocks)


def _turns(prompt: str | Sequence[Turn]) -> list[tuple[str, str]]:
    if isinstance(prompt, str):
        return [("user", clean(prompt))]
    return [(clean(turn.role), clean(turn.content)) for turn in prompt]


def _align(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> list[tuple[int | None, int | None]]:
    """Pairs of messages, ascending on both sides, of greatest total likeness (edit distance on messages)."""
    rows, columns = len(before), len(after)
    if rows + columns > _MAX_MESSAGES:
        return [*((k, None) for k in range(rows)), *((None, k) for k in range(columns))]
    return _pairs([[_likeness(a, b) for b in after] for a in before], columns)


def _pairs(likeness: list[list[float]], columns: int) -> list[tuple[int | None, int | None]]:
    """Pairs (row, column), ascending, of the greatest total likeness; None where one has no match."""
    rows = len(likeness)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], likeness[i][j] + best[i + 1][j + 1])
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < rows and j < columns:
        if likeness[i][j] and best[i][j] == likeness[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((i, None))
            i += 1
        else:
            pairs.append((None, j))
            j += 1
    return [*pairs, *((k, None) for k in range(i, rows)), *((None, k) for k in range(j, columns))]


def _likeness(a: tuple[str, str], b: tuple[str, str]) -> float:
    """0 for different roles; between 0.1 and 1 by shared words for equal ones."""
    if a[0] != b[0]:
        return 0.0
    if a[1] == b[1]:
        return 1.0
    words_a, words_b = set(_WORD.findall(a[1])), set(_WORD.findall(b[1]))
    union = len(words_a | words_b)
    return 0.1 + 0.8 * (len(words_a & words_b) / union if union else 1.0)


def _whole(turn: tuple[str, str], kind: Literal["removed", "added"]) -> Block:
    lines = tuple(Line(kind=kind, pieces=(Piece(text=text),)) for text in turn[1].split("\n"))
    return Block(role=turn[0], kind=kind, lines=lines)


def _lines(before: str, after: str) -> tuple[Line, ...]:
    old, new = before.split("\n"), after.split("\n")
    if len(old) + len(new) > _MAX_LINES:
        return (*_side(old, "removed"), *_side(new, "added")) if old != new else tuple(_side(old, "same"))
    lines: list[Line] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += _side(old[a:b], "same")
        elif tag == "replace":
            lines += _replaced(old[a:b], new[c:d])
        else:
            lines += _side(old[a:b], "removed")
            lines += _side(new[c:d], "added")
    return tuple(lines)


def _side(lines: Sequence[str], kind: Kind) -> list[Line]:
    return [Line(kind=kind, pieces=(Piece(text=line),)) for line in lines]


def _replaced(old: list[str], new: list[str]) -> list[Line]:
    """A block of lines replaced by another; word by word where they are alike."""
    if len(old) * len(new) > _MAX_PAIRS:
        return [*_side(old, "removed"), *_side(new, "added")]
    edits = [[_edited(a, b) for b in new] for a in old]
    if not any(edit for row in edits for edit in row):  # the same words may be spread over other lines
        whole = _edited("\n".join(old), "\n".join(new))
        return whole or [*_side(old, "removed"), *_side(new, "added")]
    lines: list[Line] = []
    for i, j in _pairs([[float(edit is not None) for edit in row] for row in edits], len(new)):
        edit = edits[i][j] if i is not None and j is not None else None
        if edit is not None:
            lines += edit
        elif i is not None:
            lines += _side(old[i : i + 1], "removed")
        elif j is not None:
            lines += _side(new[j : j + 1], "added")
    return lines


def _edited(old: str, new: str) -> list[Line] | None:
    """The word by word difference; None where the texts are not alike enough for one."""
    words_old, words_new = _WORD.findall(old), _WORD.findall(new)
    if len(words_old) + len(words_new) > _MAX_WORDS:
        return None
    matcher = SequenceMatcher(None, words_old, words_new, autojunk=False)
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE or matcher.ratio() < _ALIKE:
        return None
    removed: list[Piece] = []
    added: list[Piece] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        same = tag == "equal"
        removed.append(Piece(text="".join(words_old[a:b]), kind="same" if same else "removed"))
        added.append(Piece(text="".join(words_new[c:d]), kind="same" if same else "added"))
    return [*_broken_up(removed, "removed"), *_broken_up(added, "added")]


def _broken_up(pieces: Sequence[Piece], kind: Kind) -> list[Line]:
    """Pieces that may hold line breaks, as lines."""
    lines: list[list[Piece]] = [[]]
    for piece in pieces:
        first, *others = piece.text.split("\n")
        if first:
            lines[-1].append(Piece(text=first, kind=piece.kind))
        for other in others:
            lines.append([Piece(text=other, kind=piece.kind)] if other else [])
    return [Line(kind=kind, pieces=tuple(line)) for line in lines]
