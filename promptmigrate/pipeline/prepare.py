"""Everything that a run needs and that can be wrong, found before anything is spent."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from promptmigrate import mlflow_store
from promptmigrate.config import Config, inline_prompt, unknown_params
from promptmigrate.decide import DERIVED
from promptmigrate.errors import ConfigError, DataError, TemplateError
from promptmigrate.harvest import Harvest, check_size, harvest, read_dataset, write_dataset
from promptmigrate.pipeline.crew import Crew
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.program import Components, components
from promptmigrate.pipeline.rundir import RunDir, check_writable, run_id, unfinished
from promptmigrate.pipeline.same import Inputs, changes, check_same, inputs_of
from promptmigrate.pipeline.strategies import check_strategy
from promptmigrate.publish import current, load
from promptmigrate.search.text import tokens_of
from promptmigrate.types import Dataset, Prompt


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What a run works on."""

    prompt: Prompt
    """Of production; of a program, what stands for it (see :attr:`Components.surface`)."""
    prompt_uri: str | None
    """Where the registry has it."""
    seeds: tuple[Prompt, ...]
    """Further prompts to start from."""
    inputs: Inputs
    run: RunDir
    """Held by this process, unless it works for the one that holds it."""
    dataset: Dataset
    warnings: tuple[str, ...] = ()
    """What the verdict should say of the data."""
    components: Components | None = None
    """The program and its prompts, where there are several."""

    @property
    def typical(self) -> Prompt:
        """What one call is about as long as."""
        return self.prompt if self.components is None else self.components.typical


def prepare(
    config: Config,
    *,
    folder: Path,
    runs: Path,
    run_dir: Path | None,
    crew: Crew,
    say: Listener,
    stack: ExitStack,
) -> Ready:
    """Check the experiment, and open its run folder with its Dataset.

    Args:
        config: The experiment.
        folder: Where files that it names are looked for first.
        runs: Where run folders are.
        run_dir: The folder of a run to go on with; None: that of an interrupted one, else a new one.
        crew: Who works on the run.
        say: Is told what was found.
        stack: Keeps the run folder held.

    Raises:
        UsageError: something given is wrong, or ``run_dir`` began with something else.
    """
    program = components(config, folder)
    prompt, uri = production_prompt(config, folder) if program is None else (program.surface, None)
    seeds = seed_prompts(config, prompt, folder)
    check_folders(config, runs)
    for each in [prompt] if program is None else program.prompts.values():
        check_length(config, each)
    check_strategy(config)
    for line in unknown_params(config):
        say.note(line)
    inputs = inputs_of(config, folder, seeds, code=None if program is None else program.file)
    say.stage("Harvest")
    run, dataset, warnings = _open(config, prompt, uri, folder, runs, run_dir, inputs, crew, say, stack)
    return Ready(
        prompt=prompt,
        prompt_uri=uri,
        seeds=seeds,
        inputs=inputs,
        run=run,
        dataset=dataset,
        warnings=warnings,
        components=None if program is None else program.rehearsed(dataset),
    )


def _open(
    config: Config,
    prompt: Prompt,
    prompt_uri: str | None,
    folder: Path,
    runs: Path,
    run_dir: Path | None,
    inputs: Inputs,
    crew: Crew,
    say: Listener,
    stack: ExitStack,
) -> tuple[RunDir, Dataset, tuple[str, ...]]:
    """The run folder and its Dataset: harvested, or that of the run to go on with."""
    root = runs / config.name
    if run_dir is not None:
        given = RunDir(run_dir)
        # The files of another host need not be here: its rows are.
        began = Inputs(digest=str(given.state()["inputs_digest"])) if crew.joined else inputs
        check_same(given, config, prompt, began)
        return given, _again(given, crew, stack), ()
    interrupted = unfinished(root, config.digest, prompt.digest, inputs.digest)
    if interrupted is not None:
        check_same(interrupted, config, prompt, inputs)
        say.note(f"going on with {interrupted.path}, which was interrupted")
        return interrupted, _again(interrupted, crew, stack), ()
    for path in sorted(root.glob("*/run.json")):
        other = RunDir(path.parent)
        if other.state().get("state") == "running":
            different = "; ".join(changes(other, config, prompt, inputs))
            say.note(f"not going on with the interrupted {other.path}: changed since: {different}")
    harvested = harvest_for(config, prompt, prompt_uri, folder)
    for line in harvested.profile.lines():
        say.note(line)
    dataset = check_dataset(harvested)
    check_baseline(config, dataset)
    run = RunDir(root / run_id(config.digest, prompt.digest, dataset.digest, inputs.digest))
    stack.enter_context(run.held())
    write_dataset(dataset, run.dataset)
    return run, dataset, harvested.profile.warnings


def _again(run: RunDir, crew: Crew, stack: ExitStack) -> Dataset:
    """The Dataset of a run that goes on, checked against what it began with."""
    if crew.leads:
        stack.enter_context(run.held())
    dataset = read_dataset(run.dataset)
    if dataset.digest != run.state().get("dataset_digest"):
        raise DataError(
            "these are not the rows that the run began with; begin anew without --run",
            file=run.dataset,
        )
    return dataset


