"""What broken test rows have in common, in rules that a person can read and count after.

Rows are put together by how they broke: the same wrong answer where the same was expected, then the same
wrong answer, then what its looks or the scorers say of the answer. What of the inputs goes with it is told
only where it is rarer among rows that did not break (of the same expectation) than chance explains
(hypergeometric tail, Bonferroni over everything that could have been told): among a thousand words some
always coincide.

Every condition comes with the number of unbroken rows that meet it too.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptmigrate.evaluate import score_here
from promptmigrate.report.shapes import TestRow
from promptmigrate.report.wording import clean, text
from scorers import Scorer

_SAME = 1e-9
_LABEL_CHARS = 40
_LENGTHS = (50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800)
_SHARE = 2 / 3
"""Of the rows put together, that have to meet a condition for it to be told."""
_CHANCE = 0.05
_MOST_TOLD = 3
_LONGER = 3
_WORD = re.compile(r"[^\W\d_]{3,30}")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing that broken rows have in common."""

    text: str
    here: int
    """Rows of the cluster that meet it."""
    others: int
    """Unbroken rows that meet it too."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Broken rows that belong together."""

    conditions: tuple[Condition, ...]
    rows: tuple[TestRow, ...]
    total: int
    """Broken rows in all."""
    others: int
    """Unbroken rows that meet all conditions."""
    unbroken: int
    """Unbroken rows in all."""

    @property
    def rule(self) -> str:
        """The conditions in one line."""
        return "; ".join(condition.text for condition in self.conditions)

    def to_json(self) -> dict[str, Any]:
        """One entry of ``broken`` in ``verdict.json``."""
        return {
            "rule": self.rule,
            "rows": len(self.rows),
            "total": self.total,
            "others": self.others,
            "unbroken": self.unbroken,
            "conditions": [
                {"text": condition.text, "here": condition.here, "others": condition.others}
                for condition in self.conditions
            ],
            "examples": [row.example for row in self.rows],
        }


def is_broken(row: TestRow) -> bool:
    """Whether the candidate scored below production."""
    before, after = row.baseline.score, row.candidate.score
    return before is not None and after is not None and after < before - _SAME


def find(rows: Sequence[TestRow], scorers: Sequence[Scorer] = ()) -> tuple[Cluster, ...]:
    """Clusters of the broken rows, the largest first.

    Args:
        rows: All test rows; those that were not measured are left out.
        scorers: Ones that need no model: what they say of an answer is told.
    """
    measured = sorted(
        (row for row in rows if row.baseline.score is not None and row.candidate.score is not None),
        key=lambda row: row.example,
    )
    facts = {row.example: _Facts.of(row, scorers) for row in measured}
    broken = [row for row in measured if is_broken(row)]
    rest = [row for row in measured if not is_broken(row)]
    clusters = []
    for shared, members in _together(broken, facts):
        peers = [row for row in rest if facts[row.example].expected in shared] if len(shared) > 1 else rest
        for more, part in _parts(members, peers, facts, fixed=len(shared) > 1):
            clusters.append(_cluster(shared + more, part, len(broken), rest, facts))
    return tuple(sorted(clusters, key=lambda cluster: (-len(cluster.rows), cluster.rule)))


@dataclass(frozen=True)
class _Facts:
    """What can be told of one row."""

    expected: str | None
    """As a condition: ``expected 'refund'``."""
    answered: str | None
    verdict: str
    """What the scorers, or the looks of it, say of the candidate's answer."""
    given: frozenset[str]
    """What holds of the row before anything is answered."""

    @property
    def all(self) -> frozenset[str]:
        told = {self.answered, self.verdict} - {None}
        return self.given | frozenset(str(one) for one in told)

    @classmethod
    def of(cls, row: TestRow, scorers: Sequence[Scorer]) -> _Facts:
        answered = _label(row.candidate.output)
        label = _label(row.expected)
        expected = None if label is None else f"expected {label}"
        return cls(
            expected=expected,
            answered=None if answered is None else f"answered {answered}",
            verdict=_looks(row) or _said(row, scorers) or _compared(row),
            given=frozenset([*_input_facts(row.inputs), *([expected] if expected else [])]),
        )


def _label(value: Any) -> str | None:
    """A short text in quotes; None for anything longer."""
    if not isinstance(value, str):
        return None
    line = " ".join(clean(value).split())
    return f"'{line}'" if line and len(line) <= _LABEL_CHARS else None


def _looks(row: TestRow) -> str | None:
    before, after = row.baseline.output, row.candidate.output
    if not isinstance(before, str) or not isinstance(after, str):
        return None
    if not after.strip():
        return "answered nothing"
    if _is_json(before) and not _is_json(after):
        return "answered no JSON where production did"
    if "```" in after and "```" not in before:
        return "put a code fence around the answer"
    if len(after) > _LONGER * len(before) + _LABEL_CHARS:
        return f"answered more than {_LONGER} times as long as production"
    return None


def _said(row: TestRow, scorers: Sequence[Scorer]) -> str | None:
    found = []
    for scorer in scorers:
        score = score_here(scorer, row.candidate.output, expected=row.expected, inputs=row.inputs)
        kind = score.evidence.get("kind") if score.evidence else None
        # What cannot be scored outside of the run (it wants a trace, say) says nothing of the answer.
        if score.value is not None and kind and kind != "match":
            found.append(f"{scorer.name}: {str(kind).replace('_', ' ')}")
    return " and ".join(found) or None


def _compared(row: TestRow) -> str:
    same = row.baseline.output == row.candidate.output
    return "answered as production did" if same else "answered otherwise"


