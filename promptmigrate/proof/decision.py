"""Whether the verdict on each candidate follows from rows and rules."""

from __future__ import annotations

from collections.abc import Iterator

from promptmigrate.decide import decide_all, switch_if
from promptmigrate.errors import UsageError
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, compare
from promptmigrate.proof.jsonl import plain


def check_verdict(bundle: Contents) -> Iterator[Finding]:
    """Every number and sentence of the verdict, and of the table of all candidates, is what the gate says of
    these rows under these rules."""
    if not 0 <= bundle.manifest.place <= len(bundle.others):
        return  # told by check_rules
    decided = [(other.variant, other.pairs) for other in bundle.others]
    decided.insert(bundle.manifest.place, (bundle.candidate, bundle.pairs))
    try:
        verdicts = decide_all({str(place): rows for place, (_, rows) in enumerate(decided)}, bundle.rules)
    except UsageError as error:
        yield Finding(entry="test_rows.jsonl", problem=f"cannot be decided on: {error}")
        return
    verdict = verdicts[str(bundle.manifest.place)]
    yield from compare("verdict.json", dict(bundle.verdict), plain(verdict.to_json()))
    table = [
        {
            "candidate": variant.digest,
            "model": variant.model,
            "verdict": verdicts[str(place)].to_json(),
            "switch_if": switch_if(variant.model, verdicts[str(place)]),
        }
        for place, (variant, _) in enumerate(decided)
    ]
    yield from compare("table.json", bundle.table, plain(table), field="table")


def check_rules(bundle: Contents) -> Iterator[Finding]:
    """The rules name scorers that there are, and the candidate has a place among those decided together."""
    if not 0 <= bundle.manifest.place <= len(bundle.others):
        yield Finding(entry="manifest.json", field="place", problem="is beyond the candidates that there are")
    known = {scorer.name for scorer in bundle.scorers}
    for name in sorted({*bundle.rules.scores, *bundle.rules.uncalibrated} - known):
        yield Finding(entry="rules.json", field=f"scores.{name}", problem="is no scorer of the bundle")
