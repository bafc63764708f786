"""Scorers that compare embeddings, served through the door: its cache, limits, budget and ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptmigrate.types import Reply, Request
from scorers import Answer, Sample, Score, Scorer
from scorers.running import EMBED, EmbedError, paid, read_vector

if TYPE_CHECKING:
    from promptmigrate.lm import Door


def embedding_model(scorer: Scorer) -> str | None:
    """The ``provider/name`` whose vectors ``scorer`` needs, if it leaves it to its runner to ask for them."""
    found = getattr(scorer, "embedding_model", None)
    return found if isinstance(found, str) else None


async def score_embedded(door: Door, scorer: Any, sample: Sample, params: Mapping[str, Any]) -> Score:
    """The score of ``sample`` by a scorer with an :func:`embedding_model`.

    Each text is a call of its own, so that a reference is embedded once however many variants are compared
    with it. A call that fails leaves the sample unscored.

    Raises:
        BudgetExceeded: a call did not fit.
        EndpointError: the endpoint cannot be reached at all.
    """
    wanted = scorer.to_embed(sample)
    if isinstance(wanted, Score):
        return wanted
    replies = await _vectors(door, scorer.embedding_model, wanted, params)
    spent = [
        Answer(cost_usd=reply.cost_usd, input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
        for reply in replies
    ]
    vectors: dict[str, list[float]] = {}
    for text, reply in zip(wanted, replies, strict=True):
        try:
            if not reply.answered:
                raise EmbedError(f"{reply.kind}: {reply.error}")
            vectors[text] = read_vector(reply.text)
        except EmbedError as error:
            return paid(scorer.not_embedded(str(error)), spent)
    return paid(scorer.with_vectors(sample, vectors), spent)


async def _vectors(door: Door, model: str, texts: Sequence[str], params: Mapping[str, Any]) -> list[Reply]:
    asked = [
        door.acomplete(
            Request(
                model=model,
                messages=({"role": EMBED, "content": text},),
                params=dict(params),
                purpose="judge",
            )
        )
        for text in texts
    ]
    # Calls under way are paid: all are let finish before one that must stop the run is raised.
    replies = await asyncio.gather(*asked, return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return [reply for reply in replies if isinstance(reply, Reply)]
