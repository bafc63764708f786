"""Building the scorers of a bundle again, without running code that the bundle names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import scorers
from promptmigrate.config import Config
from promptmigrate.evaluate import embedding_model, scores_alone
from promptmigrate.proof.findings import Finding, compare
from promptmigrate.proof.jsonl import plain
from promptmigrate.proof.shapes import ScorerEntry
from scorers import Scorer, ScorerSpecError

_ADDRESS = re.compile(r"\s*[\w.-]+\s*:\s*[\w.]+\s*")


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """The scorers that could be built, and why others could not."""

    found: Mapping[str, Scorer]
    missing: Mapping[str, str]
    """Name -> reason."""


def rebuild(entries: tuple[ScorerEntry, ...], *, own_code: bool) -> Rebuilt:
    """The scorers of a bundle.

    Built-in ones and those of installed plug-ins are built. ``module:attribute`` would import what the bundle
    names, so that is done with ``own_code`` only.
    """
    found: dict[str, Scorer] = {}
    missing: dict[str, str] = {}
    for entry in entries:
        why = _why_not(entry, own_code=own_code)
        if why is None and entry.spec is not None:
            try:
                scorer = scorers.from_spec(entry.spec)
            except ScorerSpecError as error:
                why = f"it cannot be built here: {error}"
            else:
                if (scorer.name, scorer.version) != (entry.name, entry.version):
                    why = (
                        f"it is {scorer.name} version {scorer.version} here, and was version {entry.version}"
                    )
                elif (why := _alone(scorer)) is None:
                    found[entry.name] = scorer
        if why is not None:
            missing[entry.name] = why
    return Rebuilt(found=found, missing=missing)


def check_scorers(entries: tuple[ScorerEntry, ...], config: Config) -> Iterator[Finding]:
    """Scorers, weights and parameters are those of the experiment."""
    name = "scorers.json"
    if len(entries) != len(config.scorers):
        yield from compare(name, len(entries), len(config.scorers), field="number of scorers")
        return
    for entry, item in zip(entries, config.scorers, strict=True):
        stated = {"weight": entry.weight, "params": entry.params}
        # What has a limit of its own is no part of the quality.
        weight = 0.0 if entry.name in config.gate.guardrails.scores else item.weight
        yield from compare(name, stated, plain({"weight": weight, "params": item.params}), field=entry.name)
        scorer = _built(entry)
        if scorer is not None:
            yield from compare(name, entry.asks, asks(scorer), field=f"{entry.name}.asks")
            yield from compare(name, entry.alone, scores_alone(scorer), field=f"{entry.name}.alone")
        if item.use == "auto" or entry.spec is None:
            continue
        if item.use == "format_contract" and "contract" not in item.spec:
            continue  # made from the answers
        wanted = _built(entry, item.spec)
        spec = {"use": item.use} if wanted is None else plain(scorers.to_spec(wanted))
        said = {"use": entry.spec.get("use")} if wanted is None else entry.spec
        yield from compare(name, said, spec, field=f"{entry.name}.spec")


def _built(entry: ScorerEntry, spec: Mapping[str, Any] | None = None) -> Scorer | None:
    """The scorer of ``spec`` (by default of ``entry``), where it can be built without code of the bundle."""
    changed = entry if spec is None else entry.model_copy(update={"spec": dict(spec)})
    if changed.spec is None or _why_not(changed, own_code=False) is not None:
        return None
    try:
        return scorers.from_spec(changed.spec)
    except ScorerSpecError:
        return None


def _why_not(entry: ScorerEntry, *, own_code: bool) -> str | None:
    if entry.spec is None:
        return "it is not described by a spec"
    address = next((text for text in _texts(entry.spec) if _ADDRESS.fullmatch(text)), None)
    if address is not None and not own_code:
        return f"it is code of your own ({address!r:.80}); give --own-scorers where you trust the bundle"
    return None


def asks(scorer: Scorer) -> bool:
    """Whether ``scorer`` asks a model through the door: a judge, or one that compares embeddings."""
    return isinstance(scorer, scorers.Judge) or embedding_model(scorer) is not None


def _alone(scorer: Scorer) -> str | None:
    """Why ``scorer`` cannot be run here: it goes past the door."""
    return None if asks(scorer) or scores_alone(scorer) else "it needs a model of its own"


def _texts(spec: Any) -> Iterator[str]:
    """Every text in ``spec``: a bare name can stand for a scorer in many places."""
    if isinstance(spec, str):
        yield spec
    elif isinstance(spec, Mapping):
        for value in spec.values():
            yield from _texts(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from _texts(value)
