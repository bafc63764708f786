"""The form in which a request wants its answer, and an answer in that form.

Known forms: plain text, a fenced block, XML tags, a JSON object (named in words, by a skeleton or by
``response_format``), and DSPy's ``[[ ## field ## ]]`` markers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from promptmigrate.simulate._reading import Turn, last_user

Schema: TypeAlias = Mapping[str, Any]
_TEXT: Schema = {"type": "string"}
_NEAR_END = 1500

_MARKER = re.compile(r"\[\[ ## (\w+) ## \]\]")
_RESPOND_FIELDS = re.compile(r"(?:corresponding )?output fields?,? starting with")
_RESPOND_JSON = re.compile(r"JSON object in the following order of fields:(.*)", re.DOTALL)
_RESPOND_XML = re.compile(r"wrapped in XML tags(.*)", re.DOTALL)
_TYPED = re.compile(r"\s*\(must be formatted as a valid Python ((?:[^()]|\([^()]*\))*)\)")
_NOTE = re.compile(r"\{(\w+)\}\s+# note: the value you produce (.*)")
_FENCE_ASKED = re.compile(
    r"(?:with|in|inside|between|using|enclosed by|as)\b[^.\n]{0,60}(?:```|triple back-?ticks|code[- "
    r"]?block|fenced)",
    re.I,
)
_TAG_ASKED = re.compile(
    r"(?:with|in|inside|between|using)(?:in)?\s+(?:\w+\s+){0,4}[`'\"]?<([A-Za-z_]\w*)>[^\n]{0,40}(?:</\1>|"
    r"tags?)",
    re.I,
)
_JSON_ASKED = re.compile(
    r"(?:answer|respond|reply|return|output|verdict|format|assessment|judg(?:e)?ment|provide|statement|"
    r"give)\w*\b[^.\n`]{0,160}\bjson\b",
    re.I,
)
_SKELETON_DISTANCE = 260
"""How far behind the word JSON a skeleton may begin."""
_ONE_OF = re.compile(r"(?:exactly |only )?(?:one of|either)\b:?\s*([^.\n]{3,200})", re.I)
_SKELETON_KEY = re.compile(r"[\"“]([A-Za-z_]\w*)[\"”]\s*:\s*([^,}\n]*)")


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in."""

    name: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Form:
    """The wanted form of an answer."""

    style: Literal["plain", "fenced", "tag", "json", "fields", "xml"]
    fields: tuple[Field, ...] = ()


class Author(Protocol):
    """Who fills in a form."""

    def text(self, name: str, index: int) -> str:
        """A text for the field; ``index`` counts the items of a list."""
        ...

    def truth(self, name: str) -> bool:
        """A yes or no."""
        ...

    def number(self, name: str, low: float, high: float) -> float:
        """A number in the range."""
        ...

    def choice(self, name: str, options: Sequence[Any], index: int) -> Any:
        """One of the options; ``index`` counts the items of a list."""
        ...

    def count(self, name: str) -> int:
        """How many items a list gets."""
        ...

    def keys(self, name: str) -> Sequence[str]:
        """The keys of a free mapping."""
        ...


def detect(turns: Sequence[Turn], params: Mapping[str, Any]) -> Form:
    """The form that a request wants."""
    enforced = _response_schema(params)
    if enforced:
        return Form("json", _properties(enforced))
    at = last_user(turns)
    if at < 0:
        return Form("plain")
    last = turns[at].text
    system = "\n".join(turn.text for turn in turns if turn.role == "system")
    end = last[-_NEAR_END:]
    notes = dict(_NOTE.findall(system.replace('\\"', '"')))
    if "[[ ## " in end and (match := _RESPOND_FIELDS.search(end)):
        names = [(m[1], end[match.start() + m.end() :]) for m in _MARKER.finditer(end[match.start() :])]
        return Form("fields", tuple(_field(n, t.lstrip("`"), notes) for n, t in names if n != "completed"))
    if match := _RESPOND_JSON.search(end):
        named = [(m[1], match[1][m.end() :]) for m in re.finditer(r"`(\w+)`", match[1])]
        return Form("json", tuple(_field(name, tail, notes) for name, tail in named))
    if match := _RESPOND_XML.search(end):
        tags = dict.fromkeys(re.findall(r"`<(\w+)>`", match[1]))
        return Form("xml", tuple(_field(name, "", notes) for name in tags))
    for where in (end, system[-_NEAR_END:]):
        if tag := _TAG_ASKED.search(where):
            return Form("tag", (Field(tag[1], _TEXT),))
    if _FENCE_ASKED.search(last[-400:]) or _FENCE_ASKED.search(system[-_NEAR_END:]):
        return Form("fenced")
    for where in (last[-_NEAR_END:], system[-_NEAR_END:], last[:_NEAR_END]):
        if skeleton := _skeleton(where):
            return Form("json", skeleton)
    return Form("json", ()) if params.get("response_format") else Form("plain")


