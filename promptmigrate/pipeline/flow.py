"""migrate(): the arrows of the pipeline on one page.

traces -> dataset -> search -> gate -> registry -> route -> report
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promptmigrate import mlflow_store
from promptmigrate.config import Config, inline_prompt
from promptmigrate.errors import ConfigError, DataError, TemplateError
from promptmigrate.evaluate import Evaluator, OutcomeLog, calls_per_row
from promptmigrate.harvest import Harvest, check_size, harvest, read_dataset, write_dataset
from promptmigrate.lm import Door
from promptmigrate.pipeline import record
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.finish import finish
from promptmigrate.pipeline.gate import original_variant, production_variant, run_gate
from promptmigrate.pipeline.measures import describe, measures, models
from promptmigrate.pipeline.plan import CHARS_PER_TOKEN, plan
from promptmigrate.pipeline.rundir import CACHE, OPENINGS, RunDir, check_writable, run_id, unfinished
from promptmigrate.pipeline.searching import before, contact, search
from promptmigrate.publish import current, load
from promptmigrate.search import strategy
from promptmigrate.types import Dataset, Prompt, Variant


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished migration."""

    dir: Path
    verdict: str
    """PROMOTE, REJECT or INCONCLUSIVE."""
    summary: dict[str, Any]
    """What ``verdict.json`` holds."""
    candidate: Variant
    prompt_uri: str | None
    """The registered version; None unless promoted."""
    route: Path | None
    report: Path


def migrate(
    config: Config,
    *,
    folder: Path = Path(),
    runs: Path = Path("runs"),
    listener: Listener | None = None,
    record_to: Path | None = None,
    replay_from: Path | None = None,
) -> Run:
    """Migrate the prompt of ``config`` to its target model.

    The same call again goes on where an interrupted one stopped: what was answered is in the call cache.

    Args:
        config: The experiment.
        folder: Where files that the experiment names are looked for first; then in the working folder.
        runs: Where run folders and the call cache are.
        listener: Is told what happens.
        record_to: A file to which every paid answer is appended, for replay.
        replay_from: A recording to answer all calls from; nothing is sent then.

    Raises:
        UsageError: something given is wrong; found before anything is spent.
        BudgetExceeded: the budget ended before a verdict.
    """
    say = listener or Listener()
    started = datetime.now(UTC)
    with ExitStack() as stack:
        # Everything that can be wrong is found here, before anything is spent.
        prompt, prompt_uri = production_prompt(config, folder)
        check_folders(config, runs)
        check_length(config, prompt)
        strategy(config.search.strategy)
        say.stage("Harvest")
        run, dataset = _dataset(config, prompt, prompt_uri, folder, runs, say, stack)
        seen = [*dataset.split("train"), *dataset.split("validation")]
        scorers = measures(config, seen)
        say.note(f"scorers: {describe(config.scorers, scorers)}")
        door = stack.enter_context(
            Door.open(
                endpoints=config.endpoints,
                prices=config.prices,
                cache=runs / CACHE,
                ledger=run.ledger,
                budget=config.budget,
                record=record_to,
                replay=replay_from,
            )
        )
        if replay_from is None:
            door.preflight(models(config, scorers))
        log = stack.enter_context(OutcomeLog(run.outcomes))
        budget = plan(config, dataset, prompt, calls_per_row(scorers), door)
        evaluator = Evaluator(
            door, scorers, concurrency=budget.concurrency, log=log, on_progress=say.progress
        )
        for line in budget.lines():
            say.note(line)
        record.begin(run, config, dataset, prompt, started)

        production, original = production_variant(config, prompt), original_variant(config, prompt)
        contact(production, original, dataset, evaluator, door, budget, config.reflection_model)
        say.stage(f"Before: the production prompt on {original.model}")
        known = before(original, dataset, evaluator, budget, say)

        say.stage(f"Search: {config.search.strategy}")
        found = search(config, dataset, original, evaluator, door, budget, say, known=known)

        say.stage(f"Gate: {budget.gate_rows} test rows, opened once")
        gate = run_gate(
            config,
            dataset,
            production,
            found.best,
            evaluator,
            plan=budget,
            openings=runs / OPENINGS,
            run=run.id,
        )

        say.stage("Record")
        summary = finish(
            record.Work(
                run=run,
                config=config,
                dataset=dataset,
                prompt_uri=prompt_uri,
                original=original,
                found=found,
                gate=gate,
                evaluator=evaluator,
                door=door,
                started=started,
            ),
            say,
        )
    route = summary["route"]
    return Run(
        dir=run.path,
        verdict=summary["verdict"],
        summary=summary,
        candidate=found.best,
        prompt_uri=summary["prompt_version"],
        route=Path(route) if route else None,
        report=run.path / "report.html",
    )


