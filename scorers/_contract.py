"""The form that answers keep, as plain data: mined from good answers, and held against others.

A contract is a mapping of JSON values; what it does not name is free::

    kind         "label", "json", "number" or "text"
    labels       label: the labels there are, as they are spelled
    root         json: "object" or "list"
    keys         json: path ("customer.name", "items[].price") ->
                 {"types": [...], "required": bool, "enum": [...]}
    extra_keys   json: whether other keys are allowed
    integer      number: only whole numbers; decimals: exactly so many places
    prefix       number: a currency sign before it; unit: what stands after it
    casing       "lower" or "upper"
    chars, words, lines   [least, most]
    markdown     whether bold, headings, bullets and code blocks are allowed
    starts_with, full_stop (whether the text ends with a full stop or another mark of a sentence's end)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from scorers import _numbers
from scorers._fields import generic
from scorers._json import read
from scorers._measures.label_match import mine_labels
from scorers._text import as_text
from scorers._words import count_words

KINDS = ("label", "json", "number", "text")
RULES: dict[str, tuple[str, ...]] = {
    "kind": KINDS, "labels": ("label",), "root": ("json",), "keys": ("json",), "extra_keys": ("json",),
    "integer": ("number",), "decimals": ("number",), "prefix": ("number",), "unit": ("number",),
    "casing": ("label", "text"), "chars": KINDS, "words": KINDS, "lines": KINDS, "markdown": KINDS,
    "starts_with": ("text",), "full_stop": ("text",),
}  # fmt: skip
"""Each rule, and the kinds of answers that it can be given for."""
TYPES = ("string", "number", "boolean", "null", "object", "list")

MARKDOWN = re.compile(
    r"\*\*[^*\n]{1,200}\*\*|^#{1,6} \S|^\s{0,8}[-*•] \S|```|^\s{0,8}\d{1,3}[.)] \S", re.MULTILINE
)
NUMBER = re.compile(
    r"[-+−]?(?P<prefix>[$€£¥₹])?\s?(?P<digits>\d{1,3}(?:,\d{3}){1,9}|\d{1,40})(?P<decimals>\.\d{1,40})?"
    r"\s?(?P<unit>%|[A-Za-zµ°€²³/]{1,12})?"
)
_ENDS = ".!?。！？…"
_MOST_KEYS = 200
_MOST_ENUM = 12
_MOST_READ = 10_000


def mine_contract(references: Iterable[Any]) -> dict[str, Any]:
    """The contract that ``references`` (answers that are known to be good, say production's) keep.

    Give the answers as they were written: from parsed JSON, whether it stood in a code block cannot be
    seen. The limits of length leave room: half of the least and twice the most that was seen. Rules that
    fewer than all (for marks of style: 95 %) keep are left out; without references the contract is empty.
    Only the first 10,000 references are read.
    """
    values = [value for value, _ in zip(references, range(_MOST_READ), strict=False)]
    values = [value for value in values if value is not None and as_text(value).strip()]
    if not values:
        return {}
    texts = [as_text(value).strip() for value in values]
    parsed = [_container(value) for value in values]
    held = [value for value in parsed if value is not None]
    if len(held) >= 0.8 * len(values):
        roots = {root_of(value) for value in held}
        contract: dict[str, Any] = {"kind": "json"}
        if len(roots) == 1:
            contract["root"] = roots.pop()
        contract |= _mined_keys(held)
        contract["markdown"] = any("```" in text for text in texts)
        return contract
    numbers = [NUMBER.fullmatch(text) for text in texts]
    labels = _mined_labels(texts)
    if labels is not None and not (all(numbers) and len(labels) > 11):
        return {"kind": "label", "labels": list(labels), **_casing(texts), "markdown": False}
    if all(numbers):
        return {"kind": "number", **_mined_number([match for match in numbers if match]), "markdown": False}
    return {"kind": "text", **_mined_text(texts)}


def _container(value: Any) -> Any:
    if isinstance(value, str):
        found = read(value, allow_fences=True)
        value = None if found.problem else found.value
    return value if isinstance(value, Mapping | list | tuple) else None


def root_of(value: Any) -> str:
    """What a JSON value is, in the words of contracts."""
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "null"
    return "number" if isinstance(value, int | float) else "string"


def _mined_labels(texts: list[str]) -> tuple[str, ...] | None:
    counts = Counter(texts)
    labels = mine_labels(texts)
    if labels is None or len(labels) < 2 or any(len(text.split()) > 6 for text in counts):
        return None
    repeated = sum(count for count in counts.values() if count > 1)
    closed = len(counts) <= max(2, len(texts) / 2) and repeated >= 0.7 * len(texts)
    # As most rows spell them; other spellings of the same label are slips of the reference.
    return labels if closed else None


def _mined_number(matches: list[re.Match[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    places = {len((match["decimals"] or ".")[1:]) for match in matches}
    if places == {0}:
        found["integer"] = True
    elif len(places) == 1 and len(matches) > 1:
        found["decimals"] = places.pop()
    for rule in ("prefix", "unit"):
        seen = {match[rule] or "" for match in matches}
        if len(seen) == 1:
            found[rule] = seen.pop()
    return found


def _mined_text(texts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = dict(_casing(texts))
    for rule, counts in (
        ("words", [count_words(t) for t in texts]),
        ("lines", [t.count("\n") + 1 for t in texts]),
    ):
        least, most = min(counts), max(counts)
        found[rule] = [1, 1] if rule == "lines" and most == 1 else [least // 2 or min(least, 1), 2 * most]
    found["markdown"] = any(MARKDOWN.search(text) for text in texts)
    ended = sum(text[-1] in _ENDS for text in texts)
    if len(texts) >= 5 and (ended >= 0.95 * len(texts) or ended <= 0.05 * len(texts)):
        found["full_stop"] = ended > 0.5 * len(texts)
    start = _common_start(texts)
    return {**found, "starts_with": start} if start else found


def _casing(texts: list[str]) -> dict[str, str]:
    lettered = [text for text in texts if any(c.isalpha() for c in text)]
    for casing in ("lower", "upper"):
        if lettered and all(is_cased(text, casing) for text in lettered):
            return {"casing": casing}
    return {}


def is_cased(text: str, casing: str) -> bool:
    """Whether ``text`` is written in ``lower`` or ``upper`` case."""
    return text == (text.lower() if casing == "lower" else text.upper())


def _common_start(texts: list[str]) -> str:
    if len(set(texts)) < 5:
        return ""
    first = texts[0].split()[:4]
    for size in range(len(first), 0, -1):
        start = " ".join(first[:size])
        if len(start) > 3 and all(text.startswith(start) for text in texts):
            return start
    return ""


# --- keys


def walk(value: Any, *, most: int = 20_000) -> list[tuple[str, Any]]:
    """Every value inside a JSON value with its generic path, objects and lists too; the root is left out."""
    found: list[tuple[str, Any]] = []
    todo: list[tuple[str, Any]] = [("", value)]
    while todo and len(found) < most:
        path, item = todo.pop()
        if isinstance(item, Mapping):
            children = [(f"{path}.{key}" if path else str(key), child) for key, child in item.items()]
        elif isinstance(item, list | tuple):
            children = [(f"{path}[]", child) for child in item]
        else:
            continue
        found += children
        todo += children
    return found


def _mined_keys(values: list[Any]) -> dict[str, Any]:
    types: dict[str, set[str]] = {}
    seen: Counter[str] = Counter()
    parents: Counter[str] = Counter()
    words: dict[str, Counter[str]] = {}
    for value in values:
        parents[""] += isinstance(value, Mapping)
        for path, item in walk(value):
            kind = root_of(item)
            types.setdefault(path, set()).add(kind)
            seen[path] += 1
            parents[path] += kind == "object"
            if kind == "string" and len(item) <= 60:
                words.setdefault(path, Counter())[item] += 1
        if len(types) > _MOST_KEYS:
            return {}  # keys are data here, not a form
    keys: dict[str, Any] = {}
    for path in sorted(types):
        rule: dict[str, Any] = {"types": sorted(types[path])}
        if not path.endswith("[]"):
            rule["required"] = seen[path] == parents[_parent(path)]
        values_seen = words.get(path)
        if values_seen and types[path] <= {"string", "null"}:
            total = values_seen.total()
            if (
                len(values_seen) <= _MOST_ENUM
                and total >= max(10, 3 * len(values_seen))
                and min(values_seen.values()) > 1
            ):
                rule["enum"] = sorted(values_seen)
        keys[generic(path)] = rule
    return {"keys": keys, "extra_keys": False}


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def as_number(text: str) -> re.Match[str] | None:
    """``text`` as a number with nothing but a currency sign, a unit and separators of thousands."""
    match = NUMBER.fullmatch(text)
    return match if match is not None and _numbers.numbers(text) else None
