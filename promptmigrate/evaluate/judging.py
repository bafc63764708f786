"""Judges' questions, asked through the door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from promptmigrate.types import Reply, Request
from scorers import Answer, Question, response_format

if TYPE_CHECKING:
    from promptmigrate.lm import Door


async def ask_judge(door: Door, question: Question, params: Mapping[str, Any]) -> Answer:
    """The answer to a judge's question, through the door; ``params`` go before what the judge wants.

    Raises:
        BudgetExceeded: the call did not fit.
        EndpointError: the model cannot be reached at all.
    """
    return _answer(await door.acomplete(_judge_request(question, params)))


def _judge_request(question: Question, params: Mapping[str, Any]) -> Request:
    asked = {"max_tokens": question.max_tokens} if question.max_tokens else {}
    return Request(
        model=question.model,
        messages=tuple(question.messages),
        params={**asked, **response_format(question), **params},
        purpose="judge",
    )


def _answer(reply: Reply) -> Answer:
    return Answer(
        text=reply.text if reply.answered else None,
        error=None if reply.answered else f"{reply.kind}: {reply.error}",
        cost_usd=reply.cost_usd,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
    )
