"""Whether things are what their digests say: rows, splits, prompts, the experiment, who looked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from promptmigrate.decide import Rules, looks, related, row_keys, settings_of
from promptmigrate.errors import ConfigError
from promptmigrate.files import digest
from promptmigrate.proof.contents import Contents
from promptmigrate.proof.findings import Finding, compare
from promptmigrate.proof.rebuilt import check_scorers
from promptmigrate.proof.shapes import MANIFEST
from promptmigrate.types import Dataset, Example, Split, Variant

if TYPE_CHECKING:
    from promptmigrate.config import Config

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def check_dataset(bundle: Contents) -> Iterator[Finding]:
    """Ids are those of the inputs, each row is in the split that its group falls into, digests are right."""
    entry = "dataset.jsonl"
    for example_id, count in Counter(row.id for row in bundle.rows).items():
        if count > 1:
            yield Finding(entry=entry, where=example_id, problem=f"is there {count} times")
    rule = bundle.manifest.split
    for row in bundle.rows:
        if row.id != Example.content_id(row.inputs):
            yield Finding(
                entry=entry,
                where=row.id,
                field="inputs",
                problem=f"are not those of this id; theirs is {Example.content_id(row.inputs)}",
            )
        if row.metadata and row.split != "test":
            yield Finding(entry=entry, where=row.id, field="metadata", problem="is of no use in this split")
        place = bucket(row.example.cluster, seed=rule.seed)
        split = (
            "train"
            if place < rule.train
            else "validation"
            if place < rule.train + rule.validation
            else "test"
        )
        yield from compare(entry, row.split, split, where=row.id, field="split")
    dataset = Dataset(
        examples=tuple(bundle.examples.values()), splits={row.id: row.split for row in bundle.rows}
    )
    found = {"dataset": dataset.digest}
    found.update({name: dataset.split_digest(name) for name in _SPLITS})
    stated = {name: value for name, value in bundle.manifest.digests.items() if name != "config"}
    yield from compare(MANIFEST, stated, found, field="digests")


def bucket(cluster: str, *, seed: int) -> float:
    """Where a group falls in [0, 1): the rule of harvest, read independently."""
    raw = hashlib.sha256(f"{seed}\0{cluster}".encode("utf-8", "replace")).digest()
    return int.from_bytes(raw[:8], "big") / 2**64


def check_variants(bundle: Contents) -> Iterator[Finding]:
    """Both prompts have the digests that are stated, and the same placeholders."""
    for name, side, variant in (
        ("production", bundle.sides.production, bundle.production),
        ("candidate", bundle.sides.candidate, bundle.candidate),
        *(
            (f"others[{index}]", side, other.variant)
            for index, (side, other) in enumerate(zip(bundle.sides.others, bundle.others, strict=True))
        ),
    ):
        found = {"prompt_digest": variant.prompt_digest, "digest": variant.digest}
        stated = {"prompt_digest": side.prompt_digest, "digest": side.digest}
        yield from compare("variants.json", stated, found, field=name)
        if side.component and not side.components:
            yield Finding(
                entry="variants.json", field=f"{name}.component", problem="is none: there is one prompt"
            )
    wanted, got = _placeholders(bundle.production), _placeholders(bundle.candidate)
    yield from compare("variants.json", got, wanted, field="candidate.placeholders")


def _placeholders(variant: Variant) -> dict[str, list[str]]:
    prompts = variant.components or {"prompt": variant.prompt}
    return {name: sorted(prompt.variables) for name, prompt in prompts.items()}


def check_config(bundle: Contents) -> Iterator[Finding]:
    """The experiment has the digest that is stated, and says what manifest and rules say."""
    from promptmigrate.config import Config

    if not comparable(bundle):
        return
    try:
        config = Config.model_validate(dict(bundle.config))
    except (ValueError, ConfigError) as error:
        yield Finding(entry="config.json", problem=f"is no experiment: {' '.join(str(error).split())[:200]}")
        return
    yield from compare(MANIFEST, bundle.manifest.digests.get("config"), config.digest, field="digests.config")
    yield from check_scorers(bundle.scorers, config)
    split, rule = config.data.split, bundle.manifest.split
    said = {"name": bundle.manifest.name, "split": rule.model_dump(), "seeds": bundle.manifest.seeds}
    found = {
        "name": config.name,
        "split": {"train": split.train, "validation": split.validation, "seed": split.seed},
        "seeds": {"split": split.seed, "search": config.search.seed},
    }
    yield from compare(MANIFEST, said, found)
    yield from _check_rules(bundle, config)
    targets = {target.model for target in config.targets}
    models = {
        "candidate": bundle.candidate.model in targets,
        **{f"others[{i}]": other.variant.model in targets for i, other in enumerate(bundle.others)},
        "production": config.source is None or bundle.production.model == config.source.model,
    }
    for name, known in models.items():
        if not known:
            yield Finding(
                entry="variants.json", field=f"{name}.model", problem="is not a model of the experiment"
            )


def _check_rules(bundle: Contents, config: Config) -> Iterator[Finding]:
    """Every rule that follows from the experiment, the rows or the variants.

    Not those that calibration cards tell: which judges have one, and a judge's mistakes.
    """
    gate = config.gate
    expectations = any(row.expectations for row in bundle.rows if row.split == "test")
    found = {
        "margin": gate.margin,
        # Candidates that are decided together are held to more, never to less.
        "confidence": max(gate.confidence, bundle.rules.confidence),
        "superiority": config.prompt_only,
        "guardrails": gate.guardrails.model_dump(exclude_none=True, exclude={"scores"}),
        "scores": dict(gate.guardrails.scores),
        "slices": "block" if gate.slices.block else "report",
        "min_slice_rows": gate.slices.min_rows,
        "min_rows": Rules(margin=gate.margin).min_rows,
        "max_missing": gate.max_missing,
        "judges": gate.judges,
        "yardstick": "expectations" if expectations else "references",
        "rerun": bundle.manifest.rerun,
    }
    stated = bundle.rules.to_json()
    yield from compare("rules.json", {name: stated[name] for name in found}, found)


def comparable(bundle: Contents) -> bool:
    """Whether the digest of the experiment can be recomputed: same version, and nothing was taken out."""
    same = bundle.manifest.versions.get("promptmigrate") == version("promptmigrate")
    return same and "[SECRET]" not in json.dumps(bundle.config)


def check_openings(bundle: Contents) -> Iterator[Finding]:
    """This gate's opening is on record with its settings, and what came before it is what the rules say."""
    test = bundle.manifest.digests.get("test", "")
    examples = (bundle.examples.get(pair.example) for pair in bundle.pairs)
    rows = row_keys(example for example in examples if example is not None)
    mine = related(bundle.openings, split_digest=test, rows=rows)
    together = [other.stated_digest for other in bundle.others]
    together.insert(bundle.manifest.place, bundle.candidate.digest)
    # Candidates that were decided together were one opening.
    opened = together[0] if len(together) == 1 else digest(together)
    if len(mine) < len(bundle.openings):
        yield Finding(entry="openings.json", problem="holds an opening of other rows")
    own = next((o for o in mine if (o.run, o.candidate_digest) == (bundle.manifest.run, opened)), None)
    if own is None:
        yield Finding(
            entry="openings.json",
            problem="does not hold the opening of these test rows for this run and candidate",
        )
        return
    found = looks(mine, run=bundle.manifest.run, candidate_digest=opened)
    said = bundle.rules.to_json()
    for name, value in (
        ("test_openings", found.decisions),
        ("test_candidates", found.candidates),
        ("test_seen", found.seen),
        ("changed_settings", list(found.changed)),
    ):
        yield from compare("rules.json", said[name], value, field=name)
    yield from compare("openings.json", own.split_digest, test, field="split_digest")
    yield from compare("openings.json", list(own.rows or ()), list(rows), field="rows")
    if own.settings is not None and comparable(bundle):
        wanted = settings_of(bundle.config, bundle.rules.judge_errors)
        yield from compare("openings.json", dict(own.settings), wanted, field="settings")
