"""json_schema: the output is JSON that keeps a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from scorers._base import Measure
from scorers._errors import ScorerSpecError
from scorers._extras import needed
from scorers._frozen import thawed
from scorers._json import PROBLEMS, read
from scorers._json_compare import Comparison, size
from scorers._linear_regex import TooSlowError, bounded
from scorers._options import options
from scorers._text import as_text, clip
from scorers._types import Sample, Score

_SHOWN = 10
_STEPS_AT_ONCE, _STEPS_PER_VALUE = 5_000, 10
"""References that are followed for one output; a schema that refers to itself could need far too many."""
_KEY = 512
"""Characters of a key that is held against a pattern."""


class _TooMuchError(Exception):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema(Measure):
    """1.0 where the output is JSON that keeps the schema, else 0.0.

    Needs ``jsonschema`` (``promptmigrate[json]``). The draft is that of ``$schema``, by default 2020-12.
    Nothing is fetched: references must stand in the schema itself. Patterns run in bounded time.

    Kinds of evidence: ``match``, ``empty``, ``invalid_json``, ``fenced_json``, ``text_around_json``,
    ``schema``; ``errors`` lists path, rule and message of the first ten.

    Example:
        >>> from scorers import json_schema
        >>> urgent = json_schema(schema={"type": "object", "required": ["urgency"],
        ...                              "properties": {"urgency": {"enum": ["low", "high"]}}})
        >>> urgent(output='{"urgency": "low"}').value
        1.0
        >>> urgent(output='{"urgency": "asap"}').evidence["errors"][0]["rule"]
        'enum'
    """

    name: str = "json_schema"
    schema: Mapping[str, Any]
    """A JSON schema."""
    formats: bool = False
    """``format`` (date, email, ...) counts too, as far as jsonschema can check it; the standard says it
    need not."""
    allow_fences: bool = False
    """JSON inside a Markdown code block is read: only if production's consumer does so too."""
    _validator: Any = field(init=False, repr=False, compare=False, default=None)

    def _check(self) -> None:
        object.__setattr__(self, "_validator", _compiled(self.name, thawed(self.schema), self.formats))

    def __reduce__(self) -> tuple[Any, ...]:
        # The library's validator cannot be sent to another process; it is built again there.
        return _rebuilt, ({name: getattr(self, name) for name in options(JsonSchema)},)

    def _needs_expected(self) -> bool:
        return False

    def _score(self, sample: Sample) -> Score:
        output = "" if sample.output is None else sample.output
        found = read(output, allow_fences=self.allow_fences)
        if found.problem:
            kind, why = PROBLEMS[found.problem]
            return self._found(0.0, kind, f"{why}: {clip(as_text(output).strip())!r}")
        value = found.value if isinstance(output, str) else thawed(found.value)
        steps = _Steps(_STEPS_AT_ONCE + _STEPS_PER_VALUE * size(value))
        token = _STEPS.set(steps)
        try:
            errors = list(islice(self._validator.iter_errors(value), _SHOWN))
        except (TooSlowError, _TooMuchError) as error:
            return self._unscored("timeout", f"not checked: {error}")
        finally:
            _STEPS.reset(token)
        if not errors:
            return self._found(1.0, "match", "")
        shown = [
            {
                "path": clip(error.json_path, 200),
                "rule": str(error.validator),
                "message": clip(error.message, 200),
            }
            for error in errors
        ]
        told = "; ".join(f"{e['path']}: {e['message']}" for e in shown[:3])
        more = f"; and {len(shown) - 3} more" if len(shown) > 3 else ""
        return self._found(0.0, "schema", told + more, errors=shown)


class _Steps:
    """How many references were followed for the output at hand."""

    __slots__ = ("left", "most")

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _TooMuchError(f"more than {self.most} references would have to be followed")


_STEPS: ContextVar[_Steps | None] = ContextVar("scorers_json_schema_steps", default=None)


def _compiled(who: str, schema: dict[str, Any], formats: bool) -> Any:
    """The validator of a schema, with what could fetch or hang replaced."""
    library = needed("jsonschema", scorer=who, install="promptmigrate[json]")
    specifications = needed("jsonschema_specifications", scorer=who, install="promptmigrate[json]")
    base = library.validators.validator_for(schema, default=library.Draft202012Validator)
    try:
        base.check_schema(schema)
    except library.SchemaError as error:
        raise ScorerSpecError(
            f"{who}: option 'schema' is not a JSON schema: {error.json_path}: {clip(error.message, 200)}",
            key="schema",
        ) from None
    _check_parts(who, schema)
    keywords = {"pattern": _pattern, "patternProperties": _pattern_properties, "uniqueItems": _unique_items}
    for name in ("$ref", "$dynamicRef", "$recursiveRef"):
        if name in base.VALIDATORS:
            keywords[name] = _counted(base.VALIDATORS[name])
    kind = library.validators.extend(base, keywords)
    return kind(
        schema,
        registry=specifications.REGISTRY,
        format_checker=base.FORMAT_CHECKER if formats else None,
    )


def _check_parts(who: str, schema: Any) -> None:
    """Refuse references that would have to be fetched, and patterns that could hang."""
    known = {str(part["$id"]).rstrip("#") for part in _parts(schema) if isinstance(part.get("$id"), str)}
    for part in _parts(schema):
        for name in ("$ref", "$dynamicRef"):
            target = part.get(name)
            if isinstance(target, str) and "://" in target and target.partition("#")[0] not in known:
                if target.startswith(("http://json-schema.org/", "https://json-schema.org/")):
                    continue
                raise ScorerSpecError(
                    f"{who}: option 'schema' refers to {clip(target)!r}, and nothing is fetched; "
                    "put it under '$defs'",
                    key="schema",
                )
        patterns = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
        keyed = part.get("patternProperties")
        patterns += list(keyed) if isinstance(keyed, Mapping) else []
        for pattern in patterns:
            try:
                bounded(pattern, 0, False)
                if isinstance(keyed, Mapping) and pattern in keyed:
                    bounded(pattern, 0, False).check_length(_KEY)
            except TooSlowError as error:
                raise ScorerSpecError(
                    f"{who}: the pattern {clip(pattern)!r} in 'schema' is refused: {error}", key="schema"
                ) from None


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield item
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


def _error(message: str) -> Any:
    return needed("jsonschema", scorer="json_schema", install="promptmigrate[json]").ValidationError(message)


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not bounded(pattern, 0, False).matches(instance):
        yield _error(f"{clip(instance)!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, __: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    if any(len(key) > _KEY for key in instance):
        raise _TooMuchError(f"a key is longer than {_KEY} characters")
    for pattern, subschema in patterns.items():
        held = bounded(pattern, 0, False)
        for key, item in instance.items():
            if held.matches(key):
                yield from validator.descend(item, subschema, path=key, schema_path=pattern)


def _unique_items(_: Any, wanted: bool, instance: Any, __: Any) -> Iterator[Any]:
    if wanted and isinstance(instance, list) and _EXACT.repeats(instance):
        yield _error(f"{clip(instance)} has items that are not unique")


def _counted(original: Any) -> Any:
    def follow(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[Any]:
        steps = _STEPS.get()
        if steps is not None:
            steps.take()
        yield from original(validator, reference, instance, schema) or ()

    return follow


def _rebuilt(given: dict[str, Any]) -> JsonSchema:
    return JsonSchema(**given)


_EXACT = Comparison()
json_schema = JsonSchema
