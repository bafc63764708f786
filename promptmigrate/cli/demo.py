"""``promptmigrate demo``: a whole migration on simulated models, with every part real but the models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptmigrate.cli.console import ConsoleListener, console
from promptmigrate.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from promptmigrate.pipeline import Run
    from promptmigrate.simulate import Row

_MARK = ".promptmigrate-demo"
_NAME = "support_triage"
_CALLS = 1600
_SERVED = 300


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo plays; emptied first.")] = Path(
        "demo"
    ),
) -> None:
    """Play a whole migration on simulated models: no key, no network, about a minute."""
    out = console()
    out.print("[bold]promptmigrate demo[/bold]: a support team moves its triage prompt to a cheaper model.")
    out.print(
        "[italic yellow]All models in this demo are simulated; everything else is real.[/italic yellow]"
    )
    _empty(folder)
    store = f"sqlite:///{folder / 'mlflow.db'}"

    with ConsoleListener(out) as listener:
        listener.stage(f"1. Production: {_CALLS} calls of the large model, traced to MLflow ({store})")
        uri = _register(store)
        listener.note(f"registered {uri}, alias production")
        _play(folder, store, uri, listener)

        from promptmigrate.config import load_config
        from promptmigrate.pipeline import migrate

        path = _write_experiment(folder, store)
        listener.stage(f"2. Migration: promptmigrate migrate {path}")
        run = migrate(load_config(path), folder=folder, runs=folder / "runs", listener=listener)

    from promptmigrate.cli.migrate import show

    show(run)
    _show_diff(out, run)
    if run.route is not None:
        _serve(out, run.route)
    _farewell(out, folder, store, path, run)


def _empty(folder: Path) -> None:
    """A clean start; a folder that is not a demo's is never touched."""
    if folder.exists():
        if not (folder / _MARK).exists() and any(folder.iterdir()):
            raise UsageError(
                f"{folder} holds something else than an earlier demo; give another with --folder"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).write_text("made by promptmigrate demo; emptied when it starts again\n")


def _register(store: str) -> str:
    """The production prompt in the registry, as the team has it."""
    from promptmigrate import mlflow_store
    from promptmigrate.simulate import worlds

    client = mlflow_store.client(store, create=True)
    template = worlds()["triage"].prompt
    version = client.register_prompt(
        name=_NAME, template=template, commit_message="as written for the large model"
    )
    client.set_prompt_alias(_NAME, "production", version.version)
    return f"prompts:/{_NAME}/{version.version}"


def _play(folder: Path, store: str, uri: str, listener: ConsoleListener) -> None:
    """The team's application answers tickets through the gateway; later the right queue of each is known."""
    from promptmigrate.gateway import Gateway

    route = folder / "app" / "triage_app.yaml"
    _write_app_route(route, store, uri)
    tickets = _tickets()
    answered: list[tuple[str, str]] = []
    with Gateway(route) as gateway:
        for row in tickets:
            answer = gateway.complete(row.inputs, user=row.user, session=row.session)
            if answer.trace_id is not None:
                answered.append((answer.trace_id, row.expected))
        listener.note(f"{len(answered)} calls answered; their traces are being written ...")
        if not gateway.flush(120):
            raise UsageError(f"the traces could not be written to {store}: {gateway.traces.last_error}")
    _label(store, answered)
    listener.note("the queue in which each ticket was closed is known, and noted on its trace")


def _tickets() -> list[Row]:
    from promptmigrate.simulate import worlds

    return worlds()["triage"].rows(_CALLS, seed=11)


def _write_app_route(path: Path, store: str, uri: str) -> None:
    from promptmigrate import mlflow_store
    from promptmigrate.files import atomic_write
    from promptmigrate.gateway.route import SCHEMA, PromptSnapshot, check_route, dump_route
    from promptmigrate.publish import load
    from promptmigrate.simulate import models, worlds

    prompt, _ = load(uri, tracking_uri=store)
    source = worlds()["triage"].source
    client = mlflow_store.client(store)
    location = (path.parent.parent / "mlartifacts").resolve().as_uri()
    client.create_experiment("support-prod", artifact_location=location)
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "route": "triage_app",
        "revision": 1,
        "control": "production",
        "variants": {
            "production": {
                "model": source,
                "params": {"temperature": 0},
                "prompt": PromptSnapshot.of(prompt, uri).model_dump(mode="json", exclude_none=True),
                "price": {
                    "input_per_mtok": models()[source].input_per_mtok,
                    "output_per_mtok": models()[source].output_per_mtok,
                },
            }
        },
        "traffic": {"production": 10_000},
        "trace": {"sink": "mlflow", "experiment": "support-prod", "tracking_uri": store},
    }
    atomic_write(path, dump_route(check_route(data, file=path)))


