"""Reading a judge's answer. The last verdict wins; what is not on the menu is no verdict.

A verdict is a line ``VERDICT: ...`` or a JSON object with a ``verdict``. What is quoted inside such an object
(its reason may repeat what the judged text claimed) is no verdict of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

# Every repeat is bounded: the answer may have been steered by whoever wrote the judged text.
_MARK = re.compile(r"\bverdict[ \t\"'*_`]{0,8}[:：=]", re.IGNORECASE)
_NUMBERED = re.compile(r"\bverdict[ \t#(]{0,4}(\d{1,4})[ \t)\"'*_`]{0,8}[:：=]", re.IGNORECASE)
_ITEM = re.compile(
    r"^[ \t*_#-]{0,6}ITEM[ \t#(]{0,4}(\d{1,4})[ \t)*_]{0,8}[:：]", re.IGNORECASE | re.MULTILINE
)
_ANY = re.compile(r"\bverdict[ \t#(]{0,4}\d{0,4}[ \t)\"'*_`]{0,8}[:：=][ \t]*[\w ]*", re.IGNORECASE)
_DRESS = " \t\r\"'*_`“”‘’<>[]()"
_LONGEST_ANSWER = 100_000
_LONGEST_LINE = 500
_OBJECTS_TRIED = 20
_MOST_ITEMS = 200
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

_Object: TypeAlias = tuple[int, int, Mapping[str, Any]]
"""Where a JSON object starts and ends in an answer, and its content (keys in lower case)."""


def verdict(answer: str, menu: Sequence[str]) -> str | None:
    """The item of ``menu`` that ``answer`` decides on, or None.

    It may stand in a JSON object (``{"verdict": ...}``), in a line ``VERDICT: ...`` (whichever comes last
    counts) or be the whole answer.
    """
    answer = answer[-_LONGEST_ANSWER:].strip()
    objects = _objects(answer)
    said: list[tuple[int, Any]] = [(at, o["verdict"]) for at, _, o in objects if "verdict" in o]
    said += [(match.start(), line) for match, line in _lines(_MARK, answer, objects)]
    return _item(max(said, key=lambda s: s[0])[1] if said else answer, menu)


def verdicts(answer: str, menu: Sequence[str], count: int) -> list[str | None]:
    """The item of ``menu`` for each of ``count`` numbered questions; None where there is none.

    From ``{"verdicts": [...]}``, ``{"verdicts": {"1": ...}}``, or lines ``VERDICT 1: ...``, the last for each
    number.
    """
    answer = answer[-_LONGEST_ANSWER:].strip()
    objects = _objects(answer)
    said: list[tuple[int, Mapping[int, Any]]] = [
        (at, _numbered(o["verdicts"], count)) for at, _, o in objects if "verdicts" in o
    ]
    said += [(match.start(), {int(match[1]): line}) for match, line in _lines(_NUMBERED, answer, objects)]
    if not said and count == 1:
        return [verdict(answer, menu)]
    found: dict[int, Any] = {}
    for _, given in sorted(said, key=lambda s: s[0]):
        found.update(given)
    return [_item(found.get(i), menu) for i in range(1, count + 1)]


def items(answer: str, menu: Sequence[str]) -> list[tuple[str, str]] | None:
    """The items that a judge found, each with its verdict; None if a verdict is missing or off the menu.

    From ``{"items": [{"item": ..., "verdict": ...}]}`` or pairs of lines ``ITEM 1: ...`` and
    ``VERDICT 1: ...``. That there are none is said by ``VERDICT: NONE`` or an empty list.
    """
    answer = answer[-_LONGEST_ANSWER:].strip()
    objects = _objects(answer)
    listed = [o["items"] for _, _, o in objects if isinstance(o.get("items"), list)]
    if listed:
        pairs = [
            (str(entry.get("item", "")), _item(entry.get("verdict"), menu))
            if isinstance(entry, dict)
            else ("", None)
            for entry in listed[-1][: _MOST_ITEMS + 1]
        ]
    else:
        told = {int(m[1]): line.strip(_DRESS) for m, line in _lines(_ITEM, answer, objects)}
        said = {int(m[1]): line for m, line in _lines(_NUMBERED, answer, objects)}
        if not said and not told:
            return [] if verdict(answer, ("NONE",)) == "NONE" else None
        count = max(*said, *told, 0)
        if count > _MOST_ITEMS or told.keys() - said.keys():
            return None
        pairs = [(told.get(i, ""), _item(said.get(i), menu)) for i in range(1, count + 1)]
    found = [(text, given) for text, given in pairs if given is not None]
    return found if len(found) == len(pairs) <= _MOST_ITEMS else None


def reason(answer: str, limit: int = 500) -> str:
    """What the judge said before its verdict (or behind, if it began with it), shortened."""
    answer = answer[-_LONGEST_ANSWER:].strip()
    told = [o for _, _, o in _objects(answer) if o.keys() & {"verdict", "verdicts", "items"}]
    if told:
        said = [told[-1].get(key) for key in ("reason", "rationale", "reasoning", "explanation")]
        text = next((s for s in said if isinstance(s, str)), "")
    else:
        first = _ANY.search(answer)
        before = answer if first is None else answer[: first.start()].rstrip(' \t\n*_#`"')
        text = before if first is None or before else answer[first.end() :].lstrip(" .,;:*_`\n")
    text = " ".join(text.split())
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _objects(answer: str) -> list[_Object]:
    """The JSON objects that stand in ``answer``, in order, none inside another."""
    decoder = json.JSONDecoder()
    found: list[_Object] = []
    start = answer.find("{")
    for _ in range(_OBJECTS_TRIED):
        if start < 0:
            break
        end = start + 1
        try:
            value, end = decoder.raw_decode(answer, start)
        except (ValueError, RecursionError):
            pass  # a brace that opens no JSON object
        else:
            found.append((start, end, {str(key).lower(): item for key, item in value.items()}))
        start = answer.find("{", end)
    return found


def _lines(
    pattern: re.Pattern[str], answer: str, objects: Sequence[_Object]
) -> Iterator[tuple[re.Match[str], str]]:
    """Where ``pattern`` stands outside all ``objects``, and the rest of its line (the next one, if that is
    empty)."""
    for match in pattern.finditer(answer):
        if not any(start <= match.start() < end for start, end, _ in objects):
            line, _, below = answer[match.end() : match.end() + _LONGEST_LINE].partition("\n")
            if not line.strip(_DRESS):
                line = below.lstrip().split("\n", 1)[0]
                line = "" if _ANY.search(line) else line
            yield match, line.lstrip(" \t")


def _numbered(given: Any, count: int) -> Mapping[int, Any]:
    if isinstance(given, list):
        return dict(enumerate(given, 1)) if len(given) == count else {}
    if isinstance(given, dict):
        return {i: given[str(i)] for i in range(1, count + 1) if str(i) in given}
    return {}


def _item(given: Any, menu: Sequence[str]) -> str | None:
    """The menu item that ``given`` says, perhaps followed by an explanation that names no other item."""
    if not isinstance(given, str):
        return None
    text = given.strip()[:_LONGEST_LINE]
    if text[:1] in ('"', "'"):  # a piece of broken JSON: only what is in the quotes
        text = text[1:].split(text[0], 1)[0]
    said = text.strip(_DRESS).casefold()
    longest_first = sorted(menu, key=len, reverse=True)
    words = {item: re.escape(item.casefold()).replace("_", "[ _-]") for item in longest_first}
    if all(_NUMBER.fullmatch(item) for item in menu):  # "4/5" and "4 out of 5" are a 4
        best = re.escape(max(menu, key=float))
        said = re.sub(rf"^(-?\d+(?:\.\d+)?)\s*(?:/|out of)\s*{best}(?![\d.]\d|\d)", r"\1", said)
    for item in longest_first:
        match = re.match(rf"{words[item]}(?![\w?]|[.,]\d)(.*)", said, re.DOTALL)
        if match is not None:
            named = re.findall(rf"(?<!\w)(?:{'|'.join(words.values())})(?!\w)", match[1])
            return item if all(re.fullmatch(words[item], word) for word in named) else None
    return None