def production_prompt(config: Config, folder: Path) -> tuple[Prompt, str | None]:
    """The Prompt that production runs, and its registry URI if it has one.

    Raises:
        UsageError: it cannot be loaded, or has no placeholders.
    """
    if not isinstance(config.prompt, str):
        return inline_prompt(config.prompt, folder), None
    prompt, info = load(config.prompt, tracking_uri=config.mlflow.tracking_uri)
    if not prompt.variables:
        raise TemplateError(f"{info.uri} has no placeholders; write the varying parts as {{{{name}}}}")
    return prompt, info.uri


def check_length(config: Config, prompt: Prompt) -> None:
    """Raise ConfigError where the production prompt leaves the search no room."""
    tokens = len(str(prompt)) // CHARS_PER_TOKEN
    if tokens * 1.1 > config.search.max_prompt_tokens:
        raise ConfigError(
            f"search.max_prompt_tokens is {config.search.max_prompt_tokens}, and the production prompt has "
            f"about {tokens} tokens already; set it to {tokens * 2} or so",
            key="search.max_prompt_tokens",
        )


def check_folders(config: Config, runs: Path) -> None:
    """Raise StorageError or RouteError where what the run will write to cannot be written."""
    check_writable(runs, what="run folder")
    route = record.route_path(config)
    check_writable(route.parent, what="route folder")
    current(route, name=config.name)
    uri = mlflow_store.resolve(config.mlflow.tracking_uri)
    mlflow_store.check(uri, create=True)
    if (store := mlflow_store.sqlite_folder(uri)) is not None:
        check_writable(store, what="folder of the MLflow store")


def _dataset(
    config: Config,
    prompt: Prompt,
    prompt_uri: str | None,
    folder: Path,
    runs: Path,
    say: Listener,
    stack: ExitStack,
) -> tuple[RunDir, Dataset]:
    """The run folder, held by this process, and its Dataset: harvested, or that of an interrupted run."""
    root = runs / config.name
    interrupted = unfinished(root, config.digest, prompt.digest)
    if interrupted is not None:
        stack.enter_context(interrupted.held())
        say.note(f"going on with {interrupted.path}, which was interrupted")
        return interrupted, read_dataset(interrupted.dataset)
    harvested = harvest_for(config, prompt, prompt_uri, folder)
    for line in harvested.profile.lines():
        say.note(line)
    dataset = harvested.dataset
    check_dataset(dataset)
    check_baseline(config, dataset)
    run = RunDir(root / run_id(config.digest, prompt.digest, dataset.digest))
    stack.enter_context(run.held())
    write_dataset(dataset, run.dataset)
    return run, dataset


def harvest_for(config: Config, prompt: Prompt, prompt_uri: str | None, folder: Path) -> Harvest:
    """The production calls of the experiment."""
    file = config.data.traces.file
    found = folder if file is None or (folder / file).exists() else Path()
    return harvest(
        config.data,
        prompt,
        name=config.name,
        folder=found,
        tracking_uri=config.mlflow.tracking_uri,
        prompt_uri=prompt_uri,
        source_model=config.source.model if config.source else None,
    )


def check_baseline(config: Config, dataset: Dataset) -> None:
    """Raise DataError where production's recorded answers are to be the yardstick and are not there."""
    without = [example.id for example in dataset.split("test") if example.reference is None]
    if config.gate.baseline == "recorded" and without:
        raise DataError(
            f"gate.baseline is recorded, but {len(without)} test rows have no reference (first: example "
            f"{without[0]}); give what production answered, or name source.model and use baseline: rerun"
        )


def check_dataset(dataset: Dataset) -> None:
    """Raise DataError unless every split can be used."""
    if not len(dataset):
        raise DataError("no usable row; see the profile above for what was dropped and why")
    check_size(dataset)
    if not dataset.split("train") or not dataset.split("validation"):
        raise DataError("the train or validation split is empty; give more rows or change data.split")
    without = [example.id for example in dataset if example.expected is None]
    if without:
        raise DataError(
            f"{len(without)} of {len(dataset)} rows have neither a reference nor expectations "
            f"(first: example {without[0]}); give what production answered or what is right"
        )
