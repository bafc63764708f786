"""Evidence of a small gate that really took place, on simulated models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from promptmigrate.config import Config
from promptmigrate.decide import Opening, PairedRow, Rules, decide_all, row_keys, settings_of, slices_of
from promptmigrate.evaluate import Evaluation, Evaluator, Measure, Tried, by_scorer, qualities
from promptmigrate.files import digest
from promptmigrate.harvest.splits import assign
from promptmigrate.lm import Door
from promptmigrate.lm.endpoints import resolve
from promptmigrate.lm.keys import request_key
from promptmigrate.lm.record import Recording
from promptmigrate.proof import Evidence
from promptmigrate.simulate import worlds
from promptmigrate.types import Dataset, Example, Prompt, Reply, Request, Variant
from scorers import equivalence, exact_match, label_match

ORIGINAL = Prompt.of("Classify the ticket.\n\n{{ticket}}")
BETTER = Prompt.of(
    [
        {
            "role": "system",
            "content": "Classify the ticket into one of billing, refund, account_access, bug_report, "
            "feature_request, shipping, cancellation, general. Answer with the label only, in lower case.",
        },
        {"role": "user", "content": "{{ticket}}"},
    ]
)


@cache
def evidence(
    *,
    judge: bool = False,
    repeats: int = 1,
    rerun: bool = True,
    targets: int = 1,
    program: bool = False,
    stays: bool = False,
) -> Evidence:
    """The gate of one candidate; the same arguments give the same evidence.

    ``stays``: the experiment keeps the model, and the search found other parameters for it.
    """
    config = Config.model_validate(
        {
            "name": "tickets",
            **(
                {"prompts": {"sort": {"text": ORIGINAL.source}}, "program": "my_app:answer"}
                if program
                else {"prompt": {"text": ORIGINAL.source}}
            ),
            "source": {"model": "sim/triage-small" if stays else "sim/triage-large"},
            "targets": [{"model": "sim/triage-small"}, {"model": "sim/triage-tiny"}][:targets],
            "endpoints": {"other": {"base_url": "https://models.example/v1", "api_key_env": "OTHER_KEY"}},
            "data": {"traces": {"file": "calls.jsonl"}, "split": {"seed": 3}},
            "scorers": [
                {"use": "label_match"},
                {"use": "exact_match", "weight": 0.5},
                {"use": "equivalence", "judge": "sim/judge", "params": {"temperature": 0}},
            ][: 3 if judge else 2],
            "gate": {
                "margin": 0.1,
                "guardrails": {"cost_ratio": 0.9},
                "slices": {"by": ["label", "tenant"], "min_rows": 5},
                "judges": "any",
            },
        }
    )
    dataset = _dataset()
    measures = [Measure(scorer=label_match()), Measure(scorer=exact_match(), weight=0.5)]
    if judge:
        measures.append(Measure(scorer=equivalence(model="sim/judge"), params={"temperature": 0}))
    production = Variant(prompt=ORIGINAL, model=config.source.model if config.source else "")
    found = {"temperature": 0} if stays else {}
    candidates = [Variant(prompt=BETTER, model=target.model, params=found) for target in config.targets]
    if program:
        production = replace(production, components={"sort": ORIGINAL}, component="sort")
        candidates = [replace(c, components={"sort": BETTER}, component="sort") for c in candidates]
    test = dataset.split("test")
    with TemporaryDirectory() as folder:
        tape = Path(folder) / "calls.jsonl"
        with Door.open(record=tape) as door:

            async def answer(variant: Variant, example: Example, repeat: int) -> Reply:
                """A program that asks its one prompt and tidies up what comes back."""
                messages = variant.prompt.render(example.inputs)
                reply = await door.acomplete(Request(model=variant.model, messages=messages, repeat=repeat))
                return replace(reply, text=(reply.text or "").strip().lower())

            evaluator = Evaluator(door, measures, program=answer if program else None)
            baseline = (
                evaluator.run([production], test, repeats=repeats)
                if rerun
                else evaluator.recorded(production, test)
            )
            measured = evaluator.run(candidates, test, repeats=repeats)
            tried = evaluator.tried(production, baseline)
            prices = {v.model: price for v in [production, *candidates] if (price := door.price(v.model))}
        recording = Recording(tape)
    belongs = slices_of(test, config.gate.slices.by)
    rules = Rules(
        margin=0.1,
        guardrails={"cost_ratio": 0.9},
        min_slice_rows=5,
        rerun=rerun,
        judges="any",
        superiority=stays,
    )
    pairs = {
        str(index): _pairs(test, production, baseline, candidate, measured, belongs, tried)
        for index, candidate in enumerate(candidates)
    }
    verdicts = decide_all(pairs, rules)
    opened = candidates[0].digest if targets == 1 else digest([c.digest for c in candidates])
    return Evidence(
        name=config.name,
        run="abc123",
        config=config.model_dump(mode="json"),
        config_digest=config.digest,
        dataset=dataset,
        production=production,
        candidate=candidates[0],
        examples=test,
        baseline=baseline,
        measured=measured,
        rerun=rerun,
        measures=measures,
        rows=pairs["0"],
        tried=tried,
        rules=rules,
        verdict=verdicts["0"],
        others=[
            (candidate, pairs[str(index)], verdicts[str(index)])
            for index, candidate in enumerate(candidates)
            if index
        ],
        openings=[
            Opening(
                split_digest=dataset.split_digest("test"),
                run="abc123",
                candidate_digest=opened,
                at="2026-11-21T12:00:00+00:00",
                settings=settings_of(config.model_dump(mode="json")),
                rows=row_keys(test),
            )
        ],
        recall=_recall(recording),
        costs={
            "calls": {"task": 300, "judge": 20, "reflection": 4},
            "usd": 1.5,
            "usd_by_purpose": {"task": 1.0, "judge": 0.25, "reflection": 0.25},
        },
        prices=prices,
        versions={"numpy": "2"},
    )


def _dataset() -> Dataset:
    rows = worlds()["triage"].rows(110, seed=5)
    examples = [
        Example(
            id=Example.content_id(row.inputs),
            inputs=row.inputs,
            reference=row.expected,
            expectations={"expected_response": row.expected} if index % 2 else {},
            group=f"s{index // 2}",
            metadata={"tenant": f"t{index % 3}", "cost_usd": 0.001, "latency_s": 0.5, "agent": "agent-4711"},
        )
        for index, row in enumerate(rows)
    ]
    return Dataset(
        examples=tuple(examples), splits=assign(examples, train=0.3, validation=0.35, seed=3), name="tickets"
    )


def _pairs(
    test: tuple[Example, ...],
    production: Variant,
    baseline: Evaluation,
    candidate: Variant,
    measured: Evaluation,
    belongs: dict[str, dict[str, str]],
    tried: Mapping[str, Sequence[Tried]],
) -> tuple[PairedRow, ...]:
    def one(row: Example, repeat: int) -> float | None:
        if baseline.repeats < 2:
            return None
        answer = baseline.outcome(production, row, repeat)
        alone = replace(baseline, repeats=1, outcomes={(production.digest, row.id, 0): answer})
        return alone.quality(production, row)

    return tuple(
        PairedRow(
            example=row.id,
            cluster=row.cluster,
            weight=row.weight,
            baseline=baseline.quality(production, row),
            candidate=measured.quality(candidate, row),
            baseline_first=one(row, 0),
            baseline_again=one(row, 1),
            baseline_cost_usd=baseline.cost(production, row),
            candidate_cost_usd=measured.cost(candidate, row),
            baseline_latency_s=baseline.latency(production, row),
            candidate_latency_s=measured.latency(candidate, row),
            slices=belongs[row.id],
            scores={
                name: (baseline.score(production, row, name), measured.score(candidate, row, name))
                for name in measured.weights
            },
            trials=qualities(tried.get(row.id, ()), baseline.outcome(production, row), baseline.weights),
            trial_scores=by_scorer(tried.get(row.id, ())),
        )
        for row in test
    )


def _recall(recording: Recording) -> Callable[[Request], Reply | None]:
    def recall(request: Request) -> Reply | None:
        endpoint, name = resolve(request.model, {})
        key = request_key(endpoint.identity, name, request.messages, request.params, request.repeat)
        return recording.get(key)

    return recall


def entries(raw: bytes) -> dict[str, bytes]:
    """The entries of a bundle."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forge(raw: dict[str, bytes], change: Callable[[dict[str, Any]], None], *, seals: bool = True) -> bytes:
    """A bundle with parsed entries changed, as a careful forger packs it: all hashes made to fit.

    ``seals``: those of rows and values too.
    """
    from promptmigrate.proof.archive import pack
    from promptmigrate.proof.jsonl import dump, dump_lines, load, load_lines
    from promptmigrate.proof.seals import seals_of

    parsed: dict[str, Any] = {
        name: load_lines(data, entry=name) if name.endswith(".jsonl") else load(data, entry=name)
        for name, data in raw.items()
    }
    change(parsed)
    written = {
        name: dump_lines(value) if name.endswith(".jsonl") else dump(value)
        for name, value in parsed.items()
        if name != "manifest.json"
    }
    if seals:
        head = dump(parsed["manifest.json"])
        written["seals.json"] = dump(seals_of({**written, "manifest.json": head}))
    return pack({**written, "manifest.json": dump(sealed(parsed["manifest.json"], written))})


def sealed(manifest: dict[str, Any], written: dict[str, bytes]) -> dict[str, Any]:
    """The manifest with the hashes of what was written."""
    import hashlib

    made = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in written.items()
    }
    return {**manifest, "entries": made}


def copy(value: Any) -> Any:
    """A deep copy of JSON values."""
    return json.loads(json.dumps(value))
