"""What a run knows of itself, as plain data: config.yaml, best.yaml, verdict.json."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from promptmigrate import __version__
from promptmigrate.config import Config
from promptmigrate.decide import bounded_mean
from promptmigrate.evaluate import Evaluation, Evaluator, Summary
from promptmigrate.files import atomic_write, dump_yaml
from promptmigrate.lm import Door
from promptmigrate.pipeline import program_record, targets
from promptmigrate.pipeline.break_even import break_even, dearer
from promptmigrate.pipeline.contest import Contender
from promptmigrate.pipeline.forecast import Forecast
from promptmigrate.pipeline.gate import Gate
from promptmigrate.pipeline.prepare import Ready
from promptmigrate.pipeline.rundir import RunDir
from promptmigrate.pipeline.strategies import asked_models
from promptmigrate.search import SearchResult
from promptmigrate.types import Dataset, Prompt, Variant

RECORDED = "as recorded (no source model named)"
_PACKAGES = ("dspy", "mlflow-skinny", "gepa", "numpy", "scipy")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Everything that a finished run consists of."""

    ready: Ready
    config: Config
    contenders: tuple[Contender, ...]
    """One for each target, in their order."""
    gate: Gate
    evaluator: Evaluator
    door: Door
    forecast: Forecast
    started: datetime

    @property
    def run(self) -> RunDir:
        """The run folder."""
        return self.ready.run

    @property
    def dataset(self) -> Dataset:
        """All rows."""
        return self.ready.dataset

    @property
    def prompt_uri(self) -> str | None:
        """Registry URI of the production prompt."""
        return self.ready.prompt_uri

    @property
    def contender(self) -> Contender:
        """The target that the run is for in the end."""
        return self.contenders[self.gate.judged.index(self.gate.chosen)]


def begin(run: RunDir, config: Config, ready: Ready, started: datetime) -> None:
    """Write what the run is about, before anything is spent."""
    dataset = ready.dataset
    atomic_write(run.path / "config.yaml", dump_yaml(config.model_dump(mode="json", exclude_none=True)))
    run.write_state(
        state="running",
        name=config.name,
        config_digest=config.digest,
        prompt_digest=ready.prompt.digest,
        inputs_digest=ready.inputs.digest,
        inputs=dict(ready.inputs.each),
        dataset_digest=dataset.digest,
        test_digest=dataset.split_digest("test"),
        started=run.state().get("started") or started.isoformat(timespec="seconds"),
        version=__version__,
    )


def keep(run: RunDir, found: Sequence[Variant], *, promoted: Variant | None = None) -> None:
    """best.yaml: the best Variant found; of several targets, one file each in ``targets/`` besides.

    Args:
        run: The run folder.
        found: The best of each target, the one to report first at the front.
        promoted: The one that the gate let through.
    """
    atomic_write(run.path / "best.yaml", dump_yaml(best(found[0], promoted=found[0] is promoted)))
    if len(found) > 1:
        (run.path / "targets").mkdir(exist_ok=True)
        for variant in found:
            name = re.sub(r"[^A-Za-z0-9_.-]+", "-", variant.model)
            atomic_write(
                run.path / "targets" / f"{name}-{variant.id}.yaml",
                dump_yaml(best(variant, promoted=variant is promoted)),
            )


def best(variant: Variant, *, promoted: bool) -> dict[str, Any]:
    """best.yaml: the best Variant found, promoted or not, as plain data."""
    found: dict[str, Any] = {
        "promoted": promoted,
        "model": variant.model,
        "params": dict(variant.params),
        "variant_digest": variant.digest,
        "prompt_digest": variant.prompt_digest,
        "origin": variant.origin,
    }
    if variant.components:
        return found | {"prompts": {name: _written(prompt) for name, prompt in variant.components.items()}}
    return found | {"prompt": _written(variant.prompt)}


def _written(prompt: Prompt) -> dict[str, Any]:
    return {"messages" if prompt.chat else "text": prompt.source}


def summarise(work: Work) -> dict[str, Any]:
    """Everything that was decided and measured, as JSON data."""
    config, gate, dataset, contender = work.config, work.gate, work.dataset, work.contender
    judged, spend = gate.chosen, work.door.account()
    verdict = judged.verdict.to_json()
    baseline = gate.baseline.summary(gate.production)
    candidate = judged.measured.summary(judged.candidate)
    known = work.evaluator.known(contender.original, dataset.split("validation"))
    found = {
        "name": config.name,
        "simulated": simulated(config),
        **verdict,
        "warnings": [*verdict["warnings"], *work.ready.warnings, *gate.warnings, *judged.warnings],
        "primary": _primary(work.evaluator),
        "baseline": {
            **_side(gate.production, baseline),
            **verdict["baseline"],
            **({"model": RECORDED} if unnamed(work) else {}),
        },
        "candidate": {**_side(judged.candidate, candidate), **verdict["candidate"]},
        "before": _before(known, contender.original, config.gate.confidence),
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
            "usd_by_purpose": dict(spend.usd_by_purpose),
            "usd_unknown_calls": spend.usd_unknown_calls,
            "seconds": spend.seconds,
        },
        "forecast": work.forecast.to_json(),
        "search": _search(config, contender.found, judged.candidate),
        "prompts": program_record.prompts(contender.original, judged.candidate),
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
    found["break_even"] = break_even(dataset, found)
    if costs := dearer(config, found):
        found["warnings"].append(costs)
    if len(work.contenders) > 1:
        found["targets"] = targets.table(gate, work.contenders)
    return found


def _primary(evaluator: Evaluator) -> str:
    """What quality is made of."""
    names = [measure.scorer.name for measure in evaluator.measures if measure.weight]
    return names[0] if len(names) == 1 else f"{', '.join(names)} (weighted mean)"


def _before(known: Evaluation, original: Variant, confidence: float) -> dict[str, Any] | None:
    """The old prompt on the new model, on the rows where it was measured."""
    if not known.examples:
        return None
    rows = [(e, known.quality(original, e)) for e in known.examples]
    scored = [(e, value) for e, value in rows if value is not None]
    interval = None
    if scored:
        measured = bounded_mean(
            [value for _, value in scored],
            lower=0.0,
            upper=1.0,
            clusters=[e.cluster for e, _ in scored],
            weights=[e.weight for e, _ in scored],
        )
        interval = list(measured.interval(confidence) or ()) or None
    return {**_side(original, known.summary(original)), "interval": interval, "rows": len(scored)}


def unnamed(work: Work) -> bool:
    """Whether production is known by its recorded answers only."""
    return work.config.source is None


def simulated(config: Config) -> bool:
    """Whether any model of the experiment is a simulated one."""
    return any(model.startswith("sim/") for model in asked_models(config)) or (
        config.source is not None and config.source.model.startswith("sim/")
    )


def _side(variant: Variant, summary: Summary) -> dict[str, Any]:
    return {
        "score": summary.quality,
        "cost_per_call_usd": summary.cost_usd,
        "p50_latency_s": summary.p50_latency_s,
        "p95_latency_s": summary.p95_latency_s,
        "model": variant.model,
        "prompt_digest": variant.prompt_digest,
    }


def _search(config: Config, found: SearchResult, chosen: Variant) -> dict[str, Any]:
    return {
        "strategy": config.search.strategy,
        "stopped": found.stopped,
        "calls": found.calls,
        "facts": list(found.facts),
        "removed": list(found.removed),
        "tokens": None if found.tokens is None else list(found.tokens),
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
