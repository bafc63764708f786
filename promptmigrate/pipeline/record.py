"""What a run knows of itself, as plain data: config.yaml, best.yaml, verdict.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from promptmigrate import __version__
from promptmigrate.config import Config
from promptmigrate.decide import bounded_mean
from promptmigrate.evaluate import Evaluation, Evaluator, Summary
from promptmigrate.files import atomic_write, dump_yaml
from promptmigrate.lm import Door
from promptmigrate.pipeline.gate import Gate
from promptmigrate.pipeline.rundir import RunDir
from promptmigrate.search import SearchResult
from promptmigrate.types import Dataset, Prompt, Variant

RECORDED = "as recorded (no source model named)"
_PACKAGES = ("dspy", "mlflow-skinny", "gepa", "numpy", "scipy")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Everything that a finished run consists of."""

    run: RunDir
    config: Config
    dataset: Dataset
    prompt_uri: str | None
    """Registry URI of the production prompt."""
    original: Variant
    found: SearchResult
    gate: Gate
    evaluator: Evaluator
    door: Door
    started: datetime
    published: dict[str, Any] = field(default_factory=dict)


def begin(run: RunDir, config: Config, dataset: Dataset, prompt: Prompt, started: datetime) -> None:
    """Write what the run is about, before anything is spent."""
    atomic_write(run.path / "config.yaml", dump_yaml(config.model_dump(mode="json", exclude_none=True)))
    run.write_state(
        state="running",
        name=config.name,
        config_digest=config.digest,
        prompt_digest=prompt.digest,
        dataset_digest=dataset.digest,
        test_digest=dataset.split_digest("test"),
        started=run.state().get("started") or started.isoformat(timespec="seconds"),
        version=__version__,
    )


def best(variant: Variant, *, promoted: bool) -> dict[str, Any]:
    """best.yaml: the best Variant found, promoted or not, as plain data."""
    kind = "messages" if variant.prompt.chat else "text"
    return {
        "promoted": promoted,
        "model": variant.model,
        "params": dict(variant.params),
        "digest": variant.digest,
        "origin": variant.origin,
        "prompt": {kind: variant.prompt.source},
    }


def summarise(work: Work) -> dict[str, Any]:
    """Everything that was decided and measured, as JSON data."""
    config, gate, dataset = work.config, work.gate, work.dataset
    spend = work.door.spend
    verdict = gate.verdict.to_json()
    baseline = gate.baseline.summary(gate.production)
    candidate = gate.measured.summary(gate.candidate)
    known = work.evaluator.known(work.original, dataset.split("validation"))
    return {
        "name": config.name,
        "simulated": simulated(config),
        **verdict,
        "warnings": [*verdict["warnings"], *gate.warnings],
        "primary": "quality" if len(config.scorers) > 1 else next(iter(baseline.scores)),
        "baseline": {
            **_side(gate.production, baseline),
            **verdict["baseline"],
            **({"model": RECORDED} if unnamed(work) else {}),
        },
        "candidate": {**_side(gate.candidate, candidate), **verdict["candidate"]},
        "before": _before(known, work.original, config.gate.confidence),
        "before_split": "validation",
        "scorers": [
            {"name": name, "baseline": baseline.scores[name], "candidate": candidate.scores[name]}
            for name in baseline.scores
        ],
        "rows": {
            "train": len(dataset.split("train")),
            "validation": len(dataset.split("validation")),
            **verdict["rows"],
        },
        "errors": {"baseline": dict(baseline.errors), "candidate": dict(candidate.errors)},
        "spend": {
            "calls": dict(spend.calls),
            "cached": spend.cached,
            "usd": None if spend.usd_unknown_calls and not spend.usd else spend.usd,
            "usd_unknown_calls": spend.usd_unknown_calls,
            "seconds": spend.seconds,
        },
        "search": _search(config, work.found, gate.candidate),
        "prompts": {"original": work.original.prompt.source, "candidate": gate.candidate.prompt.source},
        "provenance": {
            "dataset_digest": dataset.digest,
            "test_digest": dataset.split_digest("test"),
            "config_digest": config.digest,
            "source_prompt": work.prompt_uri,
            "started": work.run.state().get("started"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "packages": {name: version(name) for name in _PACKAGES},
        },
        "prompt_version": None,
        "route": None,
        "run_dir": str(work.run.path),
        "mlflow_run_id": None,
    }


def _before(known: Evaluation, original: Variant, confidence: float) -> dict[str, Any] | None:
    """The old prompt on the new model, on the rows where it was measured."""
    if not known.examples:
        return None
    rows = [(e, known.quality(original, e)) for e in known.examples]
    scored = [(e, value) for e, value in rows if value is not None]
    interval = None
    if scored:
        measured = bounded_mean(
            [value for _, value in scored], lower=0.0, upper=1.0, clusters=[e.cluster for e, _ in scored]
        )
        interval = list(measured.interval(confidence) or ()) or None
    return {**_side(original, known.summary(original)), "interval": interval, "rows": len(scored)}


def unnamed(work: Work) -> bool:
    """Whether production is known by its recorded answers only."""
    return work.config.source is None and not work.gate.rerun


def simulated(config: Config) -> bool:
    """Whether any model of the experiment is a simulated one."""
    return any(model.startswith("sim/") for model in config.models) or (
        config.source is not None and config.source.model.startswith("sim/")
    )


def _side(variant: Variant, summary: Summary) -> dict[str, Any]:
    return {
        "score": summary.quality,
        "cost_per_call_usd": summary.cost_usd,
        "p50_latency_s": summary.p50_latency_s,
        "p95_latency_s": summary.p95_latency_s,
        "model": variant.model,
        "prompt_digest": variant.prompt.digest,
    }


def _search(config: Config, found: SearchResult, chosen: Variant) -> dict[str, Any]:
    return {
        "strategy": config.search.strategy,
        "stopped": found.stopped,
        "calls": found.calls,
        "facts": list(found.facts),
        "generations": [
            {
                "name": f"{generation.index}: {generation.phase}",
                "candidates": len(generation.candidates),
                "best_quality": generation.quality,
                "calls": generation.calls,
            }
            for generation in found.generations
        ],
        "front": [
            {
                "label": point.variant.origin or point.variant.id,
                "quality": point.quality,
                "cost_per_call_usd": point.cost_usd,
                "latency_s": point.latency_s,
                "rows": point.rows,
                "chosen": point.variant.digest == chosen.digest,
            }
            for point in found.front
        ],
    }


def route_path(config: Config) -> Path:
    """Where the route file of the experiment goes, relative to the working folder."""
    return Path(config.publish.route or f"routes/{config.name}.yaml")


def experiment(config: Config) -> str:
    """The MLflow experiment that runs of this one are logged to."""
    return config.mlflow.experiment or f"promptmigrate/{config.name}"


def verdict_tags(summary: Mapping[str, Any]) -> dict[str, str]:
    """Tags that tie a prompt version to its evidence."""
    provenance = summary["provenance"]
    return {
        "promptmigrate.verdict": summary["verdict"],
        "promptmigrate.dataset": provenance["dataset_digest"],
        "promptmigrate.test": provenance["test_digest"],
        "promptmigrate.run": str(summary["run_dir"]),
        "promptmigrate.version": provenance["version"],
    }