def production_prompt(config: Config, folder: Path) -> tuple[Prompt, str | None]:
    """The Prompt that production runs, and its registry URI if it has one.

    Raises:
        UsageError: it cannot be loaded, or has no placeholders.
    """
    if config.prompt is None:
        program = components(config, folder)
        assert program is not None, "the schema asks for one of both"
        return program.surface, None
    if not isinstance(config.prompt, str):
        return inline_prompt(config.prompt, folder), None
    prompt, info = load(config.prompt, tracking_uri=config.mlflow.tracking_uri)
    if not prompt.variables:
        raise TemplateError(f"{info.uri} has no placeholders; write the varying parts as {{{{name}}}}")
    return prompt, info.uri


def seed_prompts(config: Config, production: Prompt, folder: Path) -> tuple[Prompt, ...]:
    """The prompts of ``search.prompts``.

    Raises:
        ConfigError: one cannot be loaded, or has other variables than production's.
    """
    found = []
    for index, item in enumerate(config.search.prompts):
        key = f"search.prompts.{index}"
        try:
            prompt = (
                load(item, tracking_uri=config.mlflow.tracking_uri)[0]
                if isinstance(item, str)
                else inline_prompt(item, folder)
            )
        except TemplateError as error:
            raise ConfigError(f"{key}: {error}", key=key) from error
        if set(prompt.variables) != set(production.variables):
            raise ConfigError(
                f"{key}: its variables ({', '.join(prompt.variables) or 'none'}) are not those of the "
                f"production prompt ({', '.join(production.variables)})",
                key=key,
            )
        found.append(prompt)
    return tuple(found)


def check_length(config: Config, prompt: Prompt) -> None:
    """Raise ConfigError where the production prompt leaves the search no room."""
    tokens = tokens_of(prompt)
    if tokens * 1.1 > config.search.max_prompt_tokens:
        raise ConfigError(
            f"search.max_prompt_tokens is {config.search.max_prompt_tokens}, and the production prompt has "
            f"about {tokens} tokens already; set it to {tokens * 2} or so",
            key="search.max_prompt_tokens",
        )


def check_folders(config: Config, runs: Path) -> None:
    """Raise StorageError or RouteError where what the run will write to cannot be written."""
    check_writable(runs, what="run folder")
    for component in config.prompts or [""]:
        route = route_path(config, component)
        check_writable(route.parent, what="route folder")
        current(route, name=".".join(filter(None, [config.name, component])))
    uri = mlflow_store.resolve(config.mlflow.tracking_uri)
    mlflow_store.check(uri, create=True)
    if (store := mlflow_store.sqlite_folder(uri)) is not None:
        check_writable(store, what="folder of the MLflow store")


def route_path(config: Config, component: str = "") -> Path:
    """Where the route file goes, relative to the working folder; a program has one for each component."""
    path = Path(config.publish.route or f"routes/{config.name}.yaml")
    return path.with_name(f"{path.stem}.{component}{path.suffix}") if component else path


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
        read=config.expectations_read,
    )


def check_baseline(config: Config, dataset: Dataset) -> None:
    """Raise DataError where production's recorded answers are to be the yardstick and are not there."""
    without = [example.id for example in dataset.split("test") if example.reference is None]
    if without and config.source is None:
        raise DataError(
            f"production is no yardstick: no source.model says what it runs, and {len(without)} test rows "
            f"have no reference (first: example {without[0]}); name source.model (the target's own where "
            "only the prompt changes), or give what production answered"
        )
    if config.gate.baseline == "recorded" and without:
        raise DataError(
            f"gate.baseline is recorded, but {len(without)} test rows have no reference (first: example "
            f"{without[0]}); give what production answered, or name source.model and use baseline: rerun"
        )


def check_gate(config: Config, dataset: Dataset, scorers: Sequence[str]) -> None:
    """Raise ConfigError where the gate is to look at what is not there."""
    check_guardrails(config, scorers)
    known = {*DERIVED, *(key for example in dataset for key in example.metadata)}
    for name in config.gate.slices.by:
        if name not in known:
            raise ConfigError(
                f"gate.slices.by names {name!r}, which no row has in its metadata; use "
                f"{', '.join(DERIVED)} or a metadata key",
                key="gate.slices.by",
            )


def check_guardrails(config: Config, scorers: Sequence[str]) -> None:
    """Raise ConfigError where gate.guardrails.scores names what is no scorer."""
    for name in config.gate.guardrails.scores:
        if name not in scorers:
            near = difflib.get_close_matches(name, scorers, n=1, cutoff=0.5)
            raise ConfigError(
                f"gate.guardrails.scores names {name!r}, which is no scorer of this experiment; "
                + (f"did you mean {near[0]!r}?" if near else f"they are {', '.join(scorers)}"),
                key="gate.guardrails.scores",
            )


def check_dataset(harvested: Harvest) -> Dataset:
    """The Dataset; DataError unless every split of it can be used."""
    if not len(dataset := harvested.dataset):
        raise DataError(f"no usable row: {harvested.profile.left_out or 'there is none'}")
    check_size(dataset)
    if not dataset.split("train") or not dataset.split("validation"):
        raise DataError("the train or validation split is empty; give more rows or change data.split")
    without = [example.id for example in dataset if example.expected is None]
    if without:
        raise DataError(
            f"{len(without)} of {len(dataset)} rows have neither a reference nor expectations "
            f"(first: example {without[0]}); give what production answered or what is right"
        )
    return dataset
