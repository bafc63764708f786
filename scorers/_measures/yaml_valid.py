"""yaml_valid: the output is YAML that a careful parser reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from scorers._errors import ScorerSpecError
from scorers._extras import needed
from scorers._measures._valid import CannotTellError, Problem, Valid
from scorers._text import clip

_MAX_DEPTH = 100
_LONGEST = 500_000
"""Characters; the parser needs some microseconds for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValid(Valid):
    """1.0 where the output is one YAML document, a mapping or a list, without traps, else 0.0.

    Almost every sentence is YAML, so by default the whole must be a mapping or a list. Keys that occur twice,
    anchors and aliases, tags and more than one document are refused; nothing is constructed. Needs PyYAML.
    Texts of more than 500,000 characters are unscored (``timeout``).

    Kinds of evidence: ``match``, ``empty``, ``invalid_yaml`` (``at`` is the place), ``fenced_yaml``,
    ``wrong_type``, ``repeated_key``, ``alias``, ``tag``, ``many_documents``, ``too_deep``, ``missing_keys``.

    Example:
        >>> from scorers import yaml_valid
        >>> yaml_valid(keys=["urgency"])(output="urgency: high\\ntags: [a, b]").value
        1.0
        >>> yaml_valid()(output="Sure, here you are!").evidence["kind"]
        'wrong_type'
    """

    name: str = "yaml_valid"
    type: Literal["container", "mapping", "list", "any"] = "container"
    """What the whole must be; a container is a mapping or a list."""
    keys: tuple[str, ...] = ()
    """Keys that the outermost mapping must have."""

    def _check(self) -> None:
        needed("yaml", scorer=self.name, install="pyyaml")
        if self.keys and self.type not in ("container", "mapping"):
            raise ScorerSpecError(
                f"{self.name}: 'keys' needs a mapping, and 'type' is {self.type!r}", key="keys"
            )

    def _format(self) -> str:
        return "yaml"

    def _problem(self, text: str) -> Problem | None:
        if len(text) > _LONGEST:
            raise CannotTellError(f"YAML of more than {_LONGEST} characters is not read")
        yaml = needed("yaml", scorer=self.name, install="pyyaml")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        walk = _Walk()
        try:
            # Events only: no object is built, and the C parser keeps no stack that a deep text could exhaust.
            for event in yaml.parse(text, Loader=loader):
                problem = walk.take(type(event).__name__, event)
                if problem is not None:
                    return problem
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            at = f"line {mark.line + 1} column {mark.column + 1}" if mark else ""
            why = clip(getattr(error, "problem", None) or str(error).partition("\n")[0], 100)
            told = f"it is not YAML ({why}{' at ' + at if at else ''})"
            return Problem(kind="invalid_yaml", why=told, evidence={"at": at} if at else {})
        except UnicodeEncodeError:
            return Problem(
                kind="invalid_yaml", why="it holds half of a surrogate pair, which no file can hold"
            )
        return self._whole(walk)

    def _whole(self, walk: _Walk) -> Problem | None:
        wanted = ("mapping", "list") if self.type == "container" else (self.type,)
        if self.type != "any" and walk.root not in wanted:
            return Problem(
                kind="wrong_type",
                why=f"expected a {' or a '.join(wanted)}, got a {walk.root or 'nothing'}",
                evidence={"type": walk.root},
            )
        missing = [key for key in self.keys if key not in walk.keys]
        if missing:
            return Problem(
                kind="missing_keys",
                why=f"it lacks the keys {clip(missing, 200)}",
                evidence={"missing": [clip(key) for key in missing[:20]]},
            )
        return None


class _Walk:
    """What the events of a document say, one after the other."""

    def __init__(self) -> None:
        self.root = ""
        self.keys: set[str] = set()
        self._documents = 0
        self._open: list[tuple[set[str] | None, bool]] = []
        """For each open collection: the keys so far (None for a list), and whether a key comes next."""

    def take(self, kind: str, event: Any) -> Problem | None:
        """Go on with one event; the problem that it shows, if any."""
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                return Problem(kind="many_documents", why="there is more than one document")
        elif kind == "AliasEvent" or getattr(event, "anchor", None):
            return Problem(kind="alias", why="anchors and aliases are refused")
        elif kind in ("ScalarEvent", "MappingStartEvent", "SequenceStartEvent"):
            if event.tag not in (None, "!"):
                return Problem(kind="tag", why=f"the tag {clip(event.tag, 40)!r} is refused")
            return self._node(kind, event)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._open.pop()
        return None

    def _node(self, kind: str, event: Any) -> Problem | None:
        called = {"MappingStartEvent": "mapping", "SequenceStartEvent": "list"}.get(kind, "single value")
        self.root = self.root or called
        if self._open:
            known, is_key = self._open[-1]
            if known is not None:
                self._open[-1] = (known, not is_key)
                if is_key and kind == "ScalarEvent":
                    if event.value in known and event.value != "<<":
                        return Problem(
                            kind="repeated_key", why=f"the key {clip(event.value, 40)!r} occurs twice"
                        )
                    known.add(event.value)
                    if len(self._open) == 1:
                        self.keys.add(event.value)
        if kind != "ScalarEvent":
            self._open.append((set(), True) if called == "mapping" else (None, False))
            if len(self._open) > _MAX_DEPTH:
                return Problem(kind="too_deep", why=f"it is nested more than {_MAX_DEPTH} deep")
        return None


yaml_valid = YamlValid
