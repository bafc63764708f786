"""Writing a bundle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from promptmigrate.decide import switch_if
from promptmigrate.evaluate import Evaluation, Evaluator, scores_alone
from promptmigrate.files import atomic_write
from promptmigrate.lm.cache import dump_reply
from promptmigrate.lm.loop import BackgroundLoop
from promptmigrate.proof.answers import Answer, Scored, TriedAnswer
from promptmigrate.proof.archive import pack
from promptmigrate.proof.costed import prices_of
from promptmigrate.proof.evidence import Evidence
from promptmigrate.proof.jsonl import dump, dump_lines, plain
from promptmigrate.proof.rebuilt import asks
from promptmigrate.proof.requests import endpoints_of, key_of, slices_by, task_request
from promptmigrate.proof.seals import seals_of
from promptmigrate.proof.shapes import MANIFEST, SCHEMA, SEALS
from promptmigrate.redact import redact_value
from promptmigrate.types import Example, Outcome, Reply, Request, Variant
from scorers import Scorer, ScorerSpecError, to_spec

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from promptmigrate.lm import Door


def write_bundle(path: Path, evidence: Evidence) -> str:
    """Write ``evidence`` to ``path``; the digest of the file (``sha256:...``), to be sealed in the route.

    The same evidence gives the same bytes. The file appears whole or not at all. Nothing is asked of any
    model: judges' replies come from ``evidence.recall``.

    Raises:
        StorageError: the folder cannot be written.
        UsageError: the evidence does not fit together.
    """
    entries = {
        "config.json": dump(_without_secrets(evidence.config)),
        "dataset.jsonl": dump_lines(_dataset(evidence)),
        "variants.json": dump(
            {
                "production": _variant(evidence.production),
                "candidate": _variant(evidence.candidate),
                "others": [_variant(variant) for variant, _, _ in evidence.others],
            }
        ),
        "scorers.json": dump([_scorer(m.scorer, m.weight, m.params) for m in evidence.measures]),
        "test_rows.jsonl": dump_lines(_test_rows(evidence)),
        "others.jsonl": dump_lines(_other_rows(evidence)),
        "calls.jsonl": dump_lines(
            {"key": key, "reply": json.loads(dump_reply(reply))}
            for key, reply in sorted(_calls(evidence).items())
        ),
        "rules.json": dump(evidence.rules.to_json()),
        "verdict.json": dump(evidence.verdict.to_json()),
        "table.json": dump(_table(evidence)),
        "openings.json": dump([asdict(opening) for opening in evidence.openings]),
        "costs.json": dump({**evidence.costs, "prices": prices_of(evidence)}),
    }
    head = _manifest(evidence)
    entries[SEALS] = dump(seals_of({**entries, MANIFEST: dump(head)}))
    made = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in entries.items()
    }
    raw = pack({**entries, MANIFEST: dump({**head, "entries": made})})
    atomic_write(path, raw)
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _manifest(evidence: Evidence) -> dict[str, Any]:
    """All of it but the digests of entries."""
    dataset, config = evidence.dataset, evidence.config
    split = config.get("data", {}).get("split", {})
    return {
        "schema": SCHEMA,
        "name": evidence.name,
        "run": evidence.run,
        "rerun": evidence.rerun,
        "place": evidence.place,
        "versions": {**evidence.versions, "promptmigrate": version("promptmigrate")},
        "seeds": {"split": split.get("seed", 7), "search": config.get("search", {}).get("seed", 0)},
        "split": {
            "train": float(split.get("train", 0.3)),
            "validation": float(split.get("validation", 0.35)),
            "seed": split.get("seed", 7),
        },
        "digests": {
            "config": evidence.config_digest,
            "dataset": dataset.digest,
            "train": dataset.split_digest("train"),
            "validation": dataset.split_digest("validation"),
            "test": dataset.split_digest("test"),
        },
    }


def _without_secrets(config: Mapping[str, Any]) -> Any:
    """``config``, should somebody have written a key where a parameter belongs."""
    return redact_value(plain(config), ("secret",))[0]


def _dataset(evidence: Evidence) -> Iterator[dict[str, Any]]:
    by = slices_by(evidence.config)
    for example in sorted(evidence.dataset, key=lambda example: example.id):
        split = evidence.dataset.splits[example.id]
        wanted = by if split == "test" else ()
        yield {
            "id": example.id,
            "split": split,
            "group": example.group,
            "weight": float(example.weight),
            "inputs": dict(example.inputs),
            "reference": example.reference,
            "expectations": dict(example.expectations),
            "metadata": {name: example.metadata[name] for name in wanted if name in example.metadata},
        }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "model": variant.model,
        "params": dict(variant.params),
        "prompt": variant.prompt.source,
        "components": {name: prompt.source for name, prompt in variant.components.items()},
        "component": variant.component,
        "prompt_digest": variant.prompt_digest,
        "digest": variant.digest,
    }


def _scorer(scorer: Scorer, weight: float, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        spec = plain(to_spec(scorer))
    except (ScorerSpecError, TypeError, ValueError):
        spec = None  # verify says that it could not be rebuilt
    return {
        "name": scorer.name,
        "version": scorer.version,
        "weight": float(weight),
        "asks": asks(scorer),
        "alone": scores_alone(scorer),
        "params": dict(params),
        "spec": spec,
    }


def _test_rows(evidence: Evidence) -> Iterator[dict[str, Any]]:
    examples = {example.id: example for example in evidence.examples}
    for row in evidence.rows:
        example = examples[row.example]
        yield {
            "row": row.to_json(),
            "production": _answers(_outcomes(evidence.baseline, evidence.production, example)),
            "candidate": _answers(_outcomes(evidence.measured, evidence.candidate, example)),
            "tried": [TriedAnswer.kept(tried).model_dump() for tried in evidence.tried.get(example.id, ())],
        }


def _other_rows(evidence: Evidence) -> Iterator[dict[str, Any]]:
    examples = {example.id: example for example in evidence.examples}
    for variant, rows, _ in evidence.others:
        for row in rows:
            found = _outcomes(evidence.measured, variant, examples[row.example])
            yield {"candidate": variant.digest, "row": row.to_json(), "answers": _answers(found)}


def _table(evidence: Evidence) -> list[dict[str, Any]]:
    """What is shown of each candidate, in the order in which they were decided."""
    decided = [(variant, verdict) for variant, _, verdict in evidence.others]
    decided.insert(evidence.place, (evidence.candidate, evidence.verdict))
    return [
        {
            "candidate": variant.digest,
            "model": variant.model,
            "verdict": verdict.to_json(),
            "switch_if": switch_if(variant.model, verdict),
        }
        for variant, verdict in decided
    ]


def _outcomes(evaluation: Evaluation, variant: Variant, example: Example) -> list[Outcome]:
    found = (evaluation.outcome(variant, example, repeat) for repeat in range(evaluation.repeats))
    return [outcome for outcome in found if outcome is not None]


def _answers(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        Answer(
            repeat=outcome.repeat,
            kind=outcome.reply.kind,
            output=outcome.reply.text,
            error=outcome.reply.error,
            input_tokens=outcome.reply.input_tokens,
            output_tokens=outcome.reply.output_tokens,
            cost_usd=outcome.reply.cost_usd,
            latency_s=float(outcome.reply.latency_s),
            scores=[Scored.of(score) for score in outcome.scores],
        ).model_dump()
        for outcome in found
    ]


# --- the replies behind answers and scores -----------------------------------------------------------------


def _calls(evidence: Evidence) -> dict[str, Reply]:
    """Every reply that the Outcomes rest on, by request key."""
    shown = _Recalling(evidence)
    judges = [measure for measure in evidence.measures if asks(measure.scorer)]
    sides = [
        (evidence.production, evidence.baseline, evidence.rerun),
        (evidence.candidate, evidence.measured, True),
        *((variant, evidence.measured, True) for variant, _, _ in evidence.others),
    ]
    for variant, evaluation, asked in sides:
        # The code of a program is not in the bundle, so its inner calls would prove nothing.
        for example in evidence.examples if asked and not variant.components else ():
            for outcome in _outcomes(evaluation, variant, example):
                shown.add(task_request(variant, example, outcome.repeat), outcome.reply)
    if judges:
        # Judges say themselves what they ask: they are run again, on replies that are there.
        async def answered(variant: Variant, example: Example, repeat: int) -> Reply:
            evaluation = evidence.baseline if variant is evidence.production else evidence.measured
            outcome = evaluation.outcome(variant, example, repeat)
            return outcome.reply if outcome is not None else _missing(variant.model)

        evaluator = Evaluator(cast("Door", shown), judges, program=answered)
        try:
            for variant, evaluation, asked in sides:
                if asked:
                    evaluator.run([variant], evidence.examples, repeats=evaluation.repeats)
                else:
                    evaluator.recorded(variant, evidence.examples)
        finally:
            shown.close()
    return shown.replies


class _Recalling:
    """Answers like a Door, from what is known; remembers every reply that it gave."""

    def __init__(self, evidence: Evidence) -> None:
        self._loop = BackgroundLoop()
        self._recall = evidence.recall
        self._endpoints = endpoints_of(evidence.config)
        self.replies: dict[str, Reply] = {}

    def add(self, request: Request, reply: Reply) -> None:
        self.replies.setdefault(key_of(request, self._endpoints), reply)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run(coroutine)

    def close(self) -> None:
        self._loop.close(_nothing())

    async def acomplete(self, request: Request) -> Reply:
        key = key_of(request, self._endpoints)
        reply = self.replies.get(key)
        if reply is None and request.purpose == "judge":
            reply = self._recall(request)
            if reply is None:  # it failed when the gate asked; failures are not kept
                reply = _missing(request.model)
            self.replies[key] = reply
        return reply or _missing(request.model)


def _missing(model: str) -> Reply:
    return Reply(kind="provider_error", model=model, error="no answer was recorded")


async def _nothing() -> None:
    """What there is to do last."""
