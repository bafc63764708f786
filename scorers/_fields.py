"""The fields of JSON values: their paths, and scorers that compare them one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scorers._errors import ScorerSpecError
from scorers._frozen import Frozen, frozen
from scorers._json import SCALARS
from scorers._json_compare import Comparison
from scorers._text import as_text, clip
from scorers._types import Judge, Scorer

_INDEX = re.compile(r"\[(?!\")[^\]]*\]")
_MOST_PAIRS = 10_000
_EXACT = Comparison()


class TooManyPairsError(ValueError):
    """Two lists have too many items for each to be compared with each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Which lists have no order, which are matched by a key, and which values are not taken apart."""

    all_unordered: bool = False
    unordered: tuple[str, ...] = ()
    keys: Mapping[str, str] = Frozen()
    whole: frozenset[str] = frozenset()

    def is_unordered(self, path: str) -> bool:
        """Whether the order of the list at ``path`` does not count."""
        return self.all_unordered or (bool(self.unordered) and _listed(path, self.unordered))

    def key_of(self, path: str) -> str | None:
        """The key by which the items of the list at ``path`` are matched."""
        return (self.keys.get(path) or self.keys.get(generic(path))) if self.keys else None


def leaves(value: Any, paths: Paths) -> dict[str, Any]:
    """The leaves of ``value`` by path; a list whose order does not count is one leaf."""
    found: dict[str, Any] = {}
    _collect(value, "", paths, found)
    return found


def _collect(value: Any, path: str, paths: Paths, found: dict[str, Any]) -> None:
    kind = value.__class__
    if kind in SCALARS or not value or (paths.whole and _listed(path, paths.whole)):
        found[path] = value
    elif kind is dict or isinstance(value, Mapping):
        for key, child in value.items():
            _collect(child, _below_key(path, key if key.__class__ is str else str(key)), paths, found)
    elif kind is list or isinstance(value, list | tuple):
        key = paths.key_of(path)
        if key is not None:
            for step, child in _by_key(value, key):
                _collect(child, f"{path}[{step}]", paths, found)
        elif paths.is_unordered(path):
            found[path] = value
        else:
            for index, child in enumerate(value):
                _collect(child, f"{path}[{index}]", paths, found)
    else:
        found[path] = value


def _below_key(path: str, key: str) -> str:
    if not key or "." in key or "[" in key:  # quoted, so that no two fields have one path
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def _by_key(items: Sequence[Any], key: str) -> list[tuple[str, Any]]:
    seen: dict[str, int] = {}
    found = []
    for index, item in enumerate(items):
        if isinstance(item, Mapping) and key in item:
            step = as_text(item[key]).replace("]", ")").replace('"', "'") or "''"
            seen[step] = seen.get(step, 0) + 1
            found.append((step if seen[step] == 1 else f"{step} #{seen[step]}", item))
        else:
            found.append((str(index), item))
    return found


def generic(path: str) -> str:
    """``path`` with every position in a list written as ``[]``."""
    return _INDEX.sub("[]", path) if "[" in path else path


def _listed(path: str, paths: Any) -> bool:
    return path in paths or ("[" in path and generic(path) in paths)


def below(path: str, loose: str, field: str) -> bool:
    """Whether ``path`` (``loose`` in its generic form) is ``field`` or below it."""
    field = field.replace("[*]", "[]")
    starts = (f"{field}.", f"{field}[")
    if field in (path, loose) or path.startswith(starts) or loose.startswith(starts):
        return True
    # A key that holds a dot may be named without the quotes.
    return '["' in path and below(
        plain := path.replace('["', ".").replace('"]', "").lstrip("."), plain, field
    )


def shown_path(path: str) -> str:
    """``path`` as it is shown in evidence."""
    return clip(path or "(value)", 200)


class Comparers:
    """Scorers that compare single fields."""

    __slots__ = ("_by_path", "paths")

    def __init__(self, by_path: Mapping[str, Scorer] | None = None) -> None:
        self._by_path = dict(by_path or {})
        self.paths = frozenset(self._by_path)

    def __bool__(self) -> bool:
        return bool(self._by_path)

    @classmethod
    def read(cls, who: str, given: Any) -> tuple[Frozen, Comparers]:
        """The option ``compare`` as specs, and the scorers that they describe.

        Raises:
            ScorerSpecError: one of them is no scorer, or asks a model.
        """
        from scorers._registry import from_spec, to_spec

        if not given and isinstance(given, Frozen):
            return given, _NONE
        if not isinstance(given, Mapping):
            raise ScorerSpecError(f"{who}: option 'compare' must map paths to scorers", key="compare")
        specs: dict[str, Any] = {}
        scorers: dict[str, Scorer] = {}
        for path, spec in given.items():
            if not isinstance(path, str) or not path:
                raise ScorerSpecError(
                    f"{who}: {path!r} in 'compare' is not the path of a field", key="compare"
                )
            path = path.replace("[*]", "[]")  # noqa: PLW2901 - the same path in its usual form
            ready = not isinstance(spec, str | Mapping)
            try:
                if ready and (isinstance(spec, type) or not isinstance(spec, Scorer)):
                    raise ScorerSpecError(f"a {type(spec).__name__} is not a scorer")
                scorer = spec if ready else from_spec(spec)
                specs[path] = to_spec(scorer)
            except ScorerSpecError as error:
                raise ScorerSpecError(f"{who}: 'compare' for {path!r}: {error}", key="compare") from error
            if isinstance(scorer, Judge):
                raise ScorerSpecError(
                    f"{who}: 'compare' for {path!r} asks a model ({scorer.name}); fields are compared by "
                    "deterministic scorers only",
                    key="compare",
                )
            scorers[path] = scorer
        return frozen(specs), cls(scorers)

    def at(self, path: str) -> Scorer | None:
        """The scorer for the field at ``path``."""
        found = self._by_path.get(path)
        return found if found is not None or "[" not in path else self._by_path.get(generic(path))

    def inside(self, path: str) -> bool:
        """Whether there is a scorer for something inside the list at ``path``."""
        if not self._by_path:
            return False
        start = f"{generic(path)}[]"
        return any(known.startswith(start) for known in self._by_path)

    def inside_of(self, path: str) -> bool:
        """Whether there is a scorer for something inside the value at ``path``."""
        starts = (f"{path}.", f"{path}[")
        return any(known.startswith(starts) for known in self._by_path)

    @staticmethod
    def share(scorer: Scorer, how: Comparison, wanted: Any, got: Any, inputs: Any) -> float:
        """The share of a match that ``scorer`` gives; 0.0 where it cannot score."""
        if how.same(wanted, got):
            return 1.0
        return scorer(output=got, expected=wanted, inputs=inputs).value or 0.0

    def same(self, path: str, how: Comparison, paths: Paths, wanted: Any, got: Any, inputs: Any) -> bool:
        """Whether two values match, each field by its scorer."""
        scorer = self.at(path)
        if scorer is not None:
            return self.share(scorer, how, wanted, got, inputs) == 1.0
        if isinstance(wanted, Mapping):
            return (
                isinstance(got, Mapping)
                and wanted.keys() == got.keys()
                and all(
                    self.same(_below_key(path, str(k)), how, paths, wanted[k], got[k], inputs) for k in wanted
                )
            )
        if isinstance(wanted, list | tuple) and isinstance(got, list | tuple):
            if len(wanted) != len(got):
                return False
            if paths.is_unordered(path):
                return self.shared(path, how, paths, wanted, got, inputs) == len(wanted)
            pairs = enumerate(zip(wanted, got, strict=True))
            return all(self.same(f"{path}[{i}]", how, paths, a, b, inputs) for i, (a, b) in pairs)
        return how.same(wanted, got)

    def shared(
        self, path: str, how: Comparison, paths: Paths, wanted: Sequence[Any], got: Sequence[Any], inputs: Any
    ) -> int:
        """How many items of ``wanted`` have a match in ``got``, each used once: equal ones first.

        Raises:
            TooManyPairsError: the lists are too long for each to be compared with each.
        """
        rest, left = _EXACT.unmatched(wanted, got)
        if len(rest) * len(left) > _MOST_PAIRS:
            raise TooManyPairsError(f"lists of {len(wanted)} and {len(got)} items whose order does not count")
        found = len(wanted) - len(rest)
        for item in rest:
            for index, other in enumerate(left):
                if self.same(f"{path}[]", how, paths, item, other, inputs):
                    del left[index]
                    found += 1
                    break
        return found


_NONE = Comparers()
