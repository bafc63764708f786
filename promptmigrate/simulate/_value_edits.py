"""What wrong numbers and wrong JSON objects suggest to an editor."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.simulate import _wording as words
from promptmigrate.simulate._chance import pick, unit
from promptmigrate.simulate._evidence import Case
from promptmigrate.simulate._reading import json_object
from promptmigrate.simulate._signals import read_signals

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Edit:
    """One improvement: what it is about, its wording, and how many cases speak for it."""

    name: str
    text: str
    weight: float


def number_edits(failed: Sequence[Case], pairs: Sequence[Case], prompt: str, seed: bytes) -> list[Edit]:
    """What cases with a number as answer suggest."""
    have = read_signals(prompt)
    count = len(failed)
    wrong = [c for c in failed if last_number(c.output) != last_number(c.expected)]
    edits = []
    if wrong:
        weight = 3.0 * len(wrong) / count * (0.3 if have.steps else 1.0)
        edits.append(Edit("steps", pick(seed, "steps", words.STEPS), weight))
    stated = [c for c in wrong if last_number(c.expected) in _NUMBER.findall(c.output.replace(",", ""))]
    if stated or (wrong and not have.final):
        label = next(
            (m[1] for c in pairs if (m := re.search(r"(?m)^(\w+): *-?\d[\d,.]*$", c.expected))), "Answer"
        )
        weight = 1.0 + 2.0 * len(stated) / count
        form = {"form": f"{label}: <number>"}
        edits.append(
            Edit(
                "final",
                pick(seed, "final", words.FINAL).format(**form),
                weight * (0.3 if have.final else 1.0),
            )
        )
    near = [(c, _gap(c)) for c in wrong]
    for name, gap, wording in (("round up", 1.0, words.ROUND_UP), ("round down", -1.0, words.ROUND_DOWN)):
        hits = sum(value == gap for _, value in near)
        if hits:
            edits.append(Edit(name, pick(seed, name, wording), 0.5 + 1.2 * hits))
    if not wrong:
        edits.append(Edit("bare", pick(seed, "bare", words.BARE).format(thing="number"), 1.0))
    return edits


def _gap(case: Case) -> float | None:
    said, right = last_number(case.output), last_number(case.expected)
    return float(right) - float(said) if said and right else None


def last_number(text: str) -> str | None:
    """The last number in a text, without separators."""
    found = _NUMBER.findall(text)
    return found[-1].replace(",", "").rstrip(".") if found and len(text) < 4000 else None


def json_edits(
    failed: Sequence[Case], objects: Sequence[Mapping[str, Any]], prompt: str, seed: bytes
) -> list[Edit]:
    """What cases with a JSON object as answer suggest."""
    keys = list(dict.fromkeys(key for value in objects for key in value))
    have = read_signals(prompt)
    count = len(failed)
    edits = []
    wrapped = [
        c for c in failed if not c.output.lstrip().startswith("{") or not c.output.rstrip().endswith("}")
    ]
    if wrapped:
        text = pick(seed, "fence", words.NO_FENCE).replace("{{", "{").replace("}}", "}")
        edits.append(Edit("fence", text, 3.0 * len(wrapped) / count * (0.3 if have.raw_json else 1.0)))
    got = [(c, json_object(c.output)) for c in failed]
    drifted = [c for c, value in got if value is None or set(value) != set(keys)]
    retyped = [
        c for c, value in got
        if value and (want := json_value(c.expected))
        and any(k in value and type(value[k]) is not type(want[k]) for k in want)
    ]  # fmt: skip
    reshaped = [
        c for c, value in got
        if value and (want := json_value(c.expected))
        and any(_ISO.fullmatch(str(want[k])) and not _ISO.fullmatch(str(value.get(k))) for k in want)
    ]  # fmt: skip
    if drifted or retyped or reshaped:
        spelled = all(f'"{key}"' in prompt for key in keys)
        weight = 3.0 * (len(drifted) + len(retyped) + len(reshaped)) / count * (0.4 if spelled else 1.0)
        lead = pick(seed, "schema", words.SCHEMA_LEAD)
        lines = [
            f'- "{key}": {_kind([o.get(key) for o in objects], unit(seed, "kind " + key) < 0.12)}'
            for key in keys
        ]
        edits.append(Edit("schema", "\n".join([lead, *lines]), weight))
    return edits + _field_edits(got, keys, seed)


def _kind(values: Sequence[Any], vague: bool) -> str:
    some = [value for value in values if value is not None]
    missing = ", or null if it is missing" if len(some) < len(values) else ""
    if some and all(isinstance(value, bool) for value in some):
        return "true or false" + missing
    if vague:
        return "as in the text"
    if some and all(isinstance(value, (int, float)) for value in some):
        return "a number, without currency symbol or thousands separators" + missing
    texts = [str(value) for value in some]
    if texts and all(_ISO.fullmatch(text) for text in texts):
        return "the date as YYYY-MM-DD" + missing
    if texts and all(re.fullmatch(r"[A-Z]{3}", text) for text in texts):
        return f"a three-letter code such as {texts[0]}" + missing
    return "a string" + missing


def _field_edits(
    got: Sequence[tuple[Case, dict[str, Any] | None]], keys: Sequence[str], seed: bytes
) -> list[Edit]:
    edits = []
    for key in keys:
        told: Counter[tuple[str, str]] = Counter()
        misses = 0
        for case, value in got:
            want = json_value(case.expected) or {}
            if not value or key not in value or value[key] == want.get(key) or want.get(key) is None:
                continue
            right, wrong = _lead(case.input, want[key]), _lead(case.input, value[key])
            if right != wrong and right:
                told[right, wrong] += 1
            elif type(value[key]) is type(want[key]):
                misses += 1
        if told:
            (right, wrong), hits = min(told.items(), key=lambda item: (-item[1], item[0]))
            text = pick(seed, "field " + key, words.FIELD_RULE).format(
                field=key, right=right, wrong=wrong or "the signature"
            )
            edits.append(Edit("field " + key, text, 0.6 + 1.2 * hits))
        elif misses:
            edits.append(
                Edit(
                    "field " + key,
                    pick(seed, "hint " + key, words.FIELD_HINT).format(field=key),
                    0.3 * misses,
                )
            )
    return edits


_MONTHS = re.findall(
    r"\w+", "January February March April May June July August September October November December"
)


def _lead(text: str, value: Any) -> str:
    """The few words that stand before a value in a text; empty if it is not there or opens a line."""
    forms = [str(value)]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        forms = [f"{value:,.2f}", f"{value:,}", str(value)]
    if match := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", str(value)):
        year, month, day = (
            match[1],
            _MONTHS[min(11, max(0, int(match[2]) - 1))],
            str(int(match[3])),
        )
        forms += [f"{day} {month} {year}", f"{month} {day}, {year}"]
    for form in forms:
        at = text.find(form)
        if at > 0:
            before = text[:at].rstrip("$€£ ").rsplit("\n", 1)[-1]
            before = re.split(r"[.,;!?]", before)[-1].strip()
            return " ".join(before.split()[-3:])
    return ""


def json_value(text: str) -> dict[str, Any] | None:
    """The object that a text is, None if it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
