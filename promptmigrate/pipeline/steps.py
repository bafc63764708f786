"""Single steps of the pipeline as commands of their own: harvest, evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from promptmigrate.config import Config
from promptmigrate.errors import ConfigError
from promptmigrate.evaluate import Evaluator, OutcomeLog, ProgramRunner, as_variant
from promptmigrate.files import YAMLError, digest, parse_yaml
from promptmigrate.harvest import Harvest, log_dataset, write_dataset
from promptmigrate.lm import Door
from promptmigrate.pipeline import record
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.first_look import complaint
from promptmigrate.pipeline.gate import original_variant, production_variant
from promptmigrate.pipeline.measures import describe, measures, models
from promptmigrate.pipeline.prepare import check_dataset, harvest_for, production_prompt
from promptmigrate.pipeline.program import Components, components
from promptmigrate.pipeline.rundir import CACHE, check_writable, write_json
from promptmigrate.types import Prompt, Variant


def harvest_only(
    config: Config, *, folder: Path, output: Path, log: bool = True, listener: Listener | None = None
) -> Harvest:
    """Harvest into ``output`` (Parquet), and into MLflow if ``log``.

    Raises:
        UsageError: prompt, data or folder cannot be used.
    """
    say = listener or Listener()
    check_writable(output.parent, what="output folder")
    prompt, prompt_uri = production_prompt(config, folder)
    say.stage("Harvest")
    found = harvest_for(config, prompt, prompt_uri, folder)
    for line in found.profile.lines():
        say.note(line)
    write_dataset(found.dataset, output)
    say.note(f"wrote {output} ({found.dataset.digest[:19]})")
    if log:
        where = log_dataset(
            found.dataset,
            tracking_uri=config.mlflow.tracking_uri,
            experiment=record.experiment(config),
        )
        say.note(f"logged to MLflow: {where}")
    return found


def evaluate_only(
    config: Config,
    *,
    folder: Path,
    runs: Path,
    variant_files: Sequence[Path] = (),
    limit: int | None = None,
    listener: Listener | None = None,
    record_to: Path | None = None,
    replay_from: Path | None = None,
) -> dict[str, Any]:
    """Evaluate production, the old prompt on the target, and given variants on train and validation rows.

    Raises:
        UsageError: something given cannot be used.
        BudgetExceeded: the budget does not reach; what was answered is kept in the cache.
    """
    say = listener or Listener()
    prompt, prompt_uri = production_prompt(config, folder)
    program = components(config, folder)
    check_writable(runs, what="run folder")
    candidates = [load_variant(path, prompt, program) for path in variant_files]
    say.stage("Harvest")
    harvested = harvest_for(config, prompt, prompt_uri, folder)
    for line in harvested.profile.lines():
        say.note(line)
    dataset = check_dataset(harvested)
    rows = [*dataset.split("train"), *dataset.split("validation")][:limit]
    scorers = measures(config, rows, folder=folder)
    say.note(f"scorers: {describe(config.scorers, scorers)}")
    variants = [original_variant(config, prompt, program), *candidates]
    if config.source:
        variants.insert(0, production_variant(config, prompt, program))
    if program is not None:
        program.rehearsed(dataset)
    out = runs / config.name / f"evaluate-{digest([config.digest, dataset.digest, len(rows)])[7:19]}"
    with ExitStack() as stack:
        door = stack.enter_context(
            Door.open(
                endpoints=config.endpoints,
                prices=config.prices,
                cache=runs / CACHE,
                ledger=out / "ledger.sqlite",
                budget=config.budget,
                record=record_to,
                replay=replay_from,
                on_wait=say.note,
            )
        )
        if replay_from is None:
            door.preflight([*{variant.model for variant in variants}, *models(config, scorers)])
        log = stack.enter_context(OutcomeLog(out / "outcomes.jsonl"))
        answer = None
        if program is not None:
            answer = stack.enter_context(ProgramRunner(door, program.program)).answer
        evaluator = Evaluator(door, scorers, log=log, on_progress=say.progress, program=answer)
        say.stage(f"Evaluate: {len(variants)} variants on {len(rows)} rows")
        evaluation = evaluator.run(variants, rows, phase="evaluate")
        spend = door.spend
    summaries = [(variant, evaluation.summary(variant)) for variant in variants]
    result = {
        "name": config.name,
        "simulated": record.simulated(config),
        "dataset_digest": dataset.digest,
        "outcomes": str(out / "outcomes.jsonl"),
        "spend": {"calls": dict(spend.calls), "cached": spend.cached, "usd": spend.usd},
        "variants": [
            {
                "name": variant.origin or variant.id,
                "model": variant.model,
                "digest": variant.digest,
                "score": summary.quality,
                "scores": dict(summary.scores),
                "rows": summary.rows,
                "missing": summary.missing,
                "cost_per_call_usd": summary.cost_usd,
                "p50_latency_s": summary.p50_latency_s,
                "p95_latency_s": summary.p95_latency_s,
                "errors": dict(summary.errors),
                "complaint": complaint(evaluation, variant) if summary.missing else None,
            }
            for variant, summary in summaries
        ],
    }
    write_json(out / "evaluation.json", result)
    return result


def load_variant(path: Path, production: Prompt, program: Components | None = None) -> Variant:
    """The Variant of a best.yaml.

    Raises:
        ConfigError: unreadable, incomplete, or with other variables (or components) than production has.
    """
    try:
        data, _ = parse_yaml(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(error), file=path) from error
    key = "prompt" if program is None else "prompts"
    found = data.get(key) if isinstance(data, dict) else None
    if not isinstance(found, dict) or not isinstance(data.get("model"), str):
        raise ConfigError(f"not a variant: it needs 'model' and '{key}' as best.yaml has them", file=path)
    model, params = data["model"], data.get("params") or {}
    if program is None:
        prompt = _read_prompt(found, production, path)
        return Variant(prompt=prompt, model=model, params=params, origin=path.stem)
    if set(found) != set(program.prompts):
        raise ConfigError(f"its prompts are not {', '.join(program.prompts)}", file=path)
    prompts = {name: _read_prompt(found[name], old, path) for name, old in program.prompts.items()}
    return as_variant(prompts, model=model, params=params, origin=path.stem)


def _read_prompt(given: object, production: Prompt, path: Path) -> Prompt:
    source = given.get("text", given.get("messages")) if isinstance(given, dict) else None
    if not isinstance(source, str | list):
        raise ConfigError("prompt needs 'text' or 'messages'", file=path)
    prompt = Prompt.of(source)
    if set(prompt.variables) != set(production.variables):
        raise ConfigError(
            f"its variables ({', '.join(prompt.variables)}) are not those of the production prompt "
            f"({', '.join(production.variables)})",
            file=path,
        )
    return prompt