def fill(form: Form, author: Author) -> str:
    """An answer of this form."""
    if form.style in ("plain", "fenced", "tag"):
        text = author.text(form.fields[0].name if form.fields else "", 0)
        if form.style == "fenced":
            return f"```\n{text}\n```"
        return f"<{form.fields[0].name}>\n{text}\n</{form.fields[0].name}>" if form.style == "tag" else text
    values = {field.name: _value(field.schema, field.name, author, 0, field.schema) for field in form.fields}
    if form.style == "json":
        return json.dumps(values or {"answer": author.text("answer", 0)}, ensure_ascii=False, indent=2)
    if form.style == "xml":
        return "\n\n".join(f"<{name}>\n{_xml(value)}\n</{name}>" for name, value in values.items())
    blocks = [f"[[ ## {name} ## ]]\n{_shown(value)}" for name, value in values.items()]
    return "\n\n".join([*blocks, "[[ ## completed ## ]]"])


def _shown(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else str(value)
        if isinstance(value, bool)
        else json.dumps(value, ensure_ascii=False)
    )


def _xml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{k}>{_xml(v)}</{k}>" for k, v in value.items())
    if isinstance(value, list):
        return "".join(f"<item>{_xml(v)}</item>" for v in value)
    return _shown(value)


def _value(schema: Schema, name: str, author: Author, index: int, root: Schema) -> Any:
    schema = _resolved(schema, root)
    if options := schema.get("enum"):
        return author.choice(name, options, index)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "string")
    if kind == "boolean":
        return author.truth(name)
    if kind in ("integer", "number"):
        low, high = float(schema.get("minimum", 0)), float(schema.get("maximum", 1))
        value = author.number(name, low, high)
        return round(value) if kind == "integer" else value
    if kind == "array":
        items = schema.get("items") or _TEXT
        return [_value(items, name, author, i, root) for i in range(author.count(name))]
    if kind == "object":
        if properties := schema.get("properties"):
            return {key: _value(sub, key, author, index, root) for key, sub in properties.items()}
        inner = schema.get("additionalProperties")
        inner = inner if isinstance(inner, Mapping) else _TEXT
        return {key: _value(inner, name, author, index, root) for key in author.keys(name)}
    return author.text(name, index)


def _resolved(schema: Schema, root: Schema) -> Schema:
    for _ in range(8):
        if reference := schema.get("$ref"):
            definitions = root.get("$defs") or root.get("definitions") or {}
            schema = definitions.get(str(reference).rsplit("/", 1)[-1], _TEXT)
        elif options := schema.get("anyOf") or schema.get("oneOf"):
            schema = next((o for o in options if o.get("type") != "null"), _TEXT)
        else:
            break
    return schema


def _response_schema(params: Mapping[str, Any]) -> Schema | None:
    wanted = params.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return None
    schema = wanted.get("json_schema")
    schema = schema.get("schema") if isinstance(schema, Mapping) else None
    return schema if isinstance(schema, Mapping) and schema.get("properties") else None


def _properties(schema: Schema) -> tuple[Field, ...]:
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return tuple(Field(name, {**sub, **shared}) for name, sub in schema["properties"].items())


