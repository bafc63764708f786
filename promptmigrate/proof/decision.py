"""Whether the verdict follows from rows and rules."""

from __future__ import annotations

from collections.abc import Iterator

from promptmigrate.decide import decide_all
from promptmigrate.errors import UsageError
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, compare
from promptmigrate.proof.jsonl import plain


def check_verdict(bundle: Contents) -> Iterator[Finding]:
    """Every number and sentence of the verdict is what the gate says of these rows under these rules."""
    if not 0 <= bundle.manifest.place <= len(bundle.others):
        return  # told by check_rules
    candidates = [rows for _, rows in bundle.others]
    candidates.insert(bundle.manifest.place, bundle.pairs)
    try:
        verdicts = decide_all({str(index): rows for index, rows in enumerate(candidates)}, bundle.rules)
        verdict = verdicts[str(bundle.manifest.place)]
    except UsageError as error:
        yield Finding(entry="test_rows.jsonl", problem=f"cannot be decided on: {error}")
        return
    yield from compare("verdict.json", dict(bundle.verdict), plain(verdict.to_json()))


def check_rules(bundle: Contents) -> Iterator[Finding]:
    """The rules name scorers that there are, and the candidate has a place among those decided together."""
    if not 0 <= bundle.manifest.place <= len(bundle.others):
        yield Finding(entry="manifest.json", field="place", problem="is beyond the candidates that there are")
    known = {scorer.name for scorer in bundle.scorers}
    for name in sorted({*bundle.rules.scores, *bundle.rules.uncalibrated} - known):
        yield Finding(entry="rules.json", field=f"scores.{name}", problem="is no scorer of the bundle")
