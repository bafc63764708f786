"""Recording and replaying model calls in tests, through promptmigrate's door."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from scorers._complete import response_format, set_default_complete
from scorers._pytest_thresholds import ThresholdsError, read_mapping
from scorers._types import Answer, Question

_door_key = pytest.StashKey[Any]()


def start(config: pytest.Config) -> None:
    """Let judges ask through the door of this session; it is opened when the first one asks."""
    record, replay = (config.getoption(f"--score-{name}") for name in ("record", "replay"))
    if record and replay:
        raise pytest.UsageError("--score-record and --score-replay exclude each other")
    if replay and not Path(replay).is_file():
        raise pytest.UsageError(
            f"--score-replay: there is no recording {replay}; make one with --score-record"
        )

    async def complete(question: Question, /) -> Answer:
        door = door_of(config)
        reply = await door.acomplete(request_of(question))
        return Answer(
            text=reply.text if reply.answered else None,
            error=None if reply.answered else f"{reply.kind}: {reply.error or 'no answer'}",
            cost_usd=reply.cost_usd,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
        )

    set_default_complete(complete)
    config.add_cleanup(lambda: set_default_complete(None))


def request_of(question: Question) -> Any:
    """A judge's question as the door takes it."""
    types = _promptmigrate("promptmigrate.types")
    limit = {} if question.max_tokens is None else {"max_tokens": question.max_tokens}
    params = {**limit, **response_format(question)}
    return types.Request(
        model=question.model, messages=tuple(question.messages), params=params, purpose="judge"
    )


def door_of(config: pytest.Config) -> Any:
    """The one door of this session."""
    if _door_key not in config.stash:
        lm = _promptmigrate("promptmigrate.lm")
        record, replay, endpoints = (
            config.getoption(f"--score-{name}") for name in ("record", "replay", "endpoints")
        )
        door = lm.Door.open(
            endpoints=_endpoints(endpoints) if endpoints else {},
            record=Path(record) if record else None,
            replay=Path(replay) if replay else None,
        )
        config.add_cleanup(door.close)
        config.stash[_door_key] = door
    return config.stash[_door_key]


def _endpoints(file: str) -> dict[str, Any]:
    kind = _promptmigrate("promptmigrate.config").EndpointConfig
    try:
        data = read_mapping(Path(file))
        return {str(name): kind.model_validate(given) for name, given in data.items()}
    except (ThresholdsError, ValueError) as error:
        raise pytest.UsageError(f"--score-endpoints: {error}") from error


def _promptmigrate(name: str) -> Any:
    # By name: this package lies below promptmigrate and must not depend on it.
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise pytest.UsageError(
            "--score-record, --score-replay and score_door need promptmigrate (pip install promptmigrate)"
        ) from error
