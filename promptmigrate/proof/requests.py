"""What of the experiment a bundle is read with: endpoints, requests and their keys, slices.

The key of a request ties an answer to the prompt, model and parameters that it was given to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptmigrate.config import EndpointConfig
from promptmigrate.errors import DataError
from promptmigrate.lm.endpoints import resolve
from promptmigrate.lm.keys import request_key
from promptmigrate.types import Example, Request, Variant


def endpoints_of(config: Mapping[str, Any]) -> dict[str, EndpointConfig]:
    """The endpoints of a resolved experiment.

    Raises:
        DataError: they are not what an experiment can have.
    """
    from pydantic import ValidationError

    try:
        given = config.get("endpoints", {})
        return {str(name): EndpointConfig.model_validate(values) for name, values in given.items()}
    except (ValidationError, AttributeError) as error:
        raise DataError("the endpoints are not those of an experiment", file="config.json") from error


def slices_by(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What the slices of a resolved experiment are cut by."""
    by = config.get("gate", {}).get("slices", {}).get("by", ())
    return tuple(str(name) for name in by)


def task_request(variant: Variant, example: Example, repeat: int) -> Request:
    """What is asked of ``variant`` for ``example``.

    Raises:
        TemplateError: the example lacks a variable of the prompt.
    """
    return Request(
        model=variant.model,
        messages=variant.prompt.render(example.inputs),
        params=variant.params,
        repeat=repeat,
    )


def key_of(request: Request, endpoints: Mapping[str, EndpointConfig]) -> str:
    """The key of ``request`` in a recording, as hex.

    Raises:
        UsageError: there is no endpoint for its model, or it cannot be sent.
    """
    model = request.model
    if model.startswith("replay/"):
        model = model.removeprefix("replay/").rpartition(".jsonl/")[2]
    endpoint, name = resolve(model, endpoints)
    return request_key(endpoint.identity, name, request.messages, request.params, request.repeat).hex()