def _label(store: str, answered: list[tuple[str, str]]) -> None:
    import mlflow
    from mlflow.entities import AssessmentSource

    mlflow.set_tracking_uri(store)
    helpdesk = AssessmentSource(source_type="HUMAN", source_id="helpdesk")
    for trace_id, label in answered:
        mlflow.log_expectation(trace_id=trace_id, name="expected_response", value=label, source=helpdesk)


def _write_experiment(folder: Path, store: str) -> Path:
    from promptmigrate.files import atomic_write

    path = folder / "experiment.yaml"
    text = f"""\
# The demo's experiment. Models named sim/... are simulated.
name: {_NAME}
prompt: prompts:/{_NAME}@production
source: {{model: sim/triage-large, params: {{temperature: 0}}}}
targets:
  - {{model: sim/triage-small, params: {{temperature: 0}}}}
data:
  traces: {{experiment: support-prod, since: 30d, limit: 2000}}
scorers:
  - {{use: label_match}}
search: {{strategy: reflective, reflection_model: sim/editor}}
budget: {{calls: 3000, usd: 2.0}}
gate: {{margin: 0.05, guardrails: {{cost_ratio: 0.8}}}}
publish: {{alias: candidate, route: {folder / "routes" / "support_triage.yaml"}, stages: [1, 5, 25, 100]}}
mlflow: {{tracking_uri: "{store}"}}
"""
    atomic_write(path, text)
    return path


def _show_diff(out: Console, run: Run) -> None:
    import difflib

    from rich.text import Text

    prompts = run.summary["prompts"]
    old, new = (_lines(prompts[side]) for side in ("original", "candidate"))
    out.print("\n[bold]What changed in the prompt[/bold]")
    for line in difflib.unified_diff(old, new, "production", "candidate", lineterm="", n=1):
        style = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
        out.print(Text("  " + line, style=style), soft_wrap=True)


def _lines(source: str | list[dict[str, str]]) -> list[str]:
    if isinstance(source, str):
        return source.splitlines()
    return [line for turn in source for line in (f"[{turn['role']}]", *turn["content"].splitlines())]


def _serve(out: Console, route: Path) -> None:
    """Calls through the gateway client at the first stage."""
    from collections import Counter

    from rich.table import Table

    from promptmigrate.gateway import Gateway

    shown: Counter[str] = Counter()
    table = Table(
        title="all models are simulated", title_style="italic yellow", show_edge=False, pad_edge=False
    )
    for column in ("user", "variant", "model", "answer", "$", "latency"):
        table.add_column(column)
    with Gateway(route) as gateway:
        for index, row in enumerate(_more_tickets()):
            user = f"user-{index}"
            answer = gateway.complete(row.inputs, user=user, session=row.session)
            shown[answer.variant] += 1
            if shown[answer.variant] <= 2:
                cost = "-" if answer.cost_usd is None else f"{answer.cost_usd:.6f}"
                table.add_row(
                    user,
                    answer.variant,
                    answer.model,
                    answer.text,
                    cost,
                    f"{answer.latency_s * 1000:.0f} ms",
                )
    counts = ", ".join(f"{count} by {name}" for name, count in shown.most_common())
    title = f"{_SERVED} calls through the gateway, candidate at its first stage"
    out.print(f"\n[bold]{title}[/bold]: {counts}")
    out.print(table)


def _more_tickets() -> Iterator[Row]:
    from promptmigrate.simulate import worlds

    yield from worlds()["triage"].rows(_SERVED, seed=12)


def _farewell(out: Console, folder: Path, store: str, path: Path, run: Run) -> None:
    out.print("\n[bold]Look further[/bold]")
    for name, text in (
        ("report", str(run.report)),
        ("route", str(run.route or "none: only a promoted prompt gets one")),
        (
            "again",
            f"promptmigrate migrate {path} --runs {folder / 'runs'}   (no answer is paid twice)",
        ),
        ("MLflow UI", f"mlflow ui --backend-store-uri {store}"),
    ):
        out.print(f"  {name + ':':10} {text}", markup=False, soft_wrap=True)
