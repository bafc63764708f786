"""migrate(): the arrows of the pipeline on one page.

traces -> dataset -> search (for each target) -> gate -> registry -> route -> report
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from promptmigrate.config import Config
from promptmigrate.errors import StorageError, UsageError
from promptmigrate.evaluate import Evaluator, OutcomeLog, ProgramRunner, calls_per_row
from promptmigrate.lm import Door
from promptmigrate.pipeline import record
from promptmigrate.pipeline.afford import allowances, within
from promptmigrate.pipeline.contest import Contender, compete
from promptmigrate.pipeline.crew import ALONE, Crew, storage_url, study_url
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.finish import finish
from promptmigrate.pipeline.forecast import Forecast, forecast
from promptmigrate.pipeline.gate import Gate, Trust, production_variant, run_gate
from promptmigrate.pipeline.measures import describe, measures, models
from promptmigrate.pipeline.meeting import Meeting
from promptmigrate.pipeline.plan import Plan, fit_gate, plan
from promptmigrate.pipeline.prepare import Ready, check_gate, prepare, production_prompt
from promptmigrate.pipeline.program import settled
from promptmigrate.pipeline.program_contest import compete_program
from promptmigrate.pipeline.rundir import CACHE, OPENINGS, RunDir, home
from promptmigrate.pipeline.trust import trust_in
from promptmigrate.types import Variant


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


@dataclass(frozen=True, kw_only=True)
class _Bench:
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


def migrate(
    config: Config,
    *,
    folder: Path = Path(),
    runs: Path = Path("runs"),
    run_dir: Path | None = None,
    crew: Crew = ALONE,
    listener: Listener | None = None,
    record_to: Path | None = None,
    replay_from: Path | None = None,
) -> Run:
    """Migrate the prompt of ``config`` to its target model, or to the best of several.

    The same call again goes on where an interrupted one stopped: what was answered is in the call cache.

    Args:
        config: The experiment.
        folder: Where files that the experiment names are looked for first; then in the working folder.
        runs: Where run folders and the call cache are.
        run_dir: The folder of a run to go on with; refused if that began with something else. Where a call
            cache lies beside it, that one is taken and not the one in ``runs``.
        crew: How many processes work on it.
        listener: Is told what happens.
        record_to: A file to which every paid answer is appended, for replay.
        replay_from: A recording to answer all calls from; nothing is sent then.

    Raises:
        UsageError: something given is wrong; found before anything is spent.
        BudgetExceeded: the budget ended before a verdict.
    """
    say = listener or Listener()
    started = datetime.now(UTC)
    runs = home(run_dir, runs)
    with ExitStack() as stack:
        bench = _open(config, folder, runs, run_dir, crew, say, stack, record_to, replay_from)
        run, ready = bench.ready.run, bench.ready
        say.note(bench.forecast.line())
        if not say.confirm(bench.forecast):
            raise UsageError("stopped before anything was spent")
        record.begin(run, config, ready, started)
        meeting = _meeting(config, stack)
        if meeting is not None:
            meeting.open(run)
        with crew.started(run.path):
            contenders, gate = _decide(config, bench, runs, crew, say)
        found = _finished(config, bench, contenders, gate, started, say)
        if meeting is not None:
            meeting.done(run)
        return found


def assist(
    config: Config,
    *,
    folder: Path = Path(),
    runs: Path = Path("runs"),
    run_dir: Path | None = None,
    crew: Crew,
    listener: Listener | None = None,
) -> Run | None:
    """Work on a run beside the process that leads it; bring it to its end if that one died.

    Args:
        config: The experiment.
        folder: Where files that the experiment names are looked for first.
        runs: Where run folders are.
        run_dir: The run's folder on this host; None: a run in the shared storage that another host leads.
        crew: The part of this process.
        listener: Is told what happens.

    Returns:
        The finished run where this process had to finish it, else None.

    Raises:
        UsageError: the run began with something else, or there is none to join.
        BudgetExceeded: the budget ended before a verdict.
    """
    say = listener or Listener()
    with ExitStack() as stack:
        meeting = _meeting(config, stack)
        if run_dir is None:
            if meeting is None:
                raise UsageError("joining a run of another host needs 'storage' in the experiment")
            prompt, _ = production_prompt(config, folder)
            run_dir = meeting.join(config, prompt.digest, runs, say).path
        runs = home(run_dir, runs)
        bench = _open(config, folder, runs, run_dir, crew, say, stack, None, None)
        contenders, gate = _decide(config, bench, runs, crew, say)
        run = bench.ready.run
        if meeting is not None:
            if not meeting.take_over(run):
                return None
        elif not _held(run, stack):
            return None  # the one that leads is there, and writes the result
        if run.state().get("state") != "running":
            return None
        say.note("the process that led this run is gone: writing the result here")
        found = _finished(config, bench, contenders, gate, datetime.now(UTC), say)
        if meeting is not None:
            meeting.done(run)
        return found


def _meeting(config: Config, stack: ExitStack) -> Meeting | None:
    url = storage_url(config)
    if url is None:
        return None
    meeting = Meeting(url)
    stack.callback(meeting.close)
    return meeting


def _held(run: RunDir, stack: ExitStack) -> bool:
    try:
        stack.enter_context(run.held())
    except StorageError:
        return False
    return True


def _open(
    config: Config,
    folder: Path,
    runs: Path,
    run_dir: Path | None,
    crew: Crew,
    say: Listener,
    stack: ExitStack,
    record_to: Path | None,
    replay_from: Path | None,
) -> _Bench:
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
    if replay_from is None:
        door.preflight(models(config, scorers))
    program, per_row = ready.components, calls_per_row(scorers)
    if program is None:
        budget = plan(config, dataset, ready.prompt, per_row, door)
    else:
        budget = plan(config, dataset, program.typical, per_row - 1 + program.calls, door)
    log = stack.enter_context(OutcomeLog(run.outcomes if crew.leads else run.outcomes_of(crew.index)))
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
    return _Bench(
        ready=ready,
        door=door,
        evaluator=evaluator,
        runner=runner,
        plan=budget,
        forecast=forecast(config, dataset, ready.prompt, budget, door),
        trust=trust_in(config, scorers, folder),
        # The search comes to the same trials without the record, so one worker keeps it.
        study=None if not crew.leads else study_url(storage) if storage else run.study,
    )


def _decide(
    config: Config, bench: _Bench, runs: Path, crew: Crew, say: Listener
) -> tuple[tuple[Contender, ...], Gate]:
    ready, door = bench.ready, bench.door
    search = compete if bench.runner is None else partial(compete_program, bench.runner)
    contenders = search(config, ready, bench.evaluator, door, bench.plan, say, study=bench.study)
    agreed = settled(bench.plan, ready.components, bench.runner)
    # What was found so far is kept, whatever happens to the gate.
    record.keep(ready.run, [contender.found.best for contender in contenders])
    left = config.budget.calls and max(0, config.budget.calls - sum(door.account().calls.values()))
    planned = ready.run.state().get("gate_rows")
    budget = (
        replace(agreed, gate_rows=planned)
        if planned
        # Others may be in the gate already, so what is left says nothing to one that comes later.
        else agreed
        if not crew.leads
        else _affordable(config, bench, agreed, [contender.found.best for contender in contenders], left)
    )
    if not planned:
        ready.run.write_state(gate_rows=budget.gate_rows)
    say.stage(f"Gate: {budget.gate_rows} test rows, opened once")
    gate = run_gate(
        config,
        ready.dataset,
        ready.prompt,
        [contender.found.best for contender in contenders],
        bench.evaluator,
        plan=budget,
        openings=runs / OPENINGS,
        run=ready.run.id,
        trust=bench.trust,
        program=ready.components,
    )
    return contenders, gate


def _affordable(
    config: Config, bench: _Bench, agreed: Plan, candidates: list[Variant], left: int | None
) -> Plan:
    """The gate that calls, tokens and minutes pay for; rows that are opened must all be answered."""
    ready = bench.ready
    fitted = fit_gate(agreed, ready.dataset, left=left, retry_rate=bench.evaluator.retry_rate)
    production = [production_variant(config, ready.prompt, ready.components)] if agreed.rerun else []
    sides = [*production, *candidates]
    found = allowances(config, ready.dataset, fitted, sides, bench.evaluator, bench.door)
    return within(fitted, ready.dataset, found)


def _finished(
    config: Config,
    bench: _Bench,
    contenders: tuple[Contender, ...],
    gate: Gate,
    started: datetime,
    say: Listener,
) -> Run:
    say.stage("Record")
    run = bench.ready.run
    summary = finish(
        record.Work(
            ready=bench.ready,
            config=config,
            contenders=contenders,
            gate=gate,
            evaluator=bench.evaluator,
            door=bench.door,
            forecast=bench.forecast,
            started=started,
        ),
        say,
    )
    route = summary["route"]
    return Run(
        dir=run.path,
        verdict=summary["verdict"],
        summary=summary,
        candidate=gate.chosen.candidate,
        prompt_uri=summary["prompt_version"],
        route=Path(route) if route else None,
        report=run.path / "report.html",
    )
