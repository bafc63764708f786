"""harvest(): production calls to a Dataset, on one page."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptmigrate.config import ColumnsConfig, DataConfig
from promptmigrate.errors import DataError, TemplateError
from promptmigrate.harvest import sources
from promptmigrate.harvest._call import Call, Tally
from promptmigrate.harvest.build import build
from promptmigrate.harvest.profile import Profile, profile
from promptmigrate.harvest.recognise import Wanted
from promptmigrate.harvest.rows import Columns, read_calls
from promptmigrate.harvest.splits import assign
from promptmigrate.harvest.tables import read_rows
from promptmigrate.harvest.traces import read_traces
from promptmigrate.types import Dataset, Prompt

_URI = re.compile(r"(?:prompts:/)?(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))?")


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """A Dataset and how it came about."""

    dataset: Dataset
    profile: Profile


def harvest(
    data: DataConfig,
    prompt: Prompt,
    *,
    name: str = "dataset",
    folder: Path = Path(),
    tracking_uri: str | None = None,
    prompt_uri: str | None = None,
    source_model: str | None = None,
    read: Collection[str] | None = None,
) -> Harvest:
    """Gather the production calls of ``prompt`` as redacted, de-duplicated and split Examples.

    Args:
        data: Where the calls are and how they are split.
        prompt: The production prompt; its variables are the Examples' inputs.
        name: Of the dataset.
        folder: What a relative ``traces.file`` is relative to.
        tracking_uri: The MLflow store; see :func:`promptmigrate.mlflow_store.resolve`.
        prompt_uri: ``prompts:/name/version`` of ``prompt``: traces linked to another prompt are left out.
        source_model: Calls that another model is known to have answered are left out.
        read: Names of the expectations that the scorers read; others cannot make a row contradictory. None:
            all of them, except beside ``expected_response``, which is compared with alone.

    Raises:
        DataError: nothing usable was found, or a row of a file is wrong; says where and what to do.
        StorageError: the MLflow store is missing or failed.
        TemplateError: the prompt has no placeholders.
    """
    if not prompt.variables:
        raise TemplateError("the prompt has no placeholders; write the varying parts as {{name}}")
    tally = Tally()
    calls = _calls(data, prompt, tally, folder, tracking_uri, prompt_uri, source_model)
    if not calls:
        raise DataError(_nothing(tally))
    built = build(calls, name=name, kinds=data.redact, read=read)
    splits = assign(
        built.examples, train=data.split.train, validation=data.split.validation, seed=data.split.seed
    )
    dataset = Dataset(examples=built.examples, splits=splits, name=name)
    return Harvest(dataset=dataset, profile=profile(dataset, built, tally))


def _calls(
    data: DataConfig,
    prompt: Prompt,
    tally: Tally,
    folder: Path,
    tracking_uri: str | None,
    prompt_uri: str | None,
    source_model: str | None,
) -> Sequence[Call]:
    traces, group_by = data.traces, data.split.group_by
    if traces.experiment is not None:
        asked = traces.prompt or prompt_uri
        found = _URI.fullmatch(asked) if asked else None
        if traces.prompt and (found is None or found["alias"]):
            raise DataError(
                f"data.traces.prompt: {traces.prompt!r} must be a prompt's name or name/version; "
                "traces are linked to versions, not to aliases"
            )
        wanted = Wanted(
            prompt=prompt,
            name=found["name"] if found else None,
            version=found["version"] if found and traces.prompt else None,
            linked_only=traces.prompt is not None,
            model=source_model,
            group_by=group_by,
        )
        return read_traces(
            wanted,
            experiment=traces.experiment,
            tally=tally,
            tracking_uri=tracking_uri,
            filter_string=traces.filter,
            since=traces.since,
            until=traces.until,
            limit=traces.limit,
        )
    if traces.file is not None:
        rows = read_rows(folder / traces.file)
        tally.source = traces.file
    elif traces.mlflow_dataset is not None:
        rows = sources.mlflow_rows(traces.mlflow_dataset, tracking_uri=tracking_uri)
        tally.source = f"MLflow dataset {traces.mlflow_dataset!r}"
    else:
        rows = sources.hf_rows(str(traces.hf), folder=folder)
        tally.source = f"Hugging Face dataset {traces.hf!r}"
    return read_calls(rows, prompt, tally, columns=_columns(data.columns), group_by=group_by)


def _columns(config: ColumnsConfig | None) -> Columns | None:
    if config is None:
        return None
    return Columns(
        inputs=config.inputs, reference=config.reference, expected=config.expected, group=config.group
    )


def _nothing(tally: Tally) -> str:
    if not tally.read:
        return f"{tally.source} has no traces in the given time and filter"
    reasons = ", ".join(f"{count} {reason}" for reason, count in tally.dropped.most_common())
    return f"{tally.source} has no usable trace: of {tally.read} read, {reasons}"
