"""``promptmigrate calibrate``: how far a judge of an experiment agrees with people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptmigrate.cli.console import console, print_json
from promptmigrate.cli.options import ConfigPath, Json, Quiet, Record, Replay, Runs, names_lines, names_option
from promptmigrate.errors import ConfigError, DataError, UsageError

if TYPE_CHECKING:
    from promptmigrate.config import Config
    from scorers import Scorer


@names_lines
def calibrate(
    config: ConfigPath,
    labels: Annotated[
        str, typer.Option("--labels", help="A .csv or .jsonl file with labels, or 'mlflow' for assessments.")
    ],
    output: Annotated[Path, typer.Option("--output", help="Where to write the card (.json).")],
    scorer: Annotated[
        str | None, typer.Option("--scorer", help="Name of the judge, if the experiment has several.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="mlflow: name of the assessment that people gave.")
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", help="mlflow: where the traces are; default: data.traces.experiment."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="mlflow: age (30d) or ISO date of the oldest trace.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="label=reviewer_1: which column holds what; may be repeated."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", min=0, max=1, help="From which value on an answer is good.")
    ] = None,
    budget_calls: Annotated[
        int | None,
        typer.Option("--budget-calls", min=1, help="At most so many requests, in place of budget.calls."),
    ] = None,
    runs: Runs = Path("runs"),
    record: Record = None,
    replay: Replay = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask a judge about answers that people labelled, and write down how far it agrees with them.

    The gate reads the card where the experiment names it. It holds for this very judge: another model, rubric
    or option needs another card. Answers come from the call cache where they are known.
    """
    from promptmigrate.config import load_config
    from promptmigrate.evaluate.calibrate import calibrate as measure
    from promptmigrate.lm import Door
    from promptmigrate.pipeline.rundir import CACHE, check_writable
    from scorers import models_of

    loaded = load_config(config)
    budget = loaded.budget
    if budget_calls is not None:
        budget = budget.model_copy(update={"calls": budget_calls})  # its other limits hold
    index, judge = _judge(loaded, scorer)
    rows: Any = (
        _mlflow_rows(loaded, label=label, experiment=experiment, since=since)
        if labels == "mlflow"
        else Path(labels)
    )
    names = _columns(column or [])
    if output.is_dir():
        raise UsageError(f"--output {output} is a folder; give the file to write the card to")
    check_writable(output.parent, what="folder of the card")
    with (
        names_option("calls", "--budget-calls", given=budget_calls),
        Door.open(
            endpoints=loaded.endpoints,
            prices=loaded.prices,
            cache=runs / CACHE,
            budget=budget,
            record=record,
            replay=replay,
        ) as door,
    ):
        if replay is None:
            door.preflight(models_of(judge))
        card = measure(
            door,
            judge,
            rows,
            params=loaded.scorers[index].params,
            columns=names,
            threshold=threshold,
        )
        spend = door.spend
    try:
        card.save(output)
    except OSError as error:
        raise UsageError(f"the card {output} cannot be written: {error.strerror or error}") from error
    shown = _as_named(output, config)
    out = console()
    if not quiet:
        out.print(card.text(), markup=False, soft_wrap=True)
    out.print(
        f"written to {output}; name it in {config}:\n"
        f"  scorers[{index}] ({judge.name}):  calibration: {shown}",
        markup=False,
        soft_wrap=True,
    )
    if as_json:
        spent = {"calls": sum(spend.calls.values()), "cached": spend.cached, "usd": spend.usd}
        print_json({"card": str(output), "calibration": shown, "spend": spent, **card.to_dict()})


def _judge(config: Config, wanted: str | None) -> tuple[int, Scorer]:
    """Place and object of the judge that is meant."""
    import scorers
    from promptmigrate.pipeline.measures import is_judge

    found: dict[str, tuple[int, Scorer]] = {}
    for index, item in enumerate(config.scorers):
        if item.use == "auto":
            continue  # what it is follows from a dataset
        if item.use == "format_contract":
            continue  # no judge, and perhaps still to be mined
        try:
            made = scorers.from_spec(item.spec)
        except ValueError as error:
            raise ConfigError(f"scorers.{index}: {error}", key=f"scorers.{index}") from error
        if is_judge(made):
            found[made.name] = index, made
    if wanted is not None:
        if wanted not in found:
            raise UsageError(f"the experiment has no judge called {wanted!r}; it has {_listed(found)}")
        return found[wanted]
    if len(found) != 1:
        what = "no judge by name" if not found else f"several judges: {_listed(found)}"
        hint = "name one under 'scorers'" if not found else "say which with --scorer"
        raise UsageError(f"the experiment has {what}; {hint}")
    return next(iter(found.values()))


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _mlflow_rows(
    config: Config, *, label: str | None, experiment: str | None, since: str | None
) -> list[dict[str, Any]]:
    from promptmigrate import mlflow_store
    from scorers.mlflow import labelled

    experiment = experiment or config.data.traces.experiment
    if label is None or experiment is None:
        raise UsageError(
            "--labels mlflow needs --label, the name of the assessment that people gave, and --experiment "
            "where the experiment file names no traces"
        )
    uri = mlflow_store.resolve(config.mlflow.tracking_uri)
    mlflow_store.check(uri)
    try:
        with mlflow_store.store_errors(uri):
            rows = labelled(experiment, name=label, tracking_uri=uri, since=since)
    except ValueError as error:
        raise DataError(f"the labels cannot be read: {error}") from error
    if not rows:
        raise DataError(f"no trace of experiment {experiment!r} has an assessment {label!r} by a person")
    return rows


def _columns(given: list[str]) -> dict[str, str] | None:
    columns: dict[str, str] = {}
    for item in given:
        name, equals, column = item.partition("=")
        if not equals or not name or not column:
            raise UsageError(f"--column {item!r} must be written name=column, as in label=reviewer_1")
        if name in columns:
            raise UsageError(f"--column {name} is given twice: {columns[name]!r} and {column!r}")
        columns[name] = column
    return columns or None


def _as_named(card: Path, config: Path) -> str:
    """The card as the experiment file names it: relative to its folder where it lies below it."""
    folder, path = config.absolute().parent, card.absolute()
    return Path(os.path.relpath(path, folder)).as_posix() if path.is_relative_to(folder) else str(path)
