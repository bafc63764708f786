"""citations: the answer names its sources, and they exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scorers._base import Measure
from scorers._text import as_text, clip
from scorers._types import Sample, Score
from scorers._words import sentences

_BRACKETS = re.compile(r"\[([^\[\]\n]{1,200})\](?!\()|【([^【】\n]{1,200})】")
_ID = re.compile(r"[\w][\w.:#/\-]{0,63}")
_RANGE = re.compile(r"(\d{1,6})\s*[-–]\s*(\d{1,6})")
_SOURCE_WORD = re.compile(r"(?:sources?|refs?|docs?|documents?)[ .:#]+(?=\S)", re.IGNORECASE)
_LONGEST = 500_000
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Citations(Measure):
    """The share of citations in the output that name a given source; 0.0 where there is none.

    A citation stands in brackets: ``[1]``, ``[2, 3]``, ``[4-6]``, ``[doc-7]``, ``[^1]``, ``【1】``; a
    Markdown link is none. The sources are those of the option, else ``inputs["sources"]``: a mapping by id,
    a list of objects with an ``id``, or a list of texts, which are numbered from 1. Without any, only that
    something is cited counts. Case does not matter. That a source says what it is cited for is not checked:
    a judge must.

    Kinds of evidence: ``match``, ``empty``, ``no_citation``, ``unknown_source``, ``uncited_sentence``
    (``every_sentence``); ``cited``, ``unknown`` and ``checked`` (``sources`` or ``presence``).

    Example:
        >>> from scorers import citations
        >>> found = citations()(output="It rains [1]. It pours [7].", inputs={"sources": ["a", "b"]})
        >>> found.value, found.evidence["unknown"]
        (0.5, ['7'])
    """

    name: str = "citations"
    sources: tuple[str, ...] | None = None
    """The ids that may be cited."""
    sources_key: str = "sources"
    """Where the sources stand in the inputs."""
    required: bool = True
    """An answer without any citation scores 0.0; otherwise 1.0."""
    every_sentence: bool = False
    """Each sentence needs a citation; the value is then the share of sentences that have one which exists."""

    def _needs_expected(self) -> bool:
        return False

    def _score(self, sample: Sample) -> Score:
        output = as_text(sample.output)
        if not output.strip():
            return self._found(0.0, "empty", "the answer is empty")
        if len(output) > _LONGEST:
            return self._unscored("timeout", f"an answer of more than {_LONGEST} characters is not searched")
        known = self._known(sample.inputs)
        cited = _cited(output, known)
        unknown = [each for each in cited if known is not None and each.casefold() not in known]
        evidence: dict[str, Any] = {
            "cited": [clip(each, 64) for each in cited[:_SHOWN]],
            "unknown": [clip(each, 64) for each in unknown[:_SHOWN]],
            "checked": "presence" if known is None else "sources",
        }
        if self.every_sentence:
            return self._by_sentence(output, known, unknown, evidence)
        if not cited:
            if not self.required:
                return self._found(1.0, "match", "", **evidence)
            return self._found(
                0.0, "no_citation", f"the answer cites nothing: {clip(output.strip())!r}", **evidence
            )
        if not unknown:
            return self._found(1.0, "match", "", **evidence)
        told = f"there is no source {', '.join(evidence['unknown'][:5])}"
        return self._found(1 - len(unknown) / len(cited), "unknown_source", told, **evidence)

    def _by_sentence(
        self, output: str, known: frozenset[str] | None, unknown: list[str], evidence: dict[str, Any]
    ) -> Score:
        # A citation behind the full stop belongs to the sentence before it.
        parts = sentences(
            re.sub(r"([.!?。])([ \t]{0,4})((?:\[[^\[\]\n]{1,60}\][ \t]{0,2}){1,8})", r" \3\1\2", output)
        )
        without = [
            part
            for part in parts
            if not any(known is None or each.casefold() in known for each in _cited(part, known))
        ]
        if not without and not unknown:
            return self._found(1.0, "match", "", **evidence)
        value = 1 - len(without) / len(parts) if parts else 0.0
        evidence["uncited"] = [clip(part, 120) for part in without[:5]]
        if unknown:
            told = f"there is no source {', '.join(evidence['unknown'][:5])}"
            # Each sentence may have a real source beside one that does not exist: that is not all right.
            return self._found(min(value, 1 - 1 / (len(parts) + 1)), "unknown_source", told, **evidence)
        told = f"{len(without)} of {len(parts)} sentences cite nothing: {clip(without[0])!r}"
        return self._found(value, "uncited_sentence", told, **evidence)

    def _known(self, inputs: Mapping[str, Any] | None) -> frozenset[str] | None:
        given: Any = self.sources
        if given is None and isinstance(inputs, Mapping):
            given = inputs.get(self.sources_key)
            if isinstance(given, list | tuple) and not all(isinstance(item, Mapping) for item in given):
                return frozenset(str(number) for number in range(1, len(given) + 1))
        if given is None or isinstance(given, str):
            return None
        if isinstance(given, list | tuple):
            named = [
                item.get("id", item.get("name", number)) if isinstance(item, Mapping) else item
                for number, item in enumerate(given, 1)
            ]
        elif isinstance(given, Mapping):
            named = list(given)
        else:
            return None
        return frozenset(as_text(each).strip().casefold() for each in named)


def _cited(text: str, known: frozenset[str] | None) -> list[str]:
    """The ids that ``text`` cites, each once, in order."""
    found: dict[str, str] = {}
    for match in _BRACKETS.finditer(text):
        inner = _SOURCE_WORD.sub("", (match[1] or match[2]).partition("†")[0]).strip()
        ids: list[str] = []
        for part in re.split(r"[,;]", inner):
            name = part.strip().lstrip("^@")
            both = _RANGE.fullmatch(name)
            if both and 0 <= int(both[2]) - int(both[1]) < 100:
                ids += (str(number) for number in range(int(both[1]), int(both[2]) + 1))
            elif name:
                ids.append(name)
        is_known = [known is not None and each.casefold() in known for each in ids]
        like_ids = all(_ID.fullmatch(each) and any(c.isdigit() for c in each) for each in ids)
        # "[sic]" and "[your name]" are no citations; what has no digit must be a known source.
        if ids and (like_ids or any(is_known)):
            for each in ids:
                found.setdefault(each.casefold(), each)
    return list(found.values())


citations = Citations
