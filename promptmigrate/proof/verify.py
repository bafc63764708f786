"""Checking a bundle: everything that follows from something else in it is computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from promptmigrate.errors import DataError
from promptmigrate.proof import (
    beside,
    contents,
    costed,
    decision,
    identity,
    leaks,
    measured,
    rerun,
    seals,
    tried,
)
from promptmigrate.proof.archive import unpack
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, Report, shown
from promptmigrate.proof.rebuilt import asks, rebuild
from promptmigrate.proof.shapes import ENTRIES, MANIFEST
from promptmigrate.types import Variant

Check: TypeAlias = tuple[str, Callable[[Contents], Iterator[Finding]]]
_CHECKS: tuple[Check, ...] = (
    ("every row has its id and split, and the dataset its digests", identity.check_dataset),
    ("both prompts have their digests and the same placeholders", identity.check_variants),
    ("no test row is among the others or in the candidate's prompt", leaks.check_leaks),
    ("the opening of the test rows is on record", identity.check_openings),
    ("the gate saw all test rows, or the first by id", measured.check_rows),
    ("each answer is the recorded reply to its prompt", measured.check_calls),
    ("the numbers of each row follow from its answers and scores", measured.check_numbers),
    ("production's answers were broken on purpose, each in every way", tried.check_tried),
    ("costs follow from tokens and prices", costed.check_costs),
    ("the rules name scorers that there are", decision.check_rules),
    ("the verdict, and the table of all candidates, follow from rows and rules", decision.check_verdict),
)


def verify(
    path: Path,
    *,
    expected_digest: str | None = None,
    served: Variant | None = None,
    again: bool = False,
    own_code: bool = False,
) -> Report:
    """Check the bundle at ``path``. No model, no network, no key; nothing is written but one temporary file.

    Where the ``verdict.json`` of its run is beside it, that is looked at too: it seals the digest of the
    file, and what it shows has to be what is in it.

    Args:
        path: A ``bundle.zip``.
        expected_digest: The digest of the file that was sealed elsewhere, as in a route's evidence.
        served: The variant that is said to be the candidate, as in a route.
        again: Also run the gate again, every request answered from the recorded calls, and score again with
            all scorers, judges included.
        own_code: Import scorers that the bundle names as ``module:attribute``.

    Raises:
        DataError: it is not a bundle, or one of another schema; or the ``verdict.json`` beside it cannot be
            read.
    """
    raw, archive = unpack(Path(path))
    look = _Look()
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if expected_digest is not None and expected_digest != digest:
        look.find("(bundle)", f"has the digest {digest}, and {shown(expected_digest)} is sealed")
    shown_beside = beside.read(Path(path))
    if shown_beside is not None:
        look.findings += beside.check_digest(shown_beside, digest)
        look.checked.append("the run beside it sealed this file")
    for name, problem in sorted(archive.damaged.items()):
        look.find(name, f"is damaged: {problem}")
    if archive.foreign and not archive.damaged:
        look.find("(bundle)", "was not packed by promptmigrate, or holds bytes that belong to no entry")
    try:
        manifest = contents.read_manifest(archive.entries)
    except DataError as error:
        if MANIFEST not in archive.damaged:
            raise DataError(f"not a bundle that this version can read: {error}", file=path) from error
        return look.report(path, digest)
    look.name, look.run = manifest.name, manifest.run
    told = contents.check_entries(manifest, archive.entries)
    look.findings += [finding for finding in told if finding.entry not in archive.damaged]
    look.checked.append("every entry has the SHA-256 of the manifest")
    if gone := sorted(set(ENTRIES) - archive.entries.keys()):
        look.notes.append(f"nothing else was looked at, since {', '.join(gone)} cannot be read")
        return look.report(path, digest)
    try:
        look.findings += seals.check_seals(archive.entries)
        look.checked.append("every row, call and value has its seal")
        bundle = contents.read(manifest, archive.entries)
    except DataError as error:
        look.findings.append(Finding.of(error))
        look.notes.append("nothing else was looked at, since an entry cannot be read")
        return look.report(path, digest)
    if shown_beside is not None:
        look.look(
            "verdict.json beside it shows these numbers, of every candidate, and this spending",
            beside.check_shown(bundle, shown_beside),
        )
    look.at(bundle, served=served, again=again, own_code=own_code)
    return look.report(path, digest)


@dataclass(kw_only=True)
class _Look:
    """A Report in the making."""

    name: str = ""
    run: str = ""
    verdict: str | None = None
    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, entry: str, problem: str, *, place: str = "") -> None:
        self.findings.append(Finding(entry=entry, field=place, problem=problem))

    def look(self, sentence: str, found: Iterator[Finding]) -> None:
        """Take down what one check finds."""
        try:
            self.findings += found
        except (
            AttributeError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            RecursionError,
        ) as error:
            # What a bundle holds was written by others: a value that breaks a check is a finding too.
            self.find("(bundle)", f"cannot be checked ({sentence}): {type(error).__name__}: {error}")
        self.checked.append(sentence)

    def at(self, bundle: Contents, *, served: Variant | None, again: bool, own_code: bool) -> None:
        """Look at everything inside."""
        verdict = bundle.verdict.get("verdict")
        self.verdict = verdict if isinstance(verdict, str) else None
        for sentence, check in _CHECKS:
            self.look(sentence, check(bundle))
        if bundle.candidate.components:
            self.notes.append("answers of a program are not tied to its prompts: its code is elsewhere")
        if free := costed.unpriced(bundle):
            self.notes.append(
                f"costs of {', '.join(free)} were not recomputed: they are as the provider stated them, or "
                "not known"
            )
        rows = sum(row.split == "test" for row in bundle.rows)
        if len(bundle.pairs) < rows:
            self.notes.append(f"the gate opened {len(bundle.pairs)} of {rows} test rows, the first by id")
        if identity.comparable(bundle):
            self.look(
                "the experiment has its digest; rules, scorers and models are those that it asks for",
                identity.check_config(bundle),
            )
        else:
            self.notes.append(
                "the digest of the experiment was not recomputed: made by another version, or redacted"
            )
        if served is not None and not _serves(bundle.candidate, served):
            self.find(
                "variants.json",
                f"is not what is served: {shown(served.digest)}",
                place="candidate.digest",
            )
        rebuilt = rebuild(bundle.scorers, own_code=own_code)
        alone = {n: s for n, s in rebuilt.found.items() if not asks(s)}
        if alone:
            self.look(
                f"scores recomputed from the answers: {', '.join(sorted(alone))}",
                chain(measured.check_scores(bundle, alone), tried.check_tried_scores(bundle, alone)),
            )
        self.notes += [
            f"scores of {n} were not recomputed: {why}" for n, why in sorted(rebuilt.missing.items())
        ]
        judges = sorted(rebuilt.found.keys() - alone.keys())
        if not again:
            if judges:
                self.notes.append(f"scores of {', '.join(judges)} were not recomputed: --rerun does")
            return
        if (why := rerun.why_not(bundle, rebuilt)) is not None:
            self.notes.append(f"the gate was not run again: {why}")
            return
        self.look(
            "the gate was run again from the recorded calls, with all scorers",
            rerun.check_rerun(bundle, rebuilt),
        )

    def report(self, path: Path, digest: str) -> Report:
        return Report(
            path=str(path),
            digest=digest,
            name=self.name,
            run=self.run,
            verdict=self.verdict,
            findings=tuple(dict.fromkeys(self.findings)),
            checked=tuple(self.checked),
            notes=tuple(self.notes),
        )


def _serves(candidate: Variant, served: Variant) -> bool:
    """Whether a route serves the candidate, or of a program one of its prompts."""
    if not candidate.components:
        return served.digest == candidate.digest
    same = (served.model, dict(served.params)) == (candidate.model, dict(candidate.params))
    return same and served.prompt.digest in {prompt.digest for prompt in candidate.components.values()}
