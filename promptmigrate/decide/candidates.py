"""Several candidates against one production: decided together, so that luck has no more tickets than one.

Each candidate's p-value is the largest of what it has to show (quality and guardrail scores). Holm's
step-down over the candidates (:mod:`promptmigrate.decide.holm`) keeps the chance that any of them is promoted
wrongly at what it is for one. Each Verdict's intervals are at the confidence at which Holm's test decides, so
its sentences and its decision agree; ``joint`` holds the intervals of the difference that are true of all
candidates at once (Bonferroni). Those of cost and of latency ratios, which promote nobody, are such that for
each of the two they hold for all candidates at once, wherever they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promptmigrate.decide.assess import assess
from promptmigrate.decide.gate import decide, finish
from promptmigrate.decide.holm import bonferroni_confidence, holm, holm_confidence
from promptmigrate.decide.quality import estimate
from promptmigrate.decide.rows import PairedRow, check_rows, in_order, seed_of
from promptmigrate.decide.rules import Rules
from promptmigrate.decide.verdict import Joint, Verdict
from promptmigrate.errors import DataError


def decide_all(rows_by_name: Mapping[str, Sequence[PairedRow]], rules: Rules) -> dict[str, Verdict]:
    """A Verdict for each candidate, in the order given; one alone is decided as by :func:`decide`.

    Raises:
        DataError: unusable rows, or candidates that met different rows of production.
    """
    if len(rows_by_name) == 1:
        return {name: decide(rows, rules) for name, rows in rows_by_name.items()}
    for rows in rows_by_name.values():
        check_rows(rows)
    ordered = {name: in_order(rows) for name, rows in rows_by_name.items()}
    _check_production(ordered)
    seeds = {name: seed_of(rows) for name, rows in ordered.items()}
    names = list(ordered)
    together = bonferroni_confidence(len(names), rules.confidence)
    alone = {
        name: assess(rows, rules, seed=seeds[name], confidence=rules.confidence, ratios=together)
        for name, rows in ordered.items()
    }
    p_values = [alone[name].p_value for name in names]
    levels = holm_confidence(p_values, rules.confidence)
    found = {}
    for name, p_value, level in zip(names, holm(p_values), levels, strict=True):
        rows, seed = ordered[name], seeds[name]
        widest = estimate([row for row in rows if row.paired], rules, confidence=together)
        found[name] = finish(
            rows,
            rules,
            alone[name]
            if level == rules.confidence
            else assess(rows, rules, seed=seed, confidence=level, ratios=together),
            seed=seed,
            joint=Joint(
                candidates=len(names),
                p_value=p_value,
                confidence=together,
                interval=widest.limits if widest else None,
            ),
        )
    return found


def _check_production(rows_by_name: Mapping[str, Sequence[PairedRow]]) -> None:
    first: tuple[str, list[tuple[str, float | None]]] | None = None
    for name, rows in rows_by_name.items():
        production = [(row.example, row.baseline) for row in rows]
        if first is not None and production != first[1]:
            raise DataError(
                f"candidates {first[0]!r} and {name!r} were not compared with the same rows of production"
            )
        first = first or (name, production)
