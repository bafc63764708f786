"""The contract of JSON answers: keys, types, enumerations, date forms, layout."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from promptmigrate.search.contract_labels import is_open
from promptmigrate.search.contract_numbers import date_form
from promptmigrate.search.text import cased

_FENCED = re.compile(r"^\s*```[A-Za-z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
_MAX_DEPTH = 3
_MAX_ENUMERATION = 12
_SAME_SIZE_FROM = 10
"""Lists from which on it is no chance that all have the same length."""


def as_object(value: Any) -> dict[str, Any] | None:
    """``value`` as a JSON object, if it is one or a text (fenced or not) that holds just one."""
    if isinstance(value, Mapping):
        return dict(value)
    parsed = _parsed(value)
    return parsed if isinstance(parsed, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """``value`` as a JSON array, if it is one or a text (fenced or not) that holds just one."""
    if isinstance(value, (list, tuple)):
        return list(value)
    parsed = _parsed(value)
    return parsed if isinstance(parsed, list) else None


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return None
    fence = _FENCED.match(value)
    try:
        return json.loads(fence[1] if fence else value)
    except (ValueError, RecursionError):
        return None


def describe(objects: Sequence[Mapping[str, Any]], outputs: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Rules and facts for answers that are JSON ``objects`` (some); ``outputs`` are production's texts."""
    if _is_map(objects):
        what = f"The answer is {_type(objects)}"
        return f"Output format:\n{_only(outputs)}\n{what}.", (what,)
    lines = _fields(objects, depth=0)
    flat = not any(isinstance(v, (dict, list)) for o in objects for v in o.values())
    always = [k for k in objects[0] if all(k in o for o in objects)]
    optional = sorted({k for o in objects for k in o} - set(always))
    rules = [
        "Output format:",
        _only(outputs),
        "Use exactly these keys, spelled like this, in this order, and no other keys:",
        *lines,
    ]
    if optional:
        rules.append(f"Leave out {', '.join(json.dumps(k) for k in optional)} where it does not apply.")
    if flat:
        rules.append("Keep the object flat: no nested objects and no lists.")
    values = [v for o in objects for v in o.values()]
    if None in values and "" not in values:
        rules.append("Use null (not an empty string) for what the input does not say.")
    if _on_one_line(outputs):
        rules.append("Write the JSON on a single line.")
    facts = ("The answer is one JSON object with these keys:", *lines)
    return "\n".join(rules), facts


def describe_lists(lists: Sequence[list[Any]], outputs: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The same for answers that are JSON arrays."""
    items = [item for one in lists for item in one]
    what = f"The answer is a list{f', each item {_type(items)}' if items else ''}"
    objects = [item for item in items if isinstance(item, dict)]
    fields = _fields(objects, depth=0) if what.endswith(":") else []
    rules = ["Output format:", _only(outputs, "array"), what if fields else f"{what}.", *fields]
    sizes = {len(one) for one in lists}
    if len(sizes) == 1 and len(lists[0]) > 1 and len(lists) >= _SAME_SIZE_FROM:
        rules.append(f"The list has exactly {len(lists[0])} items.")
    elif 0 in sizes:
        rules.append("Where there is nothing to list, answer with the empty list: []")
    if _on_one_line(outputs):
        rules.append("Write the JSON on a single line.")
    return "\n".join(rules), (what, *fields)


def _on_one_line(outputs: Sequence[str]) -> bool:
    return bool(outputs) and sum("\n" not in o.strip() for o in outputs) >= 0.9 * len(outputs)


def _only(outputs: Sequence[str], kind: str = "object") -> str:
    only = f"Answer with only one valid JSON {kind}"
    if outputs and sum(bool(_FENCED.match(o)) for o in outputs) >= 0.9 * len(outputs):
        return f"{only} between two lines of ``` (the first is ```json), and nothing else: no explanation."
    return (
        f"{only} and nothing else: no text before or after it, no explanation, no markdown, no code fences "
        "(```)."
    )


def _is_map(objects: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the keys are taken from the input (names, days), so that others have other keys."""
    counts = Counter(key for one in objects for key in one)
    return len(objects) > 2 and max(counts.values(), default=0) < len(objects) and is_open(counts)


def _fields(objects: Sequence[Mapping[str, Any]], *, depth: int) -> list[str]:
    order: dict[str, None] = {}
    for one in objects:
        order.update(dict.fromkeys(one))
    lines = []
    for key in order:
        values = [o[key] for o in objects if key in o]
        left_out = " (left out where it does not apply)" if depth and len(values) < len(objects) else ""
        shape = _type(values)
        shape = f"{shape[:-1]}{left_out}:" if shape.endswith(":") else f"{shape}{left_out}"
        lines.append(f"{'  ' * depth}- {json.dumps(key, ensure_ascii=False)}: {shape}")
        inner = [v for v in values if isinstance(v, dict)]
        if not inner:
            inner = [i for v in values if isinstance(v, list) for i in v if isinstance(i, dict)]
        if inner and depth < _MAX_DEPTH and not _is_map(inner):
            lines += _fields(inner, depth=depth + 1)
    return lines


def _type(values: Sequence[Any]) -> str:
    present = [v for v in values if v is not None]
    null = " or null" if len(present) < len(values) else ""
    if not present:
        return "null"
    if all(isinstance(v, bool) for v in present):
        return "true or false (a JSON boolean, no quotes)" + null
    if all(isinstance(v, int) and not isinstance(v, bool) for v in present):
        return "a whole number (a JSON number, no quotes)" + null
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in present):
        return "a number (a JSON number, no quotes, no currency sign)" + null
    if all(isinstance(v, str) for v in present):
        return _string(present) + null
    if all(isinstance(v, list) for v in present):
        items = [i for v in present for i in v]
        return ("a list" + (f", each item {_type(items)}" if items else "")) + null
    if all(isinstance(v, dict) for v in present):
        if _is_map(present):
            inner = _type([v for one in present for v in one.values()]).removesuffix(" with these keys:")
            return f"an object whose keys come from the input, each value {inner}{null}"
        return "an object with these keys:" + null
    return "a JSON value"


def _string(values: Sequence[str]) -> str:
    if date := date_form(values):
        return f"a string, {date}"
    counts = Counter(values)
    repeated = sum(n for n in counts.values() if n > 1)
    short = all(len(v) <= 40 and len(v.split()) <= 4 for v in counts)
    few = len(counts) <= min(_MAX_ENUMERATION, len(values) / 2) and not is_open(counts)
    if short and few and repeated >= 0.7 * len(values):
        listed = ", ".join(json.dumps(v, ensure_ascii=False) for v in sorted(counts))
        return f"a string, exactly one of {listed}"
    if all(re.fullmatch(r"[-+]?\d+([.,]\d+)?", v) for v in values):
        return "a string of digits (in quotes)"
    letters = [v for v in values if cased(v)]
    if len(letters) >= 5 and all(v == v.lower() for v in letters):
        return "a string in lowercase"
    if len(letters) >= 5 and all(v == v.upper() for v in letters):
        return "a string in UPPERCASE"
    return "a string"