def _is_json(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict | list)
    except (ValueError, RecursionError):
        return False


def _input_facts(inputs: Mapping[str, Any]) -> Iterable[str]:
    whole = "\n".join(text(value) for value in inputs.values())
    for length in _LENGTHS:
        yield f"inputs {'longer' if len(whole) > length else 'shorter'} than {length} characters"
    for word in set(_WORD.findall(whole.casefold())):
        yield f"inputs mention '{word}'"


def _together(
    broken: Sequence[TestRow], facts: Mapping[str, _Facts]
) -> list[tuple[tuple[str, ...], list[TestRow]]]:
    """Rows that broke alike, with the conditions that say how."""
    found: list[tuple[tuple[str, ...], list[TestRow]]] = []
    left = list(broken)
    levels: tuple[Callable[[_Facts], tuple[str | None, ...]], ...] = (
        lambda fact: (fact.expected, fact.answered),
        lambda fact: (fact.answered,),
        lambda fact: (fact.verdict,),
    )
    for number, level in enumerate(levels, 1):
        groups: dict[tuple[str, ...], list[TestRow]] = {}
        for row in left:
            key = level(facts[row.example])
            if all(part is not None for part in key):
                groups.setdefault(tuple(str(part) for part in key), []).append(row)
        for key in sorted(groups, key=lambda key: (-len(groups[key]), key)):
            if len(groups[key]) > 1 or number == len(levels):
                found.append((key, groups[key]))
        taken = {row.example for _, members in found for row in members}
        left = [row for row in left if row.example not in taken]
    return found


def _parts(
    members: Sequence[TestRow], rest: Sequence[TestRow], facts: Mapping[str, _Facts], *, fixed: bool
) -> list[tuple[tuple[str, ...], list[TestRow]]]:
    """``members`` with what their rows share; unless ``fixed``, divided where only some share it."""
    told = _enriched(members, rest, facts, share=_SHARE)
    if told or fixed or len(members) < 4:
        return [(told, list(members))]
    some = _enriched(members, rest, facts, share=2 / len(members))[:1]
    if not some:
        return [((), list(members))]
    inside = [row for row in members if some[0] in facts[row.example].given]
    outside = [row for row in members if some[0] not in facts[row.example].given]
    return [
        (_enriched(inside, rest, facts, share=_SHARE) or some, inside),
        *_parts(outside, rest, facts, fixed=False),
    ]


def _enriched(
    members: Sequence[TestRow], rest: Sequence[TestRow], facts: Mapping[str, _Facts], *, share: float
) -> tuple[str, ...]:
    """Conditions that at least ``share`` of ``members`` were given with, and the others far less."""
    here = Counter(fact for row in members for fact in facts[row.example].given)
    there = Counter(fact for row in rest for fact in facts[row.example].given)
    told = []
    for fact, count in here.items():
        if count < 2 or count < share * len(members) - _SAME:
            continue
        chance = _tail(count, len(members), count + there[fact], len(members) + len(rest))
        if chance * len(here) < _CHANCE:
            told.append((chance, -count, _specific(fact), fact))
    chosen: list[str] = []
    met: set[frozenset[str]] = set()
    for *_, fact in sorted(told):
        # Of several that hold of the very same rows one is enough; so is one length.
        by = frozenset(row.example for row in (*members, *rest) if fact in facts[row.example].given)
        start = fact.split(" than ")[0] if " than " in fact else None
        if by not in met and not any(start and known.startswith(start) for known in chosen):
            chosen.append(fact)
            met.add(by)
    return tuple(chosen[:_MOST_TOLD])


def _specific(fact: str) -> int:
    """Smaller for what says more: a longer word, ``longer than 400`` before ``longer than 100``."""
    size = re.search(r" than (\d+)", fact)
    return -len(fact) if size is None else int(size[1]) * (-1 if "longer" in fact else 1)


def _tail(count: int, drawn: int, marked: int, total: int) -> float:
    """The chance of ``count`` or more marked ones among ``drawn`` of ``total``, of which ``marked`` are.

    Taken as 1 where they are no more than expected: what is likely is not told, however likely it is.
    """
    if count * total <= drawn * marked:
        return 1.0
    chance = math.exp(
        _log_ways(marked, count) + _log_ways(total - marked, drawn - count) - _log_ways(total, drawn)
    )
    found = chance
    for k in range(count, min(drawn, marked)):
        chance *= (marked - k) * (drawn - k) / ((k + 1) * (total - marked - drawn + k + 1))
        found += chance
        if chance < found * 1e-16:
            break
    return found


def _log_ways(total: int, drawn: int) -> float:
    # Whole numbers with hundreds of digits, for each of thousands of words, would take minutes.
    return math.lgamma(total + 1) - math.lgamma(drawn + 1) - math.lgamma(total - drawn + 1)


def _cluster(
    conditions: tuple[str, ...],
    members: Sequence[TestRow],
    total: int,
    rest: Sequence[TestRow],
    facts: Mapping[str, _Facts],
) -> Cluster:
    def meeting(rows: Sequence[TestRow], wanted: Iterable[str]) -> int:
        needed = set(wanted)
        return sum(needed <= facts[row.example].all for row in rows)

    return Cluster(
        conditions=tuple(
            Condition(text=one, here=meeting(members, [one]), others=meeting(rest, [one]))
            for one in conditions
        ),
        rows=tuple(members),
        total=total,
        others=meeting(rest, conditions),
        unbroken=len(rest),
    )
