"""How texts become vectors when nobody said how: an embedding endpoint, by the name of its model."""

from __future__ import annotations

import atexit
import json
import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

from scorers._complete import module, open_door
from scorers._errors import NoCompleteError

Vectors: TypeAlias = Sequence[Sequence[float]]
Embed: TypeAlias = Callable[[Sequence[str]], Vectors]
"""Texts to vectors, one for each, in the same order."""
EMBED = "embed"
"""The role of the one message by which a door is asked for the vector of a text."""


class EmbedError(RuntimeError):
    """An embedding endpoint gave no vectors; the message says why."""


def embed_with(model: str) -> Embed:
    """What asks the embedding model ``provider/name``: promptmigrate's door if it is installed, else LiteLLM.

    The answer raises EmbedError where a call fails.

    Raises:
        NoCompleteError: neither is installed.
    """
    ask = _ask_door() or _ask_litellm()
    if ask is None:
        raise NoCompleteError(
            f"there is no way to reach the embedding model {model!r}: pass embed=..., a function from a list "
            "of texts to a list of vectors, or install promptmigrate or litellm"
        )
    found = ask

    def embed(texts: Sequence[str]) -> Vectors:
        return found(model, list(texts))

    return embed


def read_vector(text: str | None) -> list[float]:
    """The vector that a door's reply holds.

    Raises:
        EmbedError: it holds none.
    """
    try:
        vector = json.loads(text or "")
        if not isinstance(vector, list) or not vector:
            raise ValueError("it is no list of numbers")
        read = [float(value) for value in vector]
    except (TypeError, ValueError) as error:
        raise EmbedError(f"the embedding endpoint answered with no vector: {error}") from None
    if not all(map(math.isfinite, read)):
        raise EmbedError("the embedding endpoint answered with a vector that is not finite")
    return read


@cache
def _ask_door() -> Callable[[str, list[str]], Vectors] | None:
    door, types = open_door(), module("promptmigrate.types")
    if door is None or types is None:
        return None
    atexit.register(door.close)

    async def vector(model: str, text: str) -> list[float]:
        asked = types.Request(model=model, messages=({"role": EMBED, "content": text},), purpose="judge")
        reply = await door.acomplete(asked)
        if not reply.answered:
            raise EmbedError(f"{reply.kind}: {reply.error or 'no answer'}")
        return read_vector(reply.text)

    async def vectors(model: str, texts: list[str]) -> list[list[float]]:
        import asyncio

        return list(await asyncio.gather(*(vector(model, text) for text in texts)))

    def ask(model: str, texts: list[str]) -> Vectors:
        found: Vectors = door.run(vectors(model, texts))
        return found

    return ask


@cache
def _ask_litellm() -> Callable[[str, list[str]], Vectors] | None:
    # Without it, LiteLLM fetches its price list from the network while it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm: Any = module("litellm")
    if litellm is None:
        return None

    def ask(model: str, texts: list[str]) -> Vectors:
        try:
            response = litellm.embedding(model=model, input=texts, timeout=120, num_retries=2)
            rows = sorted(response.data, key=lambda row: row["index"])
        except Exception as error:
            # Every provider raises its own.
            raise EmbedError(f"{type(error).__name__}: {error}") from error
        return [row["embedding"] for row in rows]

    return ask