def _field(name: str, tail: str, notes: Mapping[str, str]) -> Field:
    typed = _TYPED.match(tail.lstrip("`"))
    note = notes.get(name, "")
    if "JSON schema:" in note:
        start = note.index("{", note.index("JSON schema:"))
        try:
            schema, _ = json.JSONDecoder().raw_decode(note, start)
        except ValueError:
            schema = None
        if isinstance(schema, dict):
            return Field(name, schema)
    if "one of:" in note:
        options = [option.strip().strip('",') for option in note.split("one of:")[1].split(";")]
        return Field(name, {"enum": options})
    if typed:
        return Field(name, _of_python(typed[1]))
    if "True or False" in note:
        return Field(name, {"type": "boolean"})
    if "single int" in note or "single float" in note:
        return Field(name, {"type": "integer" if "single int" in note else "number"})
    return Field(name, _TEXT)


def _of_python(written: str) -> Schema:
    written = written.strip()
    if written.startswith("Literal["):
        return {"enum": [option.strip().strip("'\"") for option in written[8:-1].split(",")]}
    if written.startswith(("list", "tuple", "set", "Sequence")):
        inner = written[written.find("[") + 1 : -1] if "[" in written else "str"
        return {"type": "array", "items": _of_python(inner.split(",")[0])}
    if written.startswith(("dict", "Mapping")):
        return {"type": "object", "additionalProperties": _TEXT}
    names = {"bool": "boolean", "int": "integer", "float": "number"}
    return {"type": names.get(written.split("|")[0].strip(), "string")}


def _skeleton(text: str) -> tuple[Field, ...]:
    """The fields of the JSON skeleton that a text asks for (``{"verdict": "yes|no", "reason": "..."}``)."""
    asked = [*_JSON_ASKED.finditer(text)]
    if not asked:
        return ()
    start = text.find("{", asked[-1].start())
    if start < 0 or start - asked[-1].end() > _SKELETON_DISTANCE:
        return ()
    try:
        shape, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:  # options may stand where a value belongs: {"right": true|false}
        end = text.find("}", start)
        pairs = _SKELETON_KEY.findall(text[start : end + 1]) if end > 0 else []
        return tuple(Field(name, _sampled(written.strip())) for name, written in pairs)
    return tuple(Field(name, _shaped(value)) for name, value in shape.items())


def _shaped(value: Any) -> Schema:
    """The schema of which ``value`` is an example."""
    if isinstance(value, Mapping):
        return {"type": "object", "properties": {key: _shaped(item) for key, item in value.items()}}
    if isinstance(value, list):
        return {
            "type": "array",
            "items": _shaped(value[0]) if value and isinstance(value[0], dict) else _TEXT,
        }
    return _sampled(json.dumps(value, ensure_ascii=False))


def _sampled(written: str) -> Schema:
    """What a value in a skeleton stands for: ``"yes|no"``, ``true|false``, ``0.0``, ``"<one of A, B>"``."""
    sample = written.strip("<>")
    lowered = sample.strip('"“”<>').lower()
    if re.fullmatch(r"(?:true|false)(?:\s*(?:\||/|or)\s*(?:true|false))?|bool(?:ean)?", lowered):
        return {"type": "boolean"}
    if "|" in lowered and len(lowered) < 80:
        return {"enum": [option.strip().strip("\"'“”<>") for option in sample.split("|")]}
    if match := _ONE_OF.fullmatch(sample.strip('"“”<>')):
        options = [option.strip(" \"'`“”.") for option in re.split(r",\s*(?:or\s+)?|\s+or\s+|/", match[1])]
        return {"enum": [option for option in options if option]}
    if re.fullmatch(r"\d[\d.]*(?:\s*-\s*[\d.]+)?|(?:a )?(?:number|float|int|integer)\b.*", lowered):
        bounds = [float(x) for x in re.findall(r"\d+(?:\.\d+)?", lowered)] or [0.0, 1.0]
        low = 0 if len(bounds) < 2 else bounds[0]
        return {"type": "number", "minimum": low, "maximum": max(1.0, bounds[-1])}
    return {"type": "array", "items": _TEXT} if sample.startswith("[") else _TEXT
