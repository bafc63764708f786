"""Parameters of model calls: those that are widely known, what type they have, and near misses of them.

An endpoint may take parameters of its own, so an unknown one is allowed; one that is spelt almost like a
known one would be sent, ignored by most providers, and never missed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from promptmigrate.config.schema import Config

_NUMBER, _WHOLE, _TEXT, _FLAG = (int, float), (int,), (str,), (bool,)
_MAPPING, _LIST = (Mapping,), (list,)
_WORDS: dict[tuple[type, ...], str] = {
    _NUMBER: "a number",
    _WHOLE: "a whole number",
    _TEXT: "a text",
    _FLAG: "true or false",
    _MAPPING: "a mapping",
    _LIST: "a list",
    (str, list): "a text or a list of texts",
    (str, Mapping): "a text or a mapping",
    (bool, Mapping): "true, false or a mapping",
}
KNOWN: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("temperature", "top_p", "frequency_penalty", "presence_penalty", "repetition_penalty"), _NUMBER
    ),
    **dict.fromkeys(("min_p", "top_a", "typical_p", "length_penalty"), _NUMBER),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens"), _WHOLE),
    **dict.fromkeys(("n", "seed", "top_k", "top_logprobs", "best_of"), _WHOLE),
    **dict.fromkeys(("user", "service_tier", "reasoning_effort", "verbosity", "safety_identifier"), _TEXT),
    **dict.fromkeys(("logprobs", "store", "parallel_tool_calls", "ignore_eos"), _FLAG),
    **dict.fromkeys(("logit_bias", "metadata", "extra_body", "extra_headers", "prediction"), _MAPPING),
    **dict.fromkeys(("tools", "functions", "modalities", "models", "transforms", "safety_settings"), _LIST),
    **dict.fromkeys(("tool_choice", "function_call", "response_format"), (str, Mapping)),
    **dict.fromkeys(("thinking", "reasoning"), (bool, Mapping)),
    **dict.fromkeys(("provider", "chat_template_kwargs"), _MAPPING),
    "stop": (str, list),
}
"""Parameter -> types of its value."""
_MISSPELT = 0.85
_SIMILAR = 0.6


def parameters(config: Config) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Every mapping of call parameters with its place in the file."""
    if config.source is not None:
        yield ("source", "params"), config.source.params
    for index, target in enumerate(config.targets):
        yield ("targets", index, "params"), target.params
    for index, scorer in enumerate(config.scorers):
        yield ("scorers", index, "params"), scorer.params
    yield ("search", "reflection_params"), config.search.reflection_params


def mistakes(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Place and sentence of each parameter that is misspelt or has a value of another type."""
    for place, params in parameters(config):
        for name, value in params.items():
            key = (*place, name)
            where = ".".join(map(str, key))
            types = KNOWN.get(name)
            if types is None:
                if near := difflib.get_close_matches(name.lower(), KNOWN, n=1, cutoff=_MISSPELT):
                    yield key, f"'{where}' is no parameter that providers know; did you mean '{near[0]}'?"
            elif value is not None and not _fits(value, types):
                yield key, f"'{where}' must be {_WORDS[types]}, got {value!r:.80}"


def unknown(config: Config) -> list[str]:
    """A line for each parameter that only its endpoint can know."""
    found = []
    for place, params in parameters(config):
        for name in params:
            if name in KNOWN:
                continue
            near = difflib.get_close_matches(name.lower(), KNOWN, n=1, cutoff=_SIMILAR)
            hint = f" (the nearest known one is {near[0]})" if near else ""
            found.append(
                f"{'.'.join(map(str, (*place, name)))} is not widely known{hint}; it is sent as it is"
            )
    return found


def _fits(value: object, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
