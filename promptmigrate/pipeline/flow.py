"""migrate(): the arrows of the pipeline on one page.

traces -> dataset -> search (for each target) -> gate -> registry -> route -> report
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from promptmigrate.config import Config
from promptmigrate.errors import StorageError, UsageError
from promptmigrate.pipeline import record
from promptmigrate.pipeline.afford import allowances, within
from promptmigrate.pipeline.bench import Bench, open_bench
from promptmigrate.pipeline.complete import complete
from promptmigrate.pipeline.contest import Contender, compete
from promptmigrate.pipeline.crew import ALONE, Crew, storage_url
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.finish import finish
from promptmigrate.pipeline.gate import Gate, production_variant, run_gate
from promptmigrate.pipeline.kept import Searches, recorded
from promptmigrate.pipeline.meeting import Meeting
from promptmigrate.pipeline.plan import Plan
from promptmigrate.pipeline.prepare import production_prompt
from promptmigrate.pipeline.program import settled
from promptmigrate.pipeline.program_contest import compete_program
from promptmigrate.pipeline.rundir import OPENINGS, RunDir, home
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
        bench = open_bench(config, folder, runs, run_dir, crew, say, stack, record_to, replay_from)
        run, ready = bench.ready.run, bench.ready
        meeting = _meeting(config, stack)
        searches = Searches(run, meeting) if record_to is None else recorded(run, config)
        if replay_from is None and complete(config, bench, searches):
            say.note("forecast: nothing; this run has its verdict, and all its answers are kept")
        else:
            say.note(bench.forecast.line())
            if not say.confirm(bench.forecast):
                more = "more " if sum(bench.door.account().calls.values()) else ""
                raise UsageError(f"stopped before anything {more}was spent")
        record.begin(run, config, ready, started)
        if meeting is not None:
            meeting.open(run)
        with crew.started(run.path):
            contenders, gate = _decide(config, bench, runs, meeting, say, searches)
        # A storage that was away has forgotten who led: another host may have taken the lead since.
        if meeting is not None and not meeting.take_over(run):
            raise StorageError(
                f"the shared storage was away, and another process has brought run {run.id} to its end "
                "since; its result is on that host"
            )
        return _finished(config, bench, contenders, gate, started, say, meeting)


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
        bench = open_bench(config, folder, runs, run_dir, crew, say, stack, None, None)
        run = bench.ready.run
        contenders, gate = _decide(config, bench, runs, meeting, say, Searches(run, meeting))
        if meeting is not None and not meeting.take_over(run):
            return None
        # On one host the folder tells better than a storage that may have been away.
        if not crew.joined and not _held(run, stack):
            return None  # the one that leads is there, and writes the result
        if run.state().get("state") != "running":
            return None
        say.note("the process that led this run is gone: writing the result here")
        return _finished(config, bench, contenders, gate, datetime.now(UTC), say, meeting)


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


def _decide(
    config: Config, bench: Bench, runs: Path, meeting: Meeting | None, say: Listener, searches: Searches
) -> tuple[tuple[Contender, ...], Gate]:
    ready = bench.ready
    search = compete if bench.runner is None else partial(compete_program, bench.runner)
    contenders = search(
        config, ready, bench.evaluator, bench.door, bench.plan, say, study=bench.study, searches=searches
    )
    agreed = settled(bench.plan, ready.components, max(contender.asked for contender in contenders))
    # What was found so far is kept, whatever happens to the gate.
    record.keep(ready.run, [contender.found.best for contender in contenders])
    candidates = [contender.found.best for contender in contenders]
    budget = _affordable(config, bench, agreed, candidates, meeting)
    say.stage(f"Gate: {budget.gate_rows} test rows, opened once")
    gate = run_gate(
        config,
        ready.dataset,
        ready.prompt,
        candidates,
        bench.evaluator,
        plan=budget,
        openings=runs / OPENINGS,
        run=ready.run.id,
        trust=bench.trust,
        program=ready.components,
    )
    return contenders, gate


def _affordable(
    config: Config, bench: Bench, agreed: Plan, candidates: list[Variant], meeting: Meeting | None
) -> Plan:
    """The gate that the rest of the budget pays for; who comes to it first settles that for all."""
    ready = bench.ready
    planned = ready.run.state().get("gate") or (meeting and meeting.gate(ready.run))
    if not planned:
        production = [production_variant(config, ready.prompt, ready.components)] if agreed.rerun else []
        found = allowances(config, ready, agreed, [*production, *candidates], bench.evaluator, bench.door)
        fitted = within(agreed, found, retry_rate=bench.evaluator.retry_rate)
        planned = {"rows": fitted.gate_rows, "short": fitted.short}
        if meeting is not None:
            planned = meeting.settle_gate(ready.run, planned)
    planned = ready.run.settle("gate", planned)
    return agreed.opening(planned["rows"], planned["short"])


def _finished(
    config: Config,
    bench: Bench,
    contenders: tuple[Contender, ...],
    gate: Gate,
    started: datetime,
    say: Listener,
    meeting: Meeting | None,
) -> Run:
    say.stage("Record")
    run = bench.ready.run
    work = record.Work(
        ready=bench.ready,
        config=config,
        contenders=contenders,
        gate=gate,
        evaluator=bench.evaluator,
        door=bench.door,
        forecast=bench.forecast,
        started=started,
    )
    if meeting is None:
        summary = finish(work, say)
    else:
        pen = meeting.pen(run)
        with pen.taken():
            summary = finish(work, say, before_publishing=pen.check)
            meeting.done(run)
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
