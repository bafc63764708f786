"""The provider in process: which models there are, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from promptmigrate.errors import CallFailed, EndpointError
from promptmigrate.simulate._chance import digest, lognormal, pick
from promptmigrate.simulate._reading import Turn, last_user, tokens_of, turns_of
from promptmigrate.simulate._types import SimModel, SimReply, count_tokens
from promptmigrate.simulate.worlds import World

_SPREAD = 0.25
"""Standard deviation of log latency."""
_PREFILL_TOKENS_PER_S = 20_000
_SHARED = (
    SimModel(
        name="sim/editor", role="editor", input_per_mtok=2.5, output_per_mtok=10.0, base_latency_s=1.2,
        token_latency_s=0.012, about="rewrites prompts for any optimizer; fallible",
    ),
    SimModel(
        name="sim/judge", role="judge", input_per_mtok=0.5, output_per_mtok=2.0, base_latency_s=0.4,
        token_latency_s=0.006, about="compares an answer with a reference; wrong in about 5 % of the cases",
    ),
    SimModel(
        name="sim/echo", role="echo", input_per_mtok=0.1, output_per_mtok=0.1, base_latency_s=0.0,
        token_latency_s=0.0,
        about="repeats the last user message; for benchmarks of everything else",
    ),
)  # fmt: skip
_GENERIC = (
    "I'd be happy to help! Could you tell me a bit more about what you need?",
    "Thanks for your message. It depends on a few details; could you share more context?",
    "Certainly. Please provide the text you would like me to work with.",
)


@cache
def worlds() -> Mapping[str, World]:
    """The simulated tasks by name."""
    from promptmigrate.simulate.worlds._arithmetic import Arithmetic
    from promptmigrate.simulate.worlds._extract import Extract
    from promptmigrate.simulate.worlds._triage import Triage

    return MappingProxyType({world.name: world for world in (Triage(), Extract(), Arithmetic())})


@cache
def models() -> Mapping[str, SimModel]:
    """The simulated models by name (``sim/triage-large``), with their prices, role and world."""
    listed = [model for world in worlds().values() for model in world.models]
    return MappingProxyType({model.name: model for model in (*listed, *_SHARED)})


def find_model(name: str) -> SimModel:
    """The model of a name, with or without ``sim/``.

    Raises:
        EndpointError: there is no such model.
    """
    model = models().get(name) or models().get("sim/" + name)
    if model is None:
        raise EndpointError(f"the simulated provider has no model {name!r}; it has {', '.join(models())}")
    return model


def respond(
    model: str, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any] | None = None
) -> SimReply:
    """Answer a chat request. Pure: the same request has the same answer everywhere and always.

    ``params`` are those of the OpenAI chat API. ``temperature`` (1 if absent) adds variety between wordings
    of a request, ``seed`` asks for another sample, ``max_tokens``, ``stop`` and ``response_format`` count.
    The latency is reported in seconds, not slept.

    Raises:
        EndpointError: there is no such model.
        CallFailed: the request is longer than the model's context (status 400).
    """
    chosen, given = find_model(model), params or {}
    turns = turns_of(messages)
    call = digest(
        chosen.name, *(part for turn in turns for part in (turn.role, turn.text)), repr(given.get("seed")),
        repr(given.get("temperature")), repr(given.get("response_format")),
    )  # fmt: skip
    text, input_tokens = _text(chosen, turns, given, call)
    if input_tokens > chosen.context_tokens:
        raise CallFailed(
            f"the request has {input_tokens} tokens; the context of {chosen.name} holds "
            f"{chosen.context_tokens}",
            kind="provider_error", status=400,
        )  # fmt: skip
    text, finish = _cut(text, given)
    output_tokens = count_tokens(text)
    seconds = chosen.base_latency_s + chosen.token_latency_s * output_tokens
    if seconds:
        seconds = (seconds + input_tokens / _PREFILL_TOKENS_PER_S) * lognormal(call, "latency", _SPREAD)
    return SimReply(
        text=text,
        finish_reason=finish,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        latency_s=seconds,
    )


def _text(
    model: SimModel, turns: tuple[Turn, ...], params: Mapping[str, Any], call: bytes
) -> tuple[str, int]:
    if model.role == "echo":
        at = last_user(turns)
        return (turns[at].text if at >= 0 else ""), tokens_of(turns)
    if model.role == "editor":
        from promptmigrate.simulate._editor import edit

        return edit(model.name, turns, params, call), tokens_of(turns)
    if model.role == "judge":
        from promptmigrate.simulate._judge import judge

        return judge(model.name, turns, params), tokens_of(turns)
    found = worlds()[model.world].read(turns)
    if found is None:
        return pick(call, "generic", _GENERIC), tokens_of(turns)
    return worlds()[model.world].reply(model, found, turns, params, call), found.input_tokens


def _cut(text: str, params: Mapping[str, Any]) -> tuple[str, Any]:
    stops = params.get("stop")
    for stop in [stops] if isinstance(stops, str) else stops or ():
        if stop and stop in text:
            text = text[: text.index(stop)]
    limit = params.get("max_completion_tokens") or params.get("max_tokens")
    if not isinstance(limit, int) or len(text) <= limit or count_tokens(text) <= limit:
        return text, "stop"
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_tokens(text[:middle]) <= limit else (low, middle - 1)
    return text[:low], "length"
