"""After the verdict: the MLflow run always; prompt version and route only after PROMOTE."""

from __future__ import annotations

import shutil
from typing import Any

from promptmigrate.decide import that_decided
from promptmigrate.harvest import log_dataset
from promptmigrate.pipeline import record
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.prepare import route_path
from promptmigrate.pipeline.program_publish import publish_program
from promptmigrate.publish import current, finish_run, register, start_run, told, write_route


def publish(work: record.Work, summary: dict[str, Any], listener: Listener) -> dict[str, Any]:
    """Start the MLflow run and, after PROMOTE, register the prompt and write the route.

    Repeating it changes nothing: the same run, version and route are found again.
    """
    config, uri = work.config, work.config.mlflow.tracking_uri
    experiment = record.experiment(config)
    run_id = start_run(
        tracking_uri=uri,
        experiment=experiment,
        name=f"{config.name} {work.run.id}",
        tags=record.verdict_tags(summary),
        run_id=work.run.state().get("mlflow_run_id"),
    )
    work.run.write_state(mlflow_run_id=run_id)
    summary = {**summary, "mlflow_run_id": run_id}
    log_dataset(work.dataset, tracking_uri=uri, experiment=experiment, run_id=run_id)
    if summary["verdict"] != "PROMOTE":
        listener.note("nothing registered: only PROMOTE is published")
        return summary
    if work.ready.components is not None:
        return publish_program(work, work.ready.components, summary, listener)
    name = config.publish.name or _registered_name(work.prompt_uri) or config.name
    version = register(
        tracking_uri=uri,
        name=name,
        variant=work.gate.chosen.candidate,
        verdict_summary=summary,
        tags={**record.verdict_tags(summary), "promptmigrate.mlflow_run": run_id}
        | ({"promptmigrate.parent": work.prompt_uri} if work.prompt_uri else {}),
        alias=config.publish.alias,
        commit_message=f"{config.name}: {work.gate.production.model} to {work.gate.chosen.candidate.model}",
    )
    listener.note(f"registered {version}, alias {config.publish.alias}")
    if record.unnamed(work):
        listener.note("no route written: it needs the model that production runs; name source.model for one")
        return {**summary, "prompt_version": version}
    models = (work.gate.production.model, work.gate.chosen.candidate.model)
    before = current(route_path(config))
    route = write_route(
        route_path(config),
        name=config.name,
        production=work.gate.production,
        candidate=work.gate.chosen.candidate,
        candidate_uri=version,
        production_uri=work.prompt_uri,
        stages=config.publish.stages,
        evidence={
            "verdict": summary["verdict"],
            "run_id": run_id,
            "run_dir": summary["run_dir"],
            "dataset": work.dataset.digest,
            "bundle": summary["bundle"]["digest"],
        },
        prices={model: work.door.price(model) for model in models},
        endpoints=config.endpoints,
        experiment=config.data.traces.experiment or experiment,
        tracking_uri=uri,
    )
    shutil.copyfile(route, work.run.path / "route.yaml")
    listener.note(told(route, before))
    return {**summary, "prompt_version": version, "route": str(route)}


def log_run(work: record.Work, summary: dict[str, Any]) -> None:
    """Log numbers and files to the MLflow run, and end it."""
    config = work.config
    decided = that_decided(summary)
    low, high = decided["interval"] or (None, None)
    metrics = {
        "baseline_score": summary["baseline"]["score"],
        "candidate_score": summary["candidate"]["score"],
        "delta": decided["delta"],
        "delta_low": low,
        "delta_high": high,
        "baseline_cost_per_call_usd": summary["baseline"]["cost_per_call_usd"],
        "candidate_cost_per_call_usd": summary["candidate"]["cost_per_call_usd"],
        "spend_usd": summary["spend"]["usd"],
        "spend_calls": float(sum(summary["spend"]["calls"].values())),
        "test_openings": float(summary["test_openings"]),
    }
    params = {
        "source": work.gate.production.model,
        "target": work.gate.chosen.candidate.model,
        "strategy": config.search.strategy,
        "margin": config.gate.margin,
        "confidence": config.gate.confidence,
        "test_rows": summary["rows"]["test"],
    }
    names = (
        "verdict.json",
        "bundle.zip",
        "report.html",
        "best.yaml",
        "config.yaml",
        "route.yaml",
        "test_rows.jsonl",
    )
    finish_run(
        tracking_uri=config.mlflow.tracking_uri,
        run_id=summary["mlflow_run_id"],
        params=params,
        metrics=metrics,
        artifacts=[*(work.run.path / name for name in names), *sorted(work.run.path.glob("route.*.yaml"))],
    )


def _registered_name(uri: str | None) -> str | None:
    return uri.removeprefix("prompts:/").split("/")[0] if uri else None
