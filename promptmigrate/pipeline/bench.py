"""The bench of a run: all that it works with, opened and checked before anything is spent."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from promptmigrate.config import Config
from promptmigrate.errors import UsageError
from promptmigrate.evaluate import Evaluator, OutcomeLog, ProgramRunner, calls_per_row
from promptmigrate.lm import Door
from promptmigrate.pipeline.crew import Crew, storage_url, study_url
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.forecast import Forecast, forecast
from promptmigrate.pipeline.gate import Trust
from promptmigrate.pipeline.measures import describe, measures, models
from promptmigrate.pipeline.plan import Plan, plan
from promptmigrate.pipeline.prepare import Ready, check_gate, prepare
from promptmigrate.pipeline.rundir import CACHE
from promptmigrate.pipeline.trust import trust_in


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All that a run works with, opened and checked."""

    ready: Ready
    door: Door
    evaluator: Evaluator
    runner: ProgramRunner | None
    """Of a program with several prompts."""
    plan: Plan
    forecast: Forecast
    trust: Trust
    study: str | None
    """Where the trials of the search are kept."""


def open_bench(
    config: Config,
    folder: Path,
    runs: Path,
    run_dir: Path | None,
    crew: Crew,
    say: Listener,
    stack: ExitStack,
    record_to: Path | None,
    replay_from: Path | None,
) -> Bench:
    """Find all that can be wrong before anything is spent, and what the run will cost."""
    storage = storage_url(config)
    shared = crew.size > 1 or not crew.leads or storage is not None
    if shared and (record_to or replay_from):
        raise UsageError("--record and --replay are for one worker alone")
    ready = prepare(config, folder=folder, runs=runs, run_dir=run_dir, crew=crew, say=say, stack=stack)
    run, dataset = ready.run, ready.dataset
    scorers = measures(config, [*dataset.split("train"), *dataset.split("validation")], folder=folder)
    check_gate(config, dataset, [measure.scorer.name for measure in scorers])
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
            on_wait=say.note,
            storage=storage,
            run=run.id,
            shared=shared,
        )
    )
    if config.source is not None:
        door.price(config.source.model)  # recorded answers are priced too: an unknown endpoint is said now
    if replay_from is None:
        door.preflight(models(config, scorers))
    program, per_row = ready.components, calls_per_row(scorers)
    asks = 1 if program is None else program.calls
    budget = plan(config, dataset, ready.typical, per_row - 1 + asks, door, judged=per_row - 1)
    outcomes = run.outcomes if crew.leads else run.outcomes_of(crew.index)
    # What a search has asked is not asked again once it has ended: its lines are all that there will be.
    goes_on = any(run.search(target).exists() for target in range(len(config.targets)))
    log = stack.enter_context(OutcomeLog(outcomes, goes_on=goes_on))
    at_a_time = budget.concurrency
    runner = (
        None
        if program is None
        else stack.enter_context(ProgramRunner(door, program.program, threads=at_a_time))
    )
    evaluator = Evaluator(
        door,
        scorers,
        concurrency=at_a_time,
        turn=crew.turn,
        log=log,
        on_progress=say.progress,
        program=None if runner is None else runner.answer,
    )
    for line in budget.lines():
        say.note(line)
    return Bench(
        ready=ready,
        door=door,
        evaluator=evaluator,
        runner=runner,
        plan=budget,
        forecast=forecast(config, dataset, ready.typical, budget, door),
        trust=trust_in(config, scorers, folder),
        # The search comes to the same trials without the record, so one worker keeps it.
        study=None if not crew.leads else study_url(storage) if storage else run.study,
    )
